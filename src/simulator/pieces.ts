/**
 * Pieces: where a random sender cuts its stream, by its own seed.
 *
 * The cuts never change the bytes: they have a generator of random numbers of their own.
 */
import { Prng } from '../toolkit/base/prng.ts';
import { scramble } from './subscriber-pool.ts';

const LONG_PIECE_MAX = 16_384;
const SEGMENT_MAX = 1500;
const SHORT_PIECE_MAX = 64;

/** Lengths of one piece after another: single bytes, some bytes, a TCP segment, many records. */
export class Pieces {
  readonly #prng: Prng;

  constructor(seed: number, connection: number) {
    this.#prng = new Prng(scramble((seed ^ scramble(connection + 0x7157)) >>> 0));
  }

  next(): number {
    const draw = this.#prng.below(10);
    if (draw === 0) return 1;
    if (draw < 3) return 1 + this.#prng.below(SHORT_PIECE_MAX);
    if (draw < 6) return 1 + this.#prng.below(SEGMENT_MAX);
    return 1 + this.#prng.below(LONG_PIECE_MAX);
  }
}

/**
 * Subscribers: who is drawn how often, and what belongs to each.
 *
 * WHY        A few subscribers make most of the traffic, as in a real network (Zipf-like, exponent
 *            0.75), and each keeps its address and package, so that tops and joins look real.
 * HOW        Ranks fall into octaves (1, 2-3, 4-7, ...). An octave is drawn from a table of 1,024
 *            places, weighted by 2^(1/4) per octave; inside an octave every rank is equally likely.
 *            Only exact arithmetic is used, so that the bytes are the same on every machine, and no
 *            memory is needed per subscriber: a million costs as much as ten thousand.
 * REFUSED    Rejection sampling with Math.pow (its last bits differ between engines); an alias
 *            table (8 bytes a subscriber, cache misses at a million).
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import type { Prng } from '../toolkit/base/prng.ts';

/** All of 10.0.0.0/8. */
export const SUBSCRIBERS_MAX = 1 << 24;

/** 2^(1/4): the weight of an octave of ranks relative to the one below it. */
const OCTAVE_GROWTH = 1.189207115002721;
const TABLE_BITS = 10;
const TABLE_LENGTH = 1 << TABLE_BITS;
const PACKAGES = 8;

/** Draws ranks 0 .. count - 1, low ranks more often. */
export class SubscriberPool {
  readonly count: number;
  readonly #octaves: Uint8Array;

  constructor(count: number) {
    if (!Number.isInteger(count) || count < 1 || count > SUBSCRIBERS_MAX) {
      throw new MillraceError(
        'MR_USAGE',
        `cannot simulate ${count} subscribers`,
        `give a whole number from 1 to ${SUBSCRIBERS_MAX}`,
      );
    }
    this.count = count;
    this.#octaves = octaveTable(count);
  }

  /** A rank; 0 is the busiest subscriber. */
  draw(prng: Prng): number {
    const octave = this.#octaves[prng.nextU32() >>> (32 - TABLE_BITS)]!;
    const first = 1 << octave;
    // The highest octave may be cut short: ranks are numbered from 1 here.
    const size = Math.min(first, this.count + 1 - first);
    return first - 1 + prng.below(size);
  }
}

/** Places of the table -> octave, in proportion to the octave's weight; every octave has one. */
function octaveTable(count: number): Uint8Array {
  const weights: number[] = [];
  let growth = 1;
  for (let first = 1; first <= count; first *= 2) {
    const share = Math.min(first, count + 1 - first) / first;
    weights.push(growth * share);
    growth *= OCTAVE_GROWTH;
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const table = new Uint8Array(TABLE_LENGTH);
  let before = 0;
  weights.forEach((weight, octave) => {
    const from = Math.floor((before / total) * TABLE_LENGTH);
    before += weight;
    const to = Math.floor((before / total) * TABLE_LENGTH);
    table.fill(octave, from, Math.max(to, from + 1));
  });
  return table;
}

/** A mix of the bits of `value`, one to one over 32 bits. */
export function scramble(value: number): number {
  let z = Math.imul(value ^ (value >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return (z ^ (z >>> 15)) >>> 0;
}

/** The subscriber's address in 10.0.0.0/8; no two ranks share one. */
export function subscriberIp(rank: number): number {
  const mixed = Math.imul(rank + 1, 0x9e3779b1) & 0xffffff;
  return (0x0a000000 | (mixed ^ (mixed >>> 13))) >>> 0;
}

/** The subscriber's package, 1 .. 8. */
export function subscriberPackage(rank: number): number {
  return 1 + (scramble(rank + 0x51ed) % PACKAGES);
}

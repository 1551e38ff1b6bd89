/**
 * What each destination of a flow must get, to the byte; a figure of a run that misses any is none.
 *
 * WHY      Both sides say themselves what they have sent. Who loses records, or whose filter passes
 *          too few of them, is fast: so it is counted at the receiver, for each connection, and
 *          compared with the stream that the sender was given.
 */
import { readFileSync } from 'node:fs';
import { frameLength } from '../../src/rdr/index.ts';

export interface Output {
  readonly records: number;
  readonly bytes: number;
}

/** Of a stream file that is sent from its start, over and over. */
export class ExpectedOutput {
  /** Bytes that go out of the first n records of the file. */
  readonly #bytes: Float64Array;
  readonly #step: number;

  /** `step`: 1 when every record is to go out, 2 when the first of each two is. */
  constructor(bytes: Uint8Array, step: 1 | 2) {
    const ends = [0];
    for (let at = 0, record = 0; at < bytes.length; record++) {
      const length = frameLength(bytes, at);
      ends.push(ends.at(-1)! + (record % step === 0 ? length : 0));
      at += length;
    }
    this.#bytes = Float64Array.from(ends);
    this.#step = step;
  }

  static ofFile(path: string, step: 1 | 2): ExpectedOutput {
    return new ExpectedOutput(readFileSync(path), step);
  }

  /** Of the first `records` that were sent. */
  of(records: number): Output {
    const inFile = this.#bytes.length - 1;
    const rest = records % inFile;
    const times = (records - rest) / inFile;
    const chosen = (count: number): number => Math.ceil(count / this.#step);
    return {
      records: times * chosen(inFile) + chosen(rest),
      bytes: times * this.#bytes[inFile]! + this.#bytes[rest]!,
    };
  }
}

/**
 * What is not as it should be of a round after which `destinations` connections of the sink have
 * got `bytes` more each, and the others nothing. `before` and `after`: bytes of each connection in
 * the order in which they came.
 */
export function findMissing(
  before: readonly number[],
  after: readonly number[],
  { bytes }: Output,
  destinations: number,
): readonly string[] {
  const grown = after.map((now, index) => now - (before[index] ?? 0)).filter((more) => more > 0);
  const missing = grown
    .filter((more) => more !== bytes)
    .map((more) => `a destination got ${more} bytes, expected ${bytes}`);
  if (grown.length !== destinations) {
    missing.push(`${grown.length} destinations got something, expected ${destinations}`);
  }
  return missing;
}

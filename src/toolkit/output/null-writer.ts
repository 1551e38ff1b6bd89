/**
 * NullWriter: accepts everything, sends nothing, counts.
 *
 * WHY         Measures what a program costs without the network under it; a stand-in in tests.
 * INVARIANTS  Every write is accepted whole; every source may be written again at once.
 */
import type { OutputSource } from './output-source.ts';
import { makeCounts, type OutputCounts, type OutputWriter } from './output-writer.ts';

export class NullWriter implements OutputWriter {
  readonly mechanism = 'null';
  readonly fd = -1;
  readonly pendingBytes = 0;
  readonly flightCount = 0;
  readonly #counts: OutputCounts = makeCounts();

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  write(_source: OutputSource, _offset: number, length: number): number {
    this.#counts.acceptedBytes += length;
    this.#counts.sentBytes += length;
    return length;
  }

  flush(): number {
    return 0;
  }

  reclaim(): number {
    return 0;
  }

  /** It owns nothing. */
  close(): void {}
}

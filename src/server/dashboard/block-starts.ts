/**
 * Block starts: positions of the journal at which a block is known to begin, or to have ended.
 *
 * WHY         Blocks can be walked forwards only, and a search goes backwards. It goes in steps
 *             from one of these positions to the next. They come for nothing: what the journal has
 *             published is the end of a block each time somebody looks, and a search that walks
 *             adds what it passes.
 * INVARIANTS  Growing; STRIDE_BYTES apart at least; COUNT_MAX at most, then the older half goes.
 * REFUSED     Looking for the next header from anywhere (a record can hold bytes that look like
 *             one: an exporter could then show records as another's); walking each segment from its
 *             front for each search.
 */
const STRIDE_BYTES = 256 * 1024;
const COUNT_MAX = 4096;

export class BlockStarts {
  readonly #strideBytes: number;
  #positions: number[] = [];

  constructor(strideBytes = STRIDE_BYTES) {
    this.#strideBytes = strideBytes;
  }

  get count(): number {
    return this.#positions.length;
  }

  /** A block begins or ends here. */
  note(position: number): void {
    const at = this.#indexOf(position);
    const before = this.#positions[at - 1] ?? Number.NEGATIVE_INFINITY;
    const after = this.#positions[at] ?? Number.POSITIVE_INFINITY;
    if (Math.min(position - before, after - position) < this.#strideBytes) return;
    this.#positions.splice(at, 0, position);
    if (this.#positions.length > COUNT_MAX) this.#positions = this.#positions.slice(COUNT_MAX / 2);
  }

  /**
   * Where to begin in order to read up to `end`: at most `spanBytes` below it, as far below as is
   * known; where nothing is known there, the next one below. -1: nothing is known below `end`.
   */
  startBelow(end: number, spanBytes: number): number {
    const inSpan = this.#positions[this.#indexOf(end - spanBytes)] ?? end;
    return inSpan < end ? inSpan : (this.#positions[this.#indexOf(end) - 1] ?? -1);
  }

  /** Index of the first position that is not below `position`. */
  #indexOf(position: number): number {
    let low = 0;
    let high = this.#positions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#positions[middle]! < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

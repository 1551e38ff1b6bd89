/**
 * Ranges: which of the numbers 0, 1, 2 ... have been seen, in whatever order.
 *
 * WHY     A stream that breaks and goes on over another connection may be read in two orders, and
 *         parts of it twice. What is missing can only be told at the end, and a bit per record of
 *         an endless stream is too much: a stream without gaps is one range.
 * LAYOUT  Two arrays, rising: range i is #from[i] .. #to[i] - 1; ranges never touch each other.
 */

/** A stream with more holes than this is broken anyway: no further range is begun. */
const RANGES_MAX = 10_000;

export class Ranges {
  readonly #from: number[] = [];
  readonly #to: number[] = [];

  /** True when `value` had not been seen. */
  add(value: number): boolean {
    const from = this.#from;
    const to = this.#to;
    const last = to.length - 1;
    if (last >= 0 && to[last] === value) {
      to[last] = value + 1;
      return true;
    }
    const index = this.#firstEndingBehind(value);
    if (index < from.length && from[index]! <= value) return false;
    const touchesBefore = index > 0 && to[index - 1] === value;
    const touchesNext = index < from.length && from[index] === value + 1;
    if (touchesBefore && touchesNext) {
      to[index - 1] = to[index]!;
      from.splice(index, 1);
      to.splice(index, 1);
    } else if (touchesBefore) to[index - 1] = value + 1;
    else if (touchesNext) from[index] = value;
    else if (from.length < RANGES_MAX) {
      from.splice(index, 0, value);
      to.splice(index, 0, value + 1);
    }
    return true;
  }

  /** The lowest number seen; -1 for none. */
  get first(): number {
    return this.#from[0] ?? -1;
  }

  /** Behind the highest number seen; 0 for none. */
  get end(): number {
    return this.#to[this.#to.length - 1] ?? 0;
  }

  /** Runs of numbers between the lowest and the highest that were not seen. */
  get gaps(): number {
    return Math.max(0, this.#from.length - 1);
  }

  /** How many numbers those runs hold. */
  get missing(): number {
    let sum = 0;
    for (let i = 1; i < this.#from.length; i++) sum += this.#from[i]! - this.#to[i - 1]!;
    return sum;
  }

  /** Index of the first range whose end lies behind `value`. */
  #firstEndingBehind(value: number): number {
    let low = 0;
    let high = this.#to.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#to[middle]! > value) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/**
 * What every case does with items: writes numbers one after the other, adds them up. Functions of
 * their own, as V8 keeps in registers what is a parameter, and loads anew what a closure holds.
 */

/** [from, from + count) of `items` becomes next, next + 1, ...; returns the number after them. */
export function fill(items: Float64Array, from: number, count: number, next: number): number {
  const to = from + count;
  let value = next;
  for (let at = from; at < to; at++) {
    items[at] = value;
    value += 1;
  }
  return value;
}

/** `sum` and [from, from + count) of `items`, added from left to right as C++ has to. */
export function sumOf(items: Float64Array, from: number, count: number, sum: number): number {
  const to = from + count;
  let total = sum;
  for (let at = from; at < to; at++) total += items[at]!;
  return total;
}

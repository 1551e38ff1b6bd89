/**
 * Copies items between typed arrays of one kind: element by element, or as one move.
 *
 * A move needs a view of the part (an allocation) and a call; a loop needs neither. Which wins
 * depends on the count; measured by bench/ring.
 */

/** From so many items on, a move wins. */
export const MOVE_FROM_ITEMS = 96;
/** The same for bytes. */
export const MOVE_FROM_BYTES = 128;

export function copyFloats(
  target: Float64Array,
  at: number,
  source: Float64Array,
  from: number,
  count: number,
): void {
  if (count >= MOVE_FROM_ITEMS) target.set(source.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[from + i]!;
}

export function copyInts(
  target: Int32Array,
  at: number,
  source: Int32Array,
  from: number,
  count: number,
): void {
  if (count >= MOVE_FROM_ITEMS) target.set(source.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[from + i]!;
}

export function copyBytes(
  target: Uint8Array,
  at: number,
  source: Uint8Array,
  from: number,
  count: number,
): void {
  if (count >= MOVE_FROM_BYTES) target.set(source.subarray(from, from + count), at);
  else for (let i = 0; i < count; i++) target[at + i] = source[from + i]!;
}

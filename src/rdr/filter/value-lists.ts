/**
 * Value lists: is a number, a text or an address one of many?
 *
 * WHY      A comparison is written out once for each group of tags, with the values in the code. A
 *          list of a thousand is no code: it is made once, and searched by halves, which takes ten
 *          steps instead of a thousand.
 */
import { type AddressBlock, ipv4Mask, ipv4Network, isInBlock } from './address.ts';

/** Ascending, each once; made for isOneOf. */
export function numberList(numbers: readonly number[]): Float64Array {
  return new Float64Array(new Set(numbers)).sort();
}

/** Is the number in the list? NaN is in none. */
export function isOneOf(list: Float64Array, value: number): boolean {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (list[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low < list.length && list[low] === value;
}

/** By length, then by bytes; made for isOneText. */
export function textList(texts: readonly Uint8Array[]): readonly Uint8Array[] {
  return texts.toSorted((a, b) => order(a, 0, a.length, b));
}

/** Is the text `bytes[at .. at + length)` in the list? */
export function isOneText(
  bytes: Uint8Array,
  at: number,
  length: number,
  list: readonly Uint8Array[],
): boolean {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order(bytes, at, length, list[middle]!) > 0) low = middle + 1;
    else high = middle;
  }
  return low < list.length && order(bytes, at, length, list[low]!) === 0;
}

function order(bytes: Uint8Array, at: number, length: number, text: Uint8Array): number {
  if (length !== text.length) return length - text.length;
  for (let i = 0; i < length; i++) {
    const difference = bytes[at + i]! - text[i]!;
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Mask and network of each block, one behind the other; made for isInNetworks. */
export function networkList(blocks: readonly AddressBlock[]): Int32Array {
  return Int32Array.from(blocks.flatMap((block) => [ipv4Mask(block), ipv4Network(block)]));
}

/** Is the IPv4 address in one of the networks? */
export function isInNetworks(list: Int32Array, address: number): boolean {
  for (let i = 0; i < list.length; i += 2) if ((address & list[i]!) === list[i + 1]) return true;
  return false;
}

/** Is the address (16 bytes) in one of the blocks? One that nobody knows is in none. */
export function isInBlocks(list: readonly AddressBlock[], address: Uint8Array): boolean {
  for (let i = 0; i < list.length; i++) if (isInBlock(list[i]!, address)) return true;
  return false;
}

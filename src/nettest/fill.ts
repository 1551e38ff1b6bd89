/**
 * Fill: the words of a payload, different in every message, at memory speed.
 *
 * A message that repeats its predecessor would hide a page that was rewritten too early: so each
 * word is a hash of its index and the message's seed. The old programs called rand() per word;
 * which numbers stand in a payload is no part of the format.
 */

/** Distance of neighbouring words before they are mixed: 2^32 divided by the golden ratio, odd. */
const STEP = 0x9e37_79b9;
const MULTIPLIER = 0x21f0_aaad;

/** Writes the words from `start` to `end` (indexes of Int32); each word depends on `seed`. */
export function fillWords(words: Int32Array, start: number, end: number, seed: number): void {
  let counter = seed | 0;
  for (let word = start; word < end; word++) {
    counter = (counter + STEP) | 0;
    const mixed = Math.imul(counter ^ (counter >>> 15), MULTIPLIER);
    words[word] = mixed ^ (mixed >>> 15);
  }
}

/** A seed for message `sequence` of connection `connection`. */
export function messageSeed(connection: number, sequence: number): number {
  return Math.imul(connection + 1, 0x735a_2d97) ^ Math.imul(sequence + 1, 0x85eb_ca6b);
}

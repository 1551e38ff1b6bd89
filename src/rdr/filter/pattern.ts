/**
 * Pattern: what `~` looks for in the bytes of a text, in time linear in them.
 *
 * LANGUAGE    The pattern may stand anywhere. `^` as its first byte ties it to the start, `$` as
 *             its last to the end. `*` is any bytes, `?` any one byte, `[a-z_]` one of a set,
 *             `[!..]` one that is not in it; `]` as the first of a set is itself. So `[*]` is an
 *             asterisk. A byte of UTF-8 beyond ASCII is itself, but cannot stand in a set.
 * HOW         The pattern is cut at its `*` into pieces. A piece is a row of sets; the leftmost
 *             place of each, one behind the other, is found by Shift-And: one bit for each set of
 *             the piece, all advanced at once for each byte. The leftmost place is always good
 *             enough, so that nothing is ever tried twice: at most 8 words of bits a byte of text.
 * REFUSED     RegExp: text would have to be made of bytes, and some expressions take for ever.
 */
import { encodeText } from '../text.ts';
import { FILTER_PATTERN_BYTES_MAX } from './ast.ts';

/** A piece between two `*`. Bit i % 32 of word i / 32 of a byte's masks: set i has the byte. */
interface Piece {
  readonly length: number;
  readonly words: number;
  /** `words` masks for each of 256 bytes. */
  readonly masks: Int32Array;
  /** Scratch: which beginnings of the piece end at the byte just read. */
  readonly state: Int32Array;
}

export interface Pattern {
  readonly isTiedToStart: boolean;
  readonly isTiedToEnd: boolean;
  readonly pieces: readonly Piece[];
}

const STAR = 0x2a;
const ANY = 0x3f;
const OPEN = 0x5b;
const CLOSE = 0x5d;
const NOT = 0x21;
const TO = 0x2d;
const START = 0x5e;
const END = 0x24;

/** Why the text (in the form in which the store shows text) is no pattern, or null. */
export function patternError(text: string): string | null {
  const bytes = encodeText(text);
  if (bytes.length > FILTER_PATTERN_BYTES_MAX) return `a pattern of ${bytes.length} bytes`;
  const made = readPieces(bytes);
  return typeof made === 'string' ? made : null;
}

/** Compiles a pattern without an error. */
export function makePattern(text: string): Pattern {
  const made = readPieces(encodeText(text));
  if (typeof made === 'string') throw new RangeError(made);
  return made;
}

type ByteSet = Uint8Array;

function readPieces(bytes: Uint8Array): Pattern | string {
  const isTiedToStart = bytes[0] === START;
  const from = isTiedToStart ? 1 : 0;
  const isTiedToEnd = bytes.length > from && bytes.at(-1) === END;
  const end = bytes.length - (isTiedToEnd ? 1 : 0);
  const rows: ByteSet[][] = [[]];
  for (let at = from; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === STAR) {
      rows.push([]);
      continue;
    }
    const set = new Uint8Array(256);
    rows.at(-1)!.push(set);
    if (byte === ANY) set.fill(1);
    else if (byte !== OPEN) set[byte] = 1;
    else {
      const behind = readSet(bytes, at + 1, end, set);
      if (typeof behind === 'string') return behind;
      at = behind - 1;
    }
  }
  return { isTiedToStart, isTiedToEnd, pieces: rows.map(makePiece) };
}

/** Reads a set up to its `]`; where it ends, or what is wrong. */
function readSet(bytes: Uint8Array, from: number, end: number, set: ByteSet): number | string {
  const isNegated = bytes[from] === NOT;
  const first = isNegated ? from + 1 : from;
  let at = first;
  while (at < end && (bytes[at] !== CLOSE || at === first)) {
    const low = bytes[at]!;
    const isRange = at + 2 < end && bytes[at + 1] === TO && bytes[at + 2] !== CLOSE;
    const high = isRange ? bytes[at + 2]! : low;
    if (low > 0x7f || high > 0x7f) return 'a set holds ASCII only';
    if (high < low) return 'a range of a set that ends before it begins';
    set.fill(1, low, high + 1);
    at += isRange ? 3 : 1;
  }
  if (at >= end) return 'a set that begins with [ has no ]';
  if (isNegated) for (let byte = 0; byte < 256; byte++) set[byte] = 1 - set[byte]!;
  return at + 1;
}

function makePiece(sets: readonly ByteSet[]): Piece {
  const words = Math.max(1, (sets.length + 31) >>> 5);
  const masks = new Int32Array(256 * words);
  sets.forEach((set, index) => {
    for (let byte = 0; byte < 256; byte++) {
      if (set[byte] === 1) masks[byte * words + (index >>> 5)]! |= 1 << (index & 31);
    }
  });
  return { length: sets.length, words, masks, state: new Int32Array(words) };
}

/** Does `bytes[from .. from + length)` match? */
export function matches(
  pattern: Pattern,
  bytes: Uint8Array,
  from: number,
  length: number,
): boolean {
  const { isTiedToEnd, isTiedToStart, pieces } = pattern;
  const end = from + length;
  const last = pieces.length - 1;
  let at = from;
  let index = 0;
  if (isTiedToStart) {
    const first = pieces[0]!;
    if (!standsAt(first, bytes, at, end)) return false;
    if (last === 0) return !isTiedToEnd || first.length === length;
    at += first.length;
    index = 1;
  }
  for (; index < last || (index === last && !isTiedToEnd); index++) {
    at = endOfFirst(pieces[index]!, bytes, at, end);
    if (at < 0) return false;
  }
  if (!isTiedToEnd) return true;
  const tail = pieces[last]!;
  return end - tail.length >= at && standsAt(tail, bytes, end - tail.length, end);
}

function standsAt(piece: Piece, bytes: Uint8Array, at: number, end: number): boolean {
  if (at + piece.length > end) return false;
  for (let i = 0; i < piece.length; i++) {
    const mask = piece.masks[bytes[at + i]! * piece.words + (i >>> 5)]!;
    if (((mask >>> (i & 31)) & 1) === 0) return false;
  }
  return true;
}

/** Behind the leftmost place of the piece, or -1. */
function endOfFirst(piece: Piece, bytes: Uint8Array, from: number, end: number): number {
  const { length, masks, words } = piece;
  if (length === 0) return from;
  if (words > 1) return endOfFirstLong(piece, bytes, from, end);
  const hit = 1 << (length - 1);
  let state = 0;
  for (let at = from; at < end; at++) {
    state = ((state << 1) | 1) & masks[bytes[at]!]!;
    if ((state & hit) !== 0) return at + 1;
  }
  return -1;
}

function endOfFirstLong(piece: Piece, bytes: Uint8Array, from: number, end: number): number {
  const { length, masks, state, words } = piece;
  const hit = 1 << ((length - 1) & 31);
  state.fill(0);
  for (let at = from; at < end; at++) {
    const row = bytes[at]! * words;
    let carry = 1;
    for (let word = 0; word < words; word++) {
      const before = state[word]!;
      state[word] = ((before << 1) | carry) & masks[row + word]!;
      carry = before >>> 31;
    }
    if ((state[words - 1]! & hit) !== 0) return at + 1;
  }
  return -1;
}

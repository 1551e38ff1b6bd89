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
  const read = readRows(bytes);
  return typeof read === 'string' ? read : null;
}

/** Compiles a pattern without an error. */
export function makePattern(text: string): Pattern {
  const bytes = encodeText(text);
  const read = readRows(bytes);
  if (typeof read === 'string') throw new RangeError(read);
  const { isTiedToEnd, isTiedToStart, rows } = read;
  return { isTiedToStart, isTiedToEnd, pieces: rows.map((row) => makePiece(bytes, row)) };
}

interface Rows {
  readonly isTiedToStart: boolean;
  readonly isTiedToEnd: boolean;
  /** Of each piece: where each of its sets begins in the pattern. */
  readonly rows: readonly (readonly number[])[];
}

function readRows(bytes: Uint8Array): Rows | string {
  const isTiedToStart = bytes[0] === START;
  const from = isTiedToStart ? 1 : 0;
  const isTiedToEnd = bytes.length > from && bytes.at(-1) === END;
  const end = bytes.length - (isTiedToEnd ? 1 : 0);
  const rows: number[][] = [[]];
  for (let at = from; at < end; at++) {
    if (bytes[at] === STAR) {
      rows.push([]);
      continue;
    }
    rows.at(-1)!.push(at);
    if (bytes[at] !== OPEN) continue;
    const behind = readSet(bytes, at + 1, end, () => undefined);
    if (typeof behind === 'string') return behind;
    at = behind - 1;
  }
  return { isTiedToStart, isTiedToEnd, rows };
}

/** Calls `onRange` for what stands in a set, up to its `]`; where it ends, or what is wrong. */
function readSet(
  bytes: Uint8Array,
  from: number,
  end: number,
  onRange: (low: number, high: number) => void,
): number | string {
  const first = bytes[from] === NOT ? from + 1 : from;
  let at = first;
  while (at < end && (bytes[at] !== CLOSE || at === first)) {
    const low = bytes[at]!;
    const isRange = at + 2 < end && bytes[at + 1] === TO && bytes[at + 2] !== CLOSE;
    const high = isRange ? bytes[at + 2]! : low;
    if (low > 0x7f || high > 0x7f) return 'a set holds ASCII only';
    if (high < low) return 'a range of a set that ends before it begins';
    onRange(low, high);
    at += isRange ? 3 : 1;
  }
  return at >= end ? 'a set that begins with [ has no ]' : at + 1;
}

function makePiece(bytes: Uint8Array, row: readonly number[]): Piece {
  const words = Math.max(1, (row.length + 31) >>> 5);
  const masks = new Int32Array(256 * words);
  row.forEach((at, index) => {
    const word = index >>> 5;
    const bit = 1 << (index & 31);
    const byte = bytes[at]!;
    if (byte !== ANY && byte !== OPEN) {
      masks[byte * words + word]! |= bit;
      return;
    }
    const set = setAt(bytes, at);
    for (let one = 0; one < 256; one++) if (set[one] === 1) masks[one * words + word]! |= bit;
  });
  return { length: row.length, words, masks, state: new Int32Array(words) };
}

/** 1 for each byte that the `?` or `[...]` at `at` stands for. */
function setAt(bytes: Uint8Array, at: number): Uint8Array {
  if (bytes[at] === ANY) return new Uint8Array(256).fill(1);
  const isNegated = bytes[at + 1] === NOT;
  const set = new Uint8Array(256).fill(isNegated ? 1 : 0);
  readSet(bytes, at + 1, bytes.length, (low, high) => set.fill(isNegated ? 0 : 1, low, high + 1));
  return set;
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

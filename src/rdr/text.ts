/**
 * Text: bytes of STRING fields as JavaScript text, without loss, and what kinds of bytes they hold.
 *
 * WHY       The charset of STRING is unspecified: mostly ASCII, sometimes UTF-8, sometimes octets
 *           (a MAC address, a RADIUS attribute). Shown text must be valid, and two different byte
 *           strings must never look the same.
 * ESCAPING  A backslash is doubled; each byte that is no part of valid UTF-8 becomes `\xHH`
 *           (lower-case hex). All else stays. So the bytes can be computed back from the text.
 */
import { TEXT_FLAG } from './columns.ts';

const BACKSLASH = 0x5c;

/** TEXT_FLAG bits of `bytes[from .. to]`. */
export function scanTextFlags(bytes: Uint8Array, from: number, to: number): number {
  let flags = 0;
  for (let i = from; i < to; i++) {
    const byte = bytes[i]!;
    if (byte >= 0x80) flags |= TEXT_FLAG.NON_ASCII;
    else if (byte < 0x20) flags |= TEXT_FLAG.CONTROL;
    else if (byte === BACKSLASH) flags |= TEXT_FLAG.BACKSLASH;
  }
  return flags;
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** `bytes[from .. to]` as text, escaped as the file head says. Works on shared memory, too. */
export function decodeText(bytes: Uint8Array, from = 0, to = bytes.length): string {
  const flags = scanTextFlags(bytes, from, to) & ~TEXT_FLAG.CONTROL;
  if (flags === 0) return ascii(bytes, from, to);
  // A copy, because TextDecoder refuses shared memory in some runtimes.
  const own = bytes.slice(from, to);
  try {
    return strict.decode(own).replaceAll('\\', '\\\\');
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return escapeInvalid(own);
  }
}

/** Bytes of the text that decodeText made: its exact inverse. */
export function encodeText(text: string): Uint8Array {
  const parts: number[] = [];
  const utf8 = new TextEncoder();
  for (const match of text.matchAll(/\\x([0-9a-f]{2})|\\\\|[^\\]+|\\/g)) {
    if (match[1] !== undefined) parts.push(Number.parseInt(match[1], 16));
    else if (match[0] === '\\\\') parts.push(BACKSLASH);
    else for (const byte of utf8.encode(match[0])) parts.push(byte);
  }
  return Uint8Array.from(parts);
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  let text = '';
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

function escapeInvalid(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) text += `\\x${bytes[at]!.toString(16).padStart(2, '0')}`;
    else if (bytes[at] === BACKSLASH) text += '\\\\';
    else text += strict.decode(bytes.subarray(at, at + length));
    at += Math.max(1, length);
  }
  return text;
}

/** Bytes of the valid UTF-8 sequence at `at`, or 0 (Unicode standard, table 3-7). */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at]!;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1]!;
  if (lead === 0xe0 && second < 0xa0) return 0;
  if (lead === 0xed && second > 0x9f) return 0;
  if (lead === 0xf0 && second < 0x90) return 0;
  if (lead === 0xf4 && second > 0x8f) return 0;
  return length;
}

/**
 * Line writer: many short lines to stdout in few writes, waiting when the reader is slow.
 *
 * WHY         console.log per record would spend more time in the kernel than in decoding, and
 *             writing without waiting would hold gigabytes in memory when a pipe is slow.
 * INVARIANTS  At most FLUSH_BYTES of text and one pending write are held. On a terminal control
 *             characters are shown as \xHH: what an exporter sends must not drive the terminal.
 */
import type { Writable } from 'node:stream';

const FLUSH_BYTES = 64 * 1024;

/** Everything below space but line feed, and DEL and the C1 controls. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are looked for
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g;

export class LineWriter {
  readonly #stream: Writable;
  readonly #encoding: BufferEncoding;
  readonly #isTerminal: boolean;
  #parts: string[] = [];
  #length = 0;

  /** `encoding` latin1: each character of a line is one byte, written as it is. */
  constructor(
    stream: Writable & { readonly isTTY?: boolean } = process.stdout,
    encoding: BufferEncoding = 'utf8',
  ) {
    this.#stream = stream;
    this.#encoding = encoding;
    this.#isTerminal = stream.isTTY === true;
  }

  /** Adds a line; true when flush() should be awaited before the next one. */
  add(line: string): boolean {
    this.#parts.push(this.#isTerminal ? line.replace(CONTROLS, showControl) : line, '\n');
    this.#length += line.length + 1;
    return this.#length >= FLUSH_BYTES;
  }

  /** Writes what was added and waits until the stream takes more. */
  async flush(): Promise<void> {
    if (this.#parts.length === 0) return;
    const text = this.#parts.join('');
    this.#parts = [];
    this.#length = 0;
    if (this.#stream.write(text, this.#encoding)) return;
    await new Promise<void>((resolve) => this.#stream.once('drain', resolve));
  }
}

function showControl(char: string): string {
  return `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`;
}

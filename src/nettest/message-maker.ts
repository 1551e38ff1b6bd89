/**
 * Message maker: writes messages into memory: contents, stamps, checksum, header.
 */
import { MessageCrc } from './crc.ts';
import { fillWords, messageSeed } from './fill.ts';
import { HEADER_BYTES, hasLength, writeHeader } from './format.ts';
import type { Fill } from './options.ts';
import { makeStamp, type Stamp, Stamper } from './stamp.ts';

export interface MakeOptions {
  readonly messageBytes: number;
  readonly fill: Fill;
  readonly hasCrc: boolean;
  readonly hasStamps: boolean;
}

export class MessageMaker {
  readonly #options: MakeOptions;
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #crc: MessageCrc;
  readonly #stamper: Stamper;
  readonly #stamp: Stamp = makeStamp();
  readonly #sum = new Uint32Array(2);

  /** `bytes` starts on a multiple of 4 of its buffer, as messages do in it. */
  constructor(bytes: Uint8Array, options: MakeOptions) {
    this.#options = options;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2);
    this.#crc = new MessageCrc(bytes);
    this.#stamper = new Stamper(bytes);
  }

  /**
   * Makes sure that a message lies at `offset`. With fill `once` and `none` a message that is there
   * already stays as it is (memory that was replaced reads as zeros, which is no message).
   */
  make(offset: number, connection: number, sequence: number, generation: number): void {
    const { messageBytes, fill, hasCrc, hasStamps } = this.#options;
    const isFixed = fill !== 'always';
    if (isFixed && hasLength(this.#view, offset, messageBytes)) return;
    const payload = offset + HEADER_BYTES;
    const end = offset + messageBytes;
    if (fill !== 'none') {
      fillWords(this.#words, payload >>> 2, end >>> 2, messageSeed(connection, sequence));
    }
    if (hasStamps) {
      const stamp = this.#stamp;
      stamp.connection = isFixed ? 0 : connection;
      stamp.sequence = sequence >>> 0;
      stamp.generation = generation >>> 0;
      stamp.isFixed = isFixed;
      this.#stamper.write(offset, messageBytes, stamp);
    }
    if (hasCrc) this.#crc.compute(payload, end - payload, this.#sum);
    writeHeader(this.#view, offset, messageBytes, this.#sum);
  }
}

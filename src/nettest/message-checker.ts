/**
 * Message checker: is what arrived what was sent? One per connection.
 *
 * A good message costs no allocation; a bad one is described in words, because a person will read
 * them: which sum was wanted, and with stamps what the page held instead.
 */
import { formatCrc, MessageCrc } from './crc.ts';
import { HEADER_BYTES, hasCrc, hasLength, readCrc, readLength } from './format.ts';
import {
  CHUNK_BYTES,
  makeStamp,
  STAMP_GOOD,
  STAMP_MISSING,
  STAMP_TORN,
  type Stamp,
  Stamper,
} from './stamp.ts';

/** What a message turned out to be. */
export const GOOD = 0;
export const BAD_LENGTH = 1;
export const BAD_CRC = 2;
export const BAD_STAMP = 3;

export interface CheckOptions {
  readonly messageBytes: number;
  readonly hasCrc: boolean;
  readonly hasStamps: boolean;
}

export class MessageChecker {
  readonly #options: CheckOptions;
  readonly #view: DataView;
  readonly #crc: MessageCrc;
  readonly #stamper: Stamper;
  readonly #sum = new Uint32Array(2);
  /** What the next message's stamps should say; the connection is taken from the first. */
  readonly #want: Stamp = makeStamp();
  #isFirst = true;
  /** Messages seen, good and bad. */
  messageCount = 0;
  /** Messages that are not what was sent. */
  corruptCount = 0;
  readonly #corrupt = { length: 0, crc: 0, stamp: 0 };
  #stampVerdict = STAMP_GOOD;

  /** `bytes` is the memory in which messages arrive; see check. */
  constructor(bytes: Uint8Array, options: CheckOptions) {
    this.#options = options;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#crc = new MessageCrc(bytes);
    this.#stamper = new Stamper(bytes);
  }

  /** How many messages were bad for which reason; the first that was found counts. */
  get corruptBy(): Readonly<{ length: number; crc: number; stamp: number }> {
    return this.#corrupt;
  }

  /** Checks the next message, which lies at `offset`. */
  check(offset: number): number {
    const verdict = this.#verdict(offset);
    this.messageCount++;
    if (verdict === GOOD) return GOOD;
    this.corruptCount++;
    if (verdict === BAD_LENGTH) this.#corrupt.length++;
    else if (verdict === BAD_CRC) this.#corrupt.crc++;
    else this.#corrupt.stamp++;
    return verdict;
  }

  #verdict(offset: number): number {
    const { messageBytes } = this.#options;
    const isStampGood = !this.#options.hasStamps || this.#checkStamps(offset);
    if (!hasLength(this.#view, offset, messageBytes)) return BAD_LENGTH;
    if (this.#options.hasCrc) {
      this.#crc.compute(offset + HEADER_BYTES, messageBytes - HEADER_BYTES, this.#sum);
      if (!hasCrc(this.#view, offset, this.#sum)) return BAD_CRC;
    }
    return isStampGood ? GOOD : BAD_STAMP;
  }

  #checkStamps(offset: number): boolean {
    const { messageBytes } = this.#options;
    const want = this.#want;
    const hasStamp = this.#stamper.read(offset, messageBytes);
    const { seen } = this.#stamper;
    if (hasStamp && this.#isFirst) {
      want.connection = seen.connection;
      want.isFixed = seen.isFixed;
      this.#isFirst = false;
    }
    want.sequence = want.isFixed && hasStamp ? seen.sequence : this.messageCount >>> 0;
    this.#stampVerdict = this.#stamper.check(offset, messageBytes, want);
    return this.#stampVerdict === STAMP_GOOD;
  }

  /** What is wrong with the message at `offset` that check() found bad just now: lines of text. */
  describe(offset: number, verdict: number): readonly string[] {
    const lines: string[] = [];
    const { messageBytes } = this.#options;
    if (verdict === BAD_LENGTH) {
      const got = readLength(this.#view, offset);
      lines.push(`Bad packet length: wanted ${messageBytes}, got ${got}`);
    }
    if (verdict === BAD_CRC) {
      const wanted = readCrc(this.#view, offset).toString(16);
      lines.push(`crc error: got ${formatCrc(this.#sum)}, wanted ${wanted}`);
    }
    if (this.#options.hasStamps && this.#stampVerdict !== STAMP_GOOD) {
      lines.push(this.#describeStamp());
    }
    return lines;
  }

  #describeStamp(): string {
    const { badChunk, seen } = this.#stamper;
    const { messageBytes } = this.#options;
    const want = this.#want;
    const where =
      `message ${this.messageCount - 1}, page ${badChunk + 1} of` +
      ` ${Math.ceil(messageBytes / CHUNK_BYTES)}`;
    if (this.#stampVerdict === STAMP_MISSING) return `${where}: no stamp (xmit without --stamp?)`;
    const torn = this.#stampVerdict === STAMP_TORN ? ', and was torn while it was read' : '';
    return (
      `${where}: carries connection ${seen.connection}, message ${seen.sequence},` +
      ` generation ${seen.generation}; wanted connection ${want.connection},` +
      ` message ${want.sequence}${torn}`
    );
  }
}

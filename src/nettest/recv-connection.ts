/**
 * One connection of recv: bytes come into memory, whole messages are checked.
 *
 * OWNERSHIP  The fd is ours and closed by close().
 * INVARIANTS The memory holds a whole number of messages, so a message never wraps around its end.
 */
import { closeFd, EAGAIN, send } from '../toolkit/sys/index.ts';
import { ACK_BYTES } from './format.ts';
import { GOOD, MessageChecker } from './message-checker.ts';
import type { RecvOptions } from './options.ts';
import { makePace, type Pace } from './reader-pace.ts';
import { RecvReader, type SocketReader, SpliceReader } from './socket-reader.ts';

/** Small messages share one read of about this size. */
const READ_BYTES = 256 * 1024;
/** A turn of one connection ends behind so many bytes, so that others get theirs. */
const TURN_BYTES = 1024 * 1024;

/** Told about every bad message: lines for people. */
export type OnBad = (lines: readonly string[]) => void;

export class RecvConnection {
  readonly fd: number;
  readonly checker: MessageChecker;
  readonly pace: Pace;
  readonly #options: RecvOptions;
  readonly #reader: SocketReader;
  readonly #capacity: number;
  readonly #ack = new Uint8Array(ACK_BYTES);
  readonly #ackView = new DataView(this.#ack.buffer);
  /** Where the next byte goes, and up to where messages have been checked. */
  #filled = 0;
  #checked = 0;
  #checkedBytes = 0;
  #ackedBytes = 0;
  /** Bytes received. */
  byteCount = 0;
  /** The stream has ended, or we have: nothing is read any more. */
  isDone = false;
  /** -errno that ended the connection, or 0. */
  failure = 0;

  constructor(fd: number, options: RecvOptions, nowMs: number) {
    const { messageBytes } = options;
    this.fd = fd;
    this.#options = options;
    this.#capacity = Math.max(1, Math.floor(READ_BYTES / messageBytes)) * messageBytes;
    const bytes = new Uint8Array(this.#capacity);
    this.checker = new MessageChecker(bytes, options);
    this.#reader = options.isPlainRecv
      ? new RecvReader(fd, bytes)
      : new SpliceReader(fd, bytes, messageBytes);
    this.pace = makePace(options.reader, nowMs);
  }

  /** Bytes of a message that had not come whole when the stream ended. */
  get cutBytes(): number {
    return this.#filled - this.#checked;
  }

  /** Reads at most `limit` bytes, checks what is whole; returns the bytes read. */
  turn(limit: number, onBad: OnBad): number {
    let left = Math.min(limit, TURN_BYTES);
    let total = 0;
    let isEmpty = false;
    while (left > 0 && !this.isDone) {
      const room = Math.min(left, this.#capacity - this.#filled);
      const missing = this.#options.messageBytes - (this.#filled - this.#checked);
      const taken = this.#reader.take(this.#filled, room, Math.min(room, missing));
      if (taken <= 0) {
        isEmpty = true;
        if (taken !== -EAGAIN) this.#end(taken);
        break;
      }
      this.#filled += taken;
      total += taken;
      left -= taken;
      this.#checkWhole(onBad);
    }
    this.byteCount += total;
    this.pace.took(total, isEmpty);
    if (this.#options.hasAcks) this.#acknowledge();
    return total;
  }

  #checkWhole(onBad: OnBad): void {
    const { messageBytes, isKeepGoing } = this.#options;
    while (this.#filled - this.#checked >= messageBytes) {
      const verdict = this.checker.check(this.#checked);
      if (verdict !== GOOD) {
        onBad(this.checker.describe(this.#checked, verdict));
        if (!isKeepGoing) this.isDone = true;
      }
      this.#checked += messageBytes;
      this.#checkedBytes += messageBytes;
      if (this.isDone) return;
    }
    if (this.#checked === this.#capacity) {
      this.#checked = 0;
      this.#filled = 0;
    }
  }

  /** Says how far we are; a full socket is no loss, as a later number says it too. */
  #acknowledge(): void {
    if (this.#checkedBytes === this.#ackedBytes) return;
    this.#ackView.setUint32(0, this.#checkedBytes % 2 ** 32, true);
    this.#ackView.setUint32(4, Math.floor(this.#checkedBytes / 2 ** 32), true);
    if (send(this.fd, this.#ack, 0, ACK_BYTES) === ACK_BYTES) this.#ackedBytes = this.#checkedBytes;
  }

  #end(result: number): void {
    this.isDone = true;
    this.failure = result;
  }

  close(): void {
    this.#reader.close();
    closeFd(this.fd);
  }
}

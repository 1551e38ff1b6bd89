/**
 * NotifiedWriter: what MSG_ZEROCOPY and io_uring SEND_ZC have in common.
 *
 * WHY         Both send by reference and report every call's end; both may find that the kernel
 *             copied after all (a receiver on this machine, a device without scatter-gather). Then
 *             a plain send is cheaper, and its pages are free at once.
 * OWNERSHIP   Pages are lent from before the call until the notice (notification-reclaim.ts). What
 *             send(2) copies is never lent. The socket stays the caller's.
 * INVARIANTS  1. a call that found no room for its bookkeeping (ENOBUFS, ENOMEM, too many calls
 *             open) is sent as a copy, counted as degraded
 *             2. after copiedCallsMax copied calls in a row every write is a copy: isCopied
 *             3. on a stream the first errno but EAGAIN is the last answer; a refused datagram is
 *             lost and the socket goes on
 *             4. pendingBytes is 0: what the call did not take was not accepted.
 */
import { EAGAIN, EBADF, ENOBUFS, ENOMEM } from '../sys/errno.ts';
import { send, socketCookie } from '../sys/index.ts';
import { FlightLog } from './flight-log.ts';
import { NotificationReclaim } from './notification-reclaim.ts';
import type { MemorySource, OutputSource, PageSource } from './output-source.ts';
import {
  type Mechanism,
  makeCounts,
  type OutputCounts,
  type OutputWriter,
} from './output-writer.ts';
import { isSameSocket, kindError, socketKind } from './socket-kind.ts';
import { requireMemory } from './source-check.ts';

/** Copied calls in a row before a writer stops asking for what it does not get. */
const COPIED_CALLS_MAX = 8;

export interface NotifiedOptions {
  /**
   * Calls in a row that the kernel copied, until the writer copies by itself; Infinity: never (to
   * measure the mechanism).
   */
  readonly copiedCallsMax?: number;
}

export abstract class NotifiedWriter implements OutputWriter {
  abstract readonly mechanism: Mechanism;
  readonly fd: number;
  readonly pendingBytes = 0;
  /** Calls that are not done yet. */
  protected readonly calls: NotificationReclaim;
  protected readonly isDatagram: boolean;
  readonly #cookie: bigint | null;
  readonly #copiedCallsMax: number;
  readonly #log = new FlightLog();
  readonly #counts: OutputCounts = makeCounts();
  #isCopied = false;
  #isClosed = false;
  /** -errno once the connection is over. */
  #failure = 0;

  /** `firstCall`: the number that the kernel gives to the next call. */
  protected constructor(
    fd: number,
    mechanism: Mechanism,
    firstCall: number,
    options: NotifiedOptions,
  ) {
    const kind = socketKind(fd);
    if (kind !== 'tcp' && kind !== 'udp') {
      throw kindError(mechanism, kind, 'use splice on a UNIX stream, copy on any other socket');
    }
    this.fd = fd;
    this.#cookie = socketCookie(fd);
    this.isDatagram = kind === 'udp';
    this.calls = new NotificationReclaim(firstCall);
    this.#copiedCallsMax = options.copiedCallsMax ?? COPIED_CALLS_MAX;
  }

  /** Whether every write is a plain send by now. */
  get isCopied(): boolean {
    return this.#isCopied;
  }

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  get flightCount(): number {
    return this.#log.flightCount;
  }

  write(source: OutputSource, offset: number, length: number): number {
    const memory = requireMemory(this.mechanism, source, offset, length);
    if (this.#failure !== 0) return this.#failure;
    const position = this.#counts.sentBytes;
    if (this.#isCopied) return this.#copy(memory, offset, length);
    const isPage = memory.kind === 'page';
    if (!this.#hasRoom() || (isPage && !this.#lend(memory, position, offset, length))) {
      this.#counts.degradedCount += 1;
      return this.#copy(memory, offset, length);
    }
    const sent = this.sendByReference(memory.bytes, memory.start + offset, length, position);
    this.#counts.callCount += 1;
    if (isPage) {
      if (sent > 0) this.#log.commit(position + sent);
      else this.#log.cancel();
    }
    if (sent === -ENOBUFS || sent === -ENOMEM) {
      this.#counts.degradedCount += 1;
      return this.#copy(memory, offset, length);
    }
    return this.#answer(sent);
  }

  flush(): number {
    return this.#failure;
  }

  reclaim(): number {
    // The number of the socket may be another connection's by now.
    if (this.#isClosed) return 0;
    if (this.calls.openCount > 0) this.#readNotices();
    return this.#log.giveBack(this.calls.safeBytes(this.#counts.sentBytes));
  }

  close(): void {
    if (this.#isClosed) return;
    // A number that now means another socket: its notices are not ours.
    if (isSameSocket(this.fd, this.#cookie)) this.reclaim();
    this.#log.abandon();
    this.#isClosed = true;
    if (this.#failure === 0) this.#failure = -EBADF;
  }

  /**
   * One call that carries bytes from `position` of the stream: bytes taken, noted in `calls`; or
   * -errno with nothing noted.
   */
  protected abstract sendByReference(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number;

  /** Passes what the kernel has reported to `calls`; 0, or the -errno that it reported too. */
  protected abstract readNotices(): number;

  /** From now on every write is a copy, counted once as degraded. */
  protected copyFromNowOn(): void {
    if (!this.#isCopied) this.#counts.degradedCount += 1;
    this.#isCopied = true;
  }

  #readNotices(): void {
    const result = this.readNotices();
    if (result < 0 && this.#failure === 0 && !this.isDatagram) this.#failure = result;
    if (this.calls.copiedInRow >= this.#copiedCallsMax) this.copyFromNowOn();
  }

  #hasRoom(): boolean {
    if (this.calls.hasRoom()) return true;
    this.#readNotices();
    return this.calls.hasRoom();
  }

  #lend(page: PageSource, position: number, offset: number, length: number): boolean {
    if (this.#log.begin(page, position, offset, length)) return true;
    return this.reclaim() > 0 && this.#log.begin(page, position, offset, length);
  }

  #copy(source: MemorySource, offset: number, length: number): number {
    const sent = send(this.fd, source.bytes, source.start + offset, length);
    this.#counts.callCount += 1;
    if (sent > 0) this.#counts.copiedBytes += sent;
    return this.#answer(sent);
  }

  #answer(sent: number): number {
    if (sent > 0) {
      this.#counts.acceptedBytes += sent;
      this.#counts.sentBytes += sent;
    } else if (sent === -EAGAIN) {
      this.#counts.fullCount += 1;
    } else if (!this.isDatagram) {
      this.#failure = sent;
    }
    return sent;
  }
}

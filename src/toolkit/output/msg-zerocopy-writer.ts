/**
 * MsgZerocopyWriter: send(2) with MSG_ZEROCOPY; the error queue of the socket says what is done.
 *
 * WHY         The one way by reference that is right for every peer: the kernel itself says when a
 *             page is free. It pays from some 10 KiB a call on, to a peer on another machine.
 * OWNERSHIP   Sets SO_ZEROCOPY, and counts the calls of the socket: one such writer in the life of
 *             a socket, and nobody else sends with MSG_ZEROCOPY on it. A socket that has the option
 *             already is refused (somebody else may have counted), unless callsBefore says how many
 *             calls were made.
 * INVARIANTS  1. the kernel counts successful calls; one that failed took no number. With UDP that
 *             is not sure when a packet filter refused the datagram, or, under IP_RECVERR, when the
 *             device did (ENOBUFS): then no further call is made, the writer copies from there on
 *             2. ENOBUFS (net.core.optmem_max, RLIMIT_MEMLOCK; notices that nobody reads take of
 *             the same memory): the notices are read, this write is a copy
 *             3. an error of the connection in the queue is the last answer.
 * EVENTS      Notices raise EPOLLERR, which is no failure: call reclaim().
 * Source: Documentation/networking/msg_zerocopy.rst, net/core/skbuff.c (msg_zerocopy_realloc).
 */
import { MillraceError } from '../base/errors.ts';
import { EAGAIN, EMSGSIZE, ENOBUFS, ENOMEM, ENOMSG, errnoName } from '../sys/errno.ts';
import {
  getSocketOption,
  MSG_ZEROCOPY,
  receiveNotifications,
  reportsErrors,
  send,
  setSocketOption,
} from '../sys/index.ts';
import { type NotifiedOptions, NotifiedWriter } from './notified-writer.ts';

/** Notices read in one call; the addon takes at most 256. */
const NOTICES_MAX = 64;
const CODE_COPIED = 1;
/** No UDP datagram is longer, over IPv4 or IPv6. */
const DATAGRAM_BYTES_MAX = 65_527;

/** Of one thread; only used inside readNotices. */
const notices = new Int32Array(NOTICES_MAX * 3);

export interface MsgZerocopyOptions extends NotifiedOptions {
  /** For a socket that has SO_ZEROCOPY: calls made on it with MSG_ZEROCOPY so far. */
  readonly callsBefore?: number;
}

export class MsgZerocopyWriter extends NotifiedWriter {
  readonly mechanism = 'msgZerocopy';

  /**
   * `fd`: a connected, non-blocking TCP or UDP socket; any other throws MR_OUTPUT_MECHANISM, and so
   * does a kernel without SO_ZEROCOPY.
   */
  constructor(fd: number, options: MsgZerocopyOptions = {}) {
    super(fd, 'msgZerocopy', options.callsBefore ?? 0, options);
    if (options.callsBefore === undefined && getSocketOption(fd, 'zeroCopy') === 1) {
      throw takenError();
    }
    const result = setSocketOption(fd, 'zeroCopy', 1);
    if (result < 0) throw refusedError(result);
  }

  protected sendByReference(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number {
    const sent = send(this.fd, bytes, offset, length, MSG_ZEROCOPY);
    if (sent > 0) this.calls.add(position);
    else if (sent !== -EAGAIN && this.isDatagram && !this.#tookNoNumber(sent, length))
      this.copyFromNowOn();
    else if (sent === -ENOBUFS) this.readNotices();
    return sent;
  }

  protected readNotices(): number {
    let failure = 0;
    for (;;) {
      const count = receiveNotifications(this.fd, notices, NOTICES_MAX);
      if (count < 0) return count === -EAGAIN || failure < 0 ? failure : count;
      for (let at = 0; at < count * 3; at += 3) {
        const code = notices[at]!;
        if (code >= 0)
          this.calls.complete(notices[at + 1]!, notices[at + 2]!, code === CODE_COPIED);
        // ENOMSG: a time stamp that somebody has asked for.
        else if (code !== -ENOMSG && failure === 0) failure = code;
      }
      if (count < NOTICES_MAX) return failure;
    }
  }

  /** Whether it is sure that the kernel has not counted a datagram that it refused. */
  #tookNoNumber(result: number, length: number): boolean {
    if (result === -ENOBUFS) return reportsErrors(this.fd) === 0;
    return result === -ENOMEM || (result === -EMSGSIZE && length > DATAGRAM_BYTES_MAX);
  }
}

function takenError(): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    'msgZerocopy: the socket has SO_ZEROCOPY already, so its calls may have been counted by others',
    'leave SO_ZEROCOPY to the writer and make one writer per socket, or say callsBefore',
  );
}

function refusedError(result: number): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `msgZerocopy: the socket refuses SO_ZEROCOPY: ${errnoName(result)}`,
    'it needs Linux 4.14 for TCP, 5.0 for UDP; use splice or copy',
  );
}

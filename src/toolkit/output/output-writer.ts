/**
 * OutputWriter: one interface over every way to put bytes on a connection.
 *
 * WHY         A server decides once per connection how its bytes go out (copied, by reference, from
 *             a file) and then only writes; what differs is when a page may be filled again.
 * OWNERSHIP   The socket is the caller's: non-blocking, closed by the caller after close() (the
 *             other way round nothing is proved any more: its pages become stale). A page
 *             that was accepted is lent (PagePool.lend) until the writer's reclaim policy has
 *             proved that nobody reads it; then the writer gives it back.
 * INVARIANTS  1. bytes leave in the order in which they were accepted, each exactly once
 *             2. a call never blocks; EAGAIN is an answer  3. a writer is used by one thread
 *             4. after an errno other than EAGAIN the connection is over: close() is all that is
 *             left (a datagram socket goes on)
 *             5. what write() accepted may wait in the writer until flush(), so that small writes
 *             leave together: a turn of writes ends with flush().
 * REFUSED     callbacks and promises here (a server has thousands of writers and one epoll; see
 *             readiness.ts for the event loop of Node.js); a queue of unsent bytes (the caller
 *             holds the source and offers the rest again).
 */
import type { OutputSource } from './output-source.ts';

export const MECHANISMS = [
  'copy',
  'splice',
  'file',
  'tee',
  'msgZerocopy',
  'uringZerocopy',
  'null',
] as const;

export type Mechanism = (typeof MECHANISMS)[number];

/** What a writer counts; plain numbers, added to once per call. */
export interface OutputCounts {
  /** Bytes accepted by write(). */
  acceptedBytes: number;
  /** Bytes that the socket has taken: accepted = sent + pending. */
  sentBytes: number;
  /** Of those, bytes that were copied into the kernel by our choice or after a fall-back. */
  copiedBytes: number;
  /** System calls that moved bytes. */
  callCount: number;
  /** Answers EAGAIN of the socket. */
  fullCount: number;
  /** Times that a cheaper way was not to be had (small pipe, ENOBUFS) and a dearer was taken. */
  degradedCount: number;
}

export function makeCounts(): OutputCounts {
  return {
    acceptedBytes: 0,
    sentBytes: 0,
    copiedBytes: 0,
    callCount: 0,
    fullCount: 0,
    degradedCount: 0,
  };
}

export interface OutputWriter {
  readonly mechanism: Mechanism;
  readonly fd: number;
  readonly counts: Readonly<OutputCounts>;
  /**
   * Offers `length` bytes from `offset` of a source. Returns how many were accepted (1..length);
   * -EAGAIN: none now, wait (see pendingBytes, flightCount); any other -errno: the connection is
   * over. On a datagram socket: all of them, as one datagram, or none.
   * Throws MR_OUTPUT_SOURCE when this mechanism cannot send this kind of source.
   */
  write(source: OutputSource, offset: number, length: number): number;
  /** Bytes accepted which the socket has not taken yet: gathered, or the socket was full. */
  readonly pendingBytes: number;
  /**
   * Moves pending bytes on. Returns what is still pending, or -errno (never -EAGAIN). When it is
   * above 0 the socket is full: wait for EPOLLOUT, then flush again.
   */
  flush(): number;
  /** Lends of pages that have not been given back. */
  readonly flightCount: number;
  /** Asks the policy, gives pages back; returns how many lends ended. */
  reclaim(): number;
  /**
   * Gives up what the writer owns (pipe, ring). Pages still in flight are marked stale: their
   * memory is replaced before it is used again. write() answers -EBADF from then on; a second call
   * does nothing.
   */
  close(): void;
}

/**
 * Parcel: the chosen records of one block, on their way over one connection.
 *
 * WHY        The channel reads blocks and chooses records; the connection moves bytes and knows
 *            what arrived. A parcel is all that passes between them, so that either can be tested
 *            without the other.
 * OWNERSHIP  Made by a channel, held by a connection from `tryAdd` until it is settled; then
 *            `onSettled` of the channel is called once, and what it refers to may go (the segment,
 *            the gathered bytes).
 * INVARIANTS 1. bytes are whole records  2. a connection settles its parcels in the order in which
 *            they were added  3. what is sent on a connection begins and ends at record boundaries,
 *            but for the one record that a broken connection cuts.
 */
import type { OpenSegment } from './segment-files.ts';

export interface Parcel {
  /** Journal position of the block, and behind it. */
  readonly position: number;
  readonly endPosition: number;
  /** Records and bytes that go on the wire. */
  readonly records: number;
  readonly bytes: number;
  /** The exporter's 16 address bytes as latin1: which connection, where there is one for each. */
  readonly exporter: string;
  /** Where the bytes are: a whole payload in a segment file, or records gathered in memory. */
  readonly file: { readonly segment: OpenSegment; readonly offset: number } | null;
  readonly memory: {
    readonly bytes: Uint8Array;
    readonly offset: number;
  } | null;
  /** When its bytes were last known to be in the page cache (monotonic ms). */
  readonly seenMs: number;
}

/**
 * What became of a parcel. delivered + cut + damaged = records; less, when its connection was
 * closed before the end: then the rest, from the record boundary `resumeBytes` on, is given up.
 */
export interface Settlement {
  /** Records that TCP has taken (`resend: none`) or the peer's TCP acknowledged (`unacked`). */
  readonly delivered: number;
  /** Records in which a connection broke, not sent again (`none`): one for each break. */
  readonly cut: number;
  /** Records sent a second time, beside the equation (`unacked`). */
  readonly resent: number;
  /** Records that the segment file does not give back. */
  readonly damaged: number;
  /**
   * Offset in the parcel behind the last record that is settled: its bytes, or less (see above).
   */
  readonly resumeBytes: number;
}

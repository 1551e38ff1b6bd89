/**
 * Broken stream: after a connection ended, says where each parcel of its outbox goes on.
 *
 * WHY         This is the choice of `resend`, in one place.
 *             none     the bytes that TCP took are delivered. The record in which the stream ended
 *                      is cut, and not sent again: the parcel goes on behind it.
 *             unacked  what the peer's TCP acknowledged is delivered. The first parcel that is not
 *                      acknowledged whole goes on at the record boundary at or below that byte,
 *                      the ones behind it from where this connection began with them.
 * INVARIANTS  1. afterwards sentOffset = startOffset in every entry, a record boundary
 *             2. startRecords is the number of records below startOffset.
 * READS       Frames of a parcel that was begun. When its file cannot be read it is tried again
 *             later, and in the end (`mustEnd`) what cannot be read is given up as damaged.
 */
import type { ConnectionCounts } from './connection-counts.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';
import type { RecordWalk } from './record-walk.ts';

export class BrokenStream {
  readonly #resend: 'none' | 'unacked';
  readonly #walk: RecordWalk;
  readonly #counts: ConnectionCounts;

  constructor(resend: 'none' | 'unacked', walk: RecordWalk, counts: ConnectionCounts) {
    this.#resend = resend;
    this.#walk = walk;
    this.#counts = counts;
  }

  /**
   * `ackedBytes`: of the stream that ended. False: a file could not be read, nothing was changed
   * for that entry and those behind it; call it again. With `mustEnd` it is always true.
   */
  rewind(outbox: Outbox, ackedBytes: number, mustEnd: boolean): boolean {
    for (let i = 0; i < outbox.count; i++) {
      const entry = outbox.at(i);
      if (entry.sentOffset === entry.startOffset) continue;
      const isDone =
        this.#resend === 'none'
          ? this.#behindCut(entry)
          : this.#atAck(entry, ackedBytes, i < outbox.sendIndex);
      if (isDone) continue;
      if (!mustEnd) return false;
      this.#giveUp(entry);
    }
    outbox.rewind();
    return true;
  }

  /** Ends a parcel before the record that holds `sentOffset`: its file gives no more. */
  truncate(entry: OutboxEntry): void {
    const { parcel, startOffset, sentOffset } = entry;
    this.#walk.walk(parcel, startOffset, sentOffset);
    entry.endOffset = this.#walk.boundary;
    entry.endRecords = entry.startRecords + this.#walk.records;
    // The part of a record behind the end is on the wire, and no record of this parcel any more.
    if (sentOffset > entry.endOffset) this.#counts.cutRecords += 1;
    entry.sentOffset = entry.endOffset;
  }

  #behindCut(entry: OutboxEntry): boolean {
    const { parcel, startOffset, sentOffset } = entry;
    const walk = this.#walk;
    if (!walk.walk(parcel, startOffset, sentOffset)) return false;
    const { boundary, records } = walk;
    const isCut = boundary < sentOffset;
    const next = isCut ? walk.endOfRecord(parcel, boundary) : boundary;
    if (next < 0) return false;
    this.#counts.sentRecords += records;
    this.#counts.cutRecords += isCut ? 1 : 0;
    entry.cut += isCut ? 1 : 0;
    entry.startRecords += records + (isCut ? 1 : 0);
    entry.startOffset = next;
    entry.sentOffset = next;
    return true;
  }

  #atAck(entry: OutboxEntry, ackedBytes: number, wasWhole: boolean): boolean {
    const { parcel, startOffset, sentOffset } = entry;
    const ackedHere = Math.max(0, ackedBytes - entry.streamStart);
    const ackedOffset = Math.min(sentOffset, startOffset + ackedHere);
    const walk = this.#walk;
    if (!walk.walk(parcel, startOffset, ackedOffset)) return false;
    const { boundary, records } = walk;
    let again = entry.endRecords - entry.startRecords - records;
    if (!wasWhole) {
      if (!walk.walk(parcel, boundary, sentOffset)) return false;
      const isCut = walk.boundary < sentOffset;
      again = walk.records + (isCut ? 1 : 0);
      this.#counts.sentRecords += records + walk.records;
      this.#counts.cutRecords += isCut ? 1 : 0;
    }
    entry.resent += again;
    entry.startRecords += records;
    entry.startOffset = boundary;
    entry.sentOffset = boundary;
    return true;
  }

  /** What is known of an entry that cannot be read stays; the rest of it is damaged. */
  #giveUp(entry: OutboxEntry): void {
    entry.endOffset = entry.startOffset;
    entry.endRecords = entry.startRecords;
    entry.sentOffset = entry.startOffset;
  }
}

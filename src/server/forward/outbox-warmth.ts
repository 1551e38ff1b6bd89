/**
 * Outbox warmth: looks again whether what waited in an outbox is still in the page cache.
 *
 * WHY        A parcel was warm when its channel read its block. If its destination then stopped
 *            reading for minutes, and memory was needed, sendfile(2) would wait for the disk, and
 *            with it the thread that all destinations share.
 * RULE       Before a parcel of a file is sent that nobody has looked at for LOOK_AGAIN_MS, a byte
 *            every PROBE_EVERY_BYTES is asked for by preadv2(2) with RWF_NOWAIT. If one is cold the
 *            catch-up worker is asked to read it, and what of the outbox lies near behind it; the
 *            connection leaves its turn until that is done.
 * COST       None for a destination that reads: its parcels are gone before that.
 * INVARIANTS What is cold again right after it was read (memory is short), or cannot be read, is
 *            sent and waited for: slow, but it goes on.
 * REFUSED    Looking while the socket is full (what is read for a destination that does not read
 *            is in vain: connection.ts asks for room first).
 */
import { type CatchupClient, NO_REQUEST } from './catchup-client.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';
import type { SegmentFiles } from './segment-files.ts';
import { WINDOW_BYTES } from './warming-cursor.ts';

/** The kernel forgets nothing that was just read, unless it is short of memory. */
export const LOOK_AGAIN_MS = 1_000;
/** The kernel's usual read-ahead: what is there of a range begins and ends at such steps. */
const PROBE_EVERY_BYTES = 128 * 1024;

/** Who knows what is cold, and who reads it. */
export interface WarmthSource {
  readonly files: Pick<SegmentFiles, 'isCold'>;
  readonly catchup: Pick<CatchupClient, 'request' | 'isDone'>;
}

/** Of one connection. */
export class OutboxWarmth {
  readonly #source: WarmthSource | null;
  #request = NO_REQUEST;
  #hasCome = false;

  constructor(source: WarmthSource | null) {
    this.#source = source;
  }

  /** What was asked for has been read since: mayGo() lets it go. */
  get hasCome(): boolean {
    if (this.#request !== NO_REQUEST && this.#source!.catchup.isDone(this.#request)) {
      this.#request = NO_REQUEST;
      this.#hasCome = true;
    }
    return this.#hasCome;
  }

  /** Whether the first unsent parcel may be sent; if not, it is being read: try again later. */
  mayGo(outbox: Outbox, nowMs: number): boolean {
    const entry = outbox.unsent;
    if (this.#source === null || entry === null || entry.parcel.file === null) return true;
    if (this.hasCome) {
      this.#hasCome = false;
      entry.seenMs = nowMs;
    }
    if (this.#request !== NO_REQUEST) return false;
    if (nowMs - entry.seenMs < LOOK_AGAIN_MS) return true;
    if (this.#isCold(this.#source, entry)) {
      this.#ask(this.#source, outbox, entry);
      return false;
    }
    entry.seenMs = nowMs;
    return true;
  }

  /** Another parcel is the first one now. */
  forget(): void {
    this.#request = NO_REQUEST;
    this.#hasCome = false;
  }

  #isCold({ files }: WarmthSource, { parcel, sentOffset, endOffset }: OutboxEntry): boolean {
    const { segment, offset } = parcel.file!;
    for (let at = sentOffset; at < endOffset; at += PROBE_EVERY_BYTES) {
      if (files.isCold(segment.fd, offset + at)) return true;
    }
    return files.isCold(segment.fd, offset + endOffset - 1);
  }

  /** From the first unsent byte on, and all that is unsent of the same segment in a window. */
  #ask({ catchup }: WarmthSource, outbox: Outbox, first: OutboxEntry): void {
    const { segment, offset } = first.parcel.file!;
    const from = offset + first.sentOffset;
    let end = offset + first.endOffset;
    for (let i = outbox.sendIndex + 1; i < outbox.count; i++) {
      const { parcel, endOffset } = outbox.at(i);
      if (parcel.file === null) continue;
      const itsEnd = parcel.file.offset + endOffset;
      if (parcel.file.segment !== segment || itsEnd > from + WINDOW_BYTES) break;
      end = Math.max(end, itsEnd);
    }
    this.#request = catchup.request(segment, from, end - from);
  }
}

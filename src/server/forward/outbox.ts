/**
 * Outbox: the parcels of one connection, from the first that is not settled to the last added.
 *
 * WHY         A connection sends at one place of this row and settles at another: between the two
 *             lies what TCP has and the peer has not acknowledged.
 * LAYOUT      A ring of entries that are used again:
 *               settled | begun and sent, waits for its ACK | being sent | not begun | free
 *                       ^ front                              ^ sendIndex
 * BOUNDS      `resend: unacked` keeps parcels until they are acknowledged, so it needs what a
 *             socket's buffer holds and more. `none` needs the parcel that is being sent and the
 *             next one; and what lies here at a kill is lost, so no more. Parcels in memory are
 *             bounded lower than parcels in files, which cost a number. One parcel always fits.
 */
import type { Parcel, Settlement } from './parcel.ts';

/** More than tcp_wmem's default maximum (4 to 6 MiB): a full socket leaves something to send. */
export const OUTBOX_BYTES_MAX = 8 << 20;
/** A thousand connections to dead destinations hold half a gigabyte at the very most. */
export const OUTBOX_MEMORY_BYTES_MAX = 512 << 10;
export const OUTBOX_COUNT_MAX = { none: 2, unacked: 256 } as const;

/** A parcel on its way. Offsets are bytes in the parcel. */
export interface OutboxEntry {
  parcel: Parcel;
  /** Where this connection began or begins with it: a record boundary; and the records below. */
  startOffset: number;
  startRecords: number;
  /** TCP has taken the bytes below. */
  sentOffset: number;
  /** Where it ends: parcel.bytes, or before what cannot be read from its file. */
  endOffset: number;
  endRecords: number;
  /** Bytes of the connection's stream before startOffset, and behind the last byte sent. */
  streamStart: number;
  streamEnd: number;
  /** Of the settlement. */
  cut: number;
  resent: number;
  /** Sending it failed so often for a reason that is not the network's. */
  failures: number;
  /** When its bytes were last known to be in the page cache. */
  seenMs: number;
}

const NO_PARCEL: Parcel = {
  position: 0,
  endPosition: 0,
  records: 0,
  bytes: 0,
  exporter: '',
  file: null,
  memory: null,
  seenMs: 0,
};

function makeEntry(): OutboxEntry {
  return {
    parcel: NO_PARCEL,
    startOffset: 0,
    startRecords: 0,
    sentOffset: 0,
    endOffset: 0,
    endRecords: 0,
    streamStart: 0,
    streamEnd: 0,
    cut: 0,
    resent: 0,
    failures: 0,
    seenMs: 0,
  };
}

/** What became of an entry: all of it (`isWhole`), or only what is below its startOffset. */
export function settlementOf(entry: OutboxEntry, isWhole: boolean): Settlement {
  return {
    delivered: (isWhole ? entry.endRecords : entry.startRecords) - entry.cut,
    cut: entry.cut,
    resent: entry.resent,
    damaged: entry.parcel.records - entry.endRecords,
    resumeBytes: isWhole ? entry.parcel.bytes : entry.startOffset,
  };
}

export class Outbox {
  readonly #entries: OutboxEntry[];
  #first = 0;
  #count = 0;
  #bytes = 0;
  #memoryBytes = 0;
  /** Entries from the front that were sent whole. */
  sendIndex = 0;
  /** Bytes that TCP has not taken. */
  unsentBytes = 0;
  /** Since the last parcel left, one was refused. */
  #hasRefused = false;

  constructor(countMax: number) {
    this.#entries = Array.from({ length: countMax }, makeEntry);
  }

  get count(): number {
    return this.#count;
  }

  /** Nothing more goes in: to wait for more is in vain. */
  get isFull(): boolean {
    return this.#hasRefused || this.#count === this.#entries.length;
  }

  /** False: no room for it now. */
  tryPush(parcel: Parcel): boolean {
    if (!this.#hasRoom(parcel)) {
      this.#hasRefused = true;
      return false;
    }
    const entry = this.at(this.#count);
    entry.parcel = parcel;
    entry.startOffset = 0;
    entry.startRecords = 0;
    entry.sentOffset = 0;
    entry.endOffset = parcel.bytes;
    entry.endRecords = parcel.records;
    entry.cut = 0;
    entry.resent = 0;
    entry.failures = 0;
    entry.seenMs = parcel.seenMs;
    this.#count += 1;
    this.#bytes += parcel.bytes;
    if (parcel.memory !== null) this.#memoryBytes += parcel.bytes;
    this.unsentBytes += parcel.bytes;
    return true;
  }

  /** The i-th entry from the front; of `count`, the one that would be next. */
  at(i: number): OutboxEntry {
    return this.#entries[(this.#first + i) % this.#entries.length]!;
  }

  /** The entry that is sent next, or null. */
  get unsent(): OutboxEntry | null {
    return this.sendIndex < this.#count ? this.at(this.sendIndex) : null;
  }

  /** Takes the front out. Its entry is used again by the next tryPush. */
  shift(): Parcel {
    const parcel = this.#release(this.at(0));
    this.#first = (this.#first + 1) % this.#entries.length;
    this.#count -= 1;
    if (this.sendIndex > 0) this.sendIndex -= 1;
    return parcel;
  }

  /**
   * Takes out and settles what is too old and not begun. The oldest stand in front: those behind
   * keep their places. True: another parcel is sent next.
   */
  giveBack(
    isTooOld: (parcel: Parcel) => boolean,
    onSettled: (parcel: Parcel, settlement: Settlement) => void,
  ): boolean {
    const { unsent, sendIndex } = this;
    const isBegun = unsent !== null && unsent.sentOffset > unsent.startOffset;
    const index = isBegun ? sendIndex + 1 : sendIndex;
    while (index < this.#count && isTooOld(this.at(index).parcel)) {
      const settlement = settlementOf(this.at(index), false);
      onSettled(this.#takeOut(index), settlement);
    }
    return this.unsent !== unsent;
  }

  /** Its entry is used again. */
  #takeOut(index: number): Parcel {
    const entry = this.at(index);
    for (let i = index; i + 1 < this.#count; i++) this.#put(i, this.at(i + 1));
    this.#count -= 1;
    this.#put(this.#count, entry);
    return this.#release(entry);
  }

  /** After a break: what is sent next is the front, from where its entries stand now. */
  rewind(): void {
    this.sendIndex = 0;
    this.unsentBytes = 0;
    for (let i = 0; i < this.#count; i++) {
      const entry = this.at(i);
      this.unsentBytes += entry.endOffset - entry.sentOffset;
    }
  }

  #put(i: number, entry: OutboxEntry): void {
    this.#entries[(this.#first + i) % this.#entries.length] = entry;
  }

  /** There is room again. */
  #release(entry: OutboxEntry): Parcel {
    const { parcel } = entry;
    this.unsentBytes -= entry.endOffset - entry.sentOffset;
    this.#bytes -= parcel.bytes;
    if (parcel.memory !== null) this.#memoryBytes -= parcel.bytes;
    entry.parcel = NO_PARCEL;
    this.#hasRefused = false;
    return parcel;
  }

  #hasRoom(parcel: Parcel): boolean {
    if (this.#count === this.#entries.length) return false;
    if (this.#count === 0) return true;
    if (this.#bytes + parcel.bytes > OUTBOX_BYTES_MAX) return false;
    const isSmall = this.#memoryBytes + parcel.bytes <= OUTBOX_MEMORY_BYTES_MAX;
    return parcel.memory === null || this.#memoryBytes === 0 || isSmall;
  }
}

/**
 * Parcel sender: puts the unsent bytes of an outbox on a socket.
 *
 * WHY         Three ways, picked for each parcel: sendfile(2) for a block in a segment file; one
 *             send(2) for adjacent parcels of one gather buffer; and for `mechanism: copy` a read
 *             into a buffer of our own and send(2).
 * SEGMENTS    TCP_NODELAY is set, so a send ends with a segment of its own, unless MSG_MORE says
 *             that this turn brings more. (With Nagle's rule a tail waits for the ACK of what went
 *             before, which a peer may delay for 40 ms: more than the latency that is promised.)
 * INVARIANTS  Bytes leave in the order of the outbox; what TCP took is noted before anything else.
 * REFUSED     FileWriter of the toolkit: its checks of kind and range are made once per block here
 *             already, and a source object per segment file would have to be kept; TCP_CORK (two
 *             more calls a turn).
 */
import {
  EINVAL,
  ENODATA,
  ENOSYS,
  EOPNOTSUPP,
  errnoName,
  MSG_MORE,
  pread,
  send,
  sendfile,
  sendRanges,
} from '../../toolkit/sys/index.ts';
import type { ForwardMechanism } from './options.ts';
import type { Outbox, OutboxEntry } from './outbox.ts';

/** The most ranges of one sendmsg(2). */
const RANGES_MAX = 64;
/** What is read and not taken by a full socket is read again: so no more than a socket's step. */
const COPY_BYTES = 65_536;
const RANGE_NUMBER_MAX = 0x7fff_ffff;

/** Made once per destination: its buffers serve all its connections. */
export class ParcelSender {
  readonly #ranges = new Int32Array(2 * RANGES_MAX);
  #copyBuffer: Uint8Array | null = null;
  #isCopying: boolean;
  #why: string;
  #hasSentFile = false;
  #hasSentMemory = false;

  constructor(mechanism: ForwardMechanism) {
    this.#isCopying = mechanism === 'copy';
    this.#why = mechanism === 'auto' ? '' : 'as configured';
  }

  /** The ways that were used so far, and why. */
  get mechanism(): { readonly name: string; readonly why: string } {
    const file = this.#isCopying ? 'copy' : 'sendfile';
    if (this.#why !== '') return { name: file, why: this.#why };
    if (!this.#hasSentMemory) return { name: file, why: 'whole blocks from the page cache' };
    if (!this.#hasSentFile) return { name: 'copy', why: 'chosen records, gathered in memory' };
    return { name: 'sendfile, copy', why: 'whole blocks, and chosen records' };
  }

  /**
   * Sends at most `budget` bytes of what is unsent in one call. Returns bytes taken (the caller
   * notes them), -EAGAIN, or -errno; -ENODATA: the file ends before the parcel does.
   */
  send(fd: number, outbox: Outbox, budget: number): number {
    const entry = outbox.unsent;
    if (entry === null) return 0;
    if (entry.parcel.memory !== null) return this.#sendMemory(fd, outbox, budget);
    this.#hasSentFile = true;
    const length = Math.min(budget, entry.endOffset - entry.sentOffset);
    if (!this.#isCopying) {
      const { file } = entry.parcel;
      const sent = sendfile(fd, file!.segment.fd, file!.offset + entry.sentOffset, length);
      if (sent === 0) return -ENODATA;
      if (sent !== -EINVAL && sent !== -EOPNOTSUPP && sent !== -ENOSYS) return sent;
      this.#isCopying = true;
      this.#why = `sendfile answers ${errnoName(sent)}`;
    }
    return this.#sendCopy(fd, entry, length, length < budget && outbox.unsentBytes > length);
  }

  #sendCopy(fd: number, entry: OutboxEntry, wanted: number, isMore: boolean): number {
    this.#copyBuffer ??= new Uint8Array(COPY_BYTES);
    const { file } = entry.parcel;
    const length = Math.min(COPY_BYTES, wanted);
    const got = pread(
      file!.segment.fd,
      this.#copyBuffer,
      0,
      length,
      file!.offset + entry.sentOffset,
    );
    if (got <= 0) return got === 0 ? -ENODATA : got;
    return send(fd, this.#copyBuffer, 0, got, got < wanted || isMore ? MSG_MORE : 0);
  }

  /** Adjacent parcels of one buffer in one call. */
  #sendMemory(fd: number, outbox: Outbox, budget: number): number {
    this.#hasSentMemory = true;
    const { bytes } = outbox.unsent!.parcel.memory!;
    let count = 0;
    let gathered = 0;
    for (let i = outbox.sendIndex; i < outbox.count && count < RANGES_MAX; i++) {
      const { parcel, sentOffset, endOffset } = outbox.at(i);
      const length = Math.min(endOffset - sentOffset, budget - gathered);
      if (parcel.memory?.bytes !== bytes || length === 0) break;
      const offset = parcel.memory.offset + sentOffset;
      if (count > 0 && offset > RANGE_NUMBER_MAX) break;
      this.#ranges[2 * count] = offset;
      this.#ranges[2 * count + 1] = length;
      gathered += length;
      count += 1;
    }
    const isMore = gathered < budget && outbox.unsentBytes > gathered;
    const flags = isMore ? MSG_MORE : 0;
    const first = outbox.unsent!;
    const offset = first.parcel.memory!.offset + first.sentOffset;
    if (count === 1) return send(fd, bytes, offset, gathered, flags);
    return sendRanges(fd, bytes, this.#ranges, count, flags);
  }
}

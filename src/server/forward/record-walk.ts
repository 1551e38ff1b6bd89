/**
 * Record walk: where in a parcel a record ends, after a connection broke somewhere in it.
 *
 * WHY         While bytes flow nobody looks at them. When a connection breaks the stream must go on
 *             at a record boundary: frames are walked once, from the last boundary that is known.
 * OWNERSHIP   One buffer, used again; one walk at a time. A file parcel is read in pieces.
 * REFUSED     An index of boundaries per parcel (paid for every block, used at a break only);
 *             mapping the segment (a file cut short would kill the process).
 */
import { PREFIX_BYTES } from '../../rdr/constants.ts';
import { RUN_BROKEN, RUN_END, RUN_RECORDS, walkFrames } from '../../rdr/frame-run.ts';
import { BAD_PREFIX, frameLength } from '../../rdr/index.ts';
import { pread } from '../../toolkit/sys/index.ts';
import type { Parcel } from './parcel.ts';

/** More than the longest frame (10,004 bytes), so that every piece brings the walk on. */
const PIECE_BYTES = 65_536;

export class RecordWalk {
  readonly #buffer = new Uint8Array(PIECE_BYTES);
  readonly #view = new DataView(this.#buffer.buffer);
  readonly #run = new Int32Array(3);
  /** The last boundary that walk() came to, and the whole records up to there. */
  boundary = 0;
  records = 0;

  /**
   * Walks whole records from the boundary `from` up to `limit` (offsets in the parcel). False: the
   * bytes cannot be read, or are no records; `boundary` and `records` tell how far it came.
   */
  walk(parcel: Parcel, from: number, limit: number): boolean {
    this.boundary = from;
    this.records = 0;
    if (parcel.memory !== null) return this.#walkMemory(parcel.memory, from, limit);
    while (this.boundary < limit) {
      const length = this.#load(parcel, this.boundary, limit - this.boundary);
      if (length <= 0) return false;
      walkFrames(this.#view, 0, length, this.#run);
      this.#advance(this.#run[RUN_END]!);
      if (this.#run[RUN_BROKEN] === 1) return false;
      const isWhole = this.boundary + (length - this.#run[RUN_END]!) >= limit;
      if (isWhole) return true;
      if (this.#run[RUN_END] === 0) return false;
    }
    return true;
  }

  /** The offset behind the record that begins at the boundary `at`; -1: it cannot be read. */
  endOfRecord(parcel: Parcel, at: number): number {
    let length = BAD_PREFIX;
    if (parcel.memory !== null) {
      length = frameLength(parcel.memory.bytes, parcel.memory.offset + at);
    } else if (this.#load(parcel, at, PREFIX_BYTES) === PREFIX_BYTES) {
      length = frameLength(this.#buffer, 0);
    }
    return length === BAD_PREFIX || at + length > parcel.bytes ? -1 : at + length;
  }

  #walkMemory(memory: NonNullable<Parcel['memory']>, from: number, limit: number): boolean {
    const { buffer, byteOffset, byteLength } = memory.bytes;
    const view = new DataView(buffer, byteOffset, byteLength);
    walkFrames(view, memory.offset + from, memory.offset + limit, this.#run);
    this.#advance(this.#run[RUN_END]! - memory.offset - from);
    return this.#run[RUN_BROKEN] === 0;
  }

  #advance(bytes: number): void {
    this.boundary += bytes;
    this.records += this.#run[RUN_RECORDS]!;
  }

  /** Bytes read into the buffer; what is there before an error, or before the end; 0 or -errno. */
  #load({ file }: Parcel, at: number, wanted: number): number {
    const length = Math.min(PIECE_BYTES, wanted);
    let done = 0;
    while (done < length) {
      const got = pread(
        file!.segment.fd,
        this.#buffer,
        done,
        length - done,
        file!.offset + at + done,
      );
      if (got <= 0) return done > 0 ? done : got;
      done += got;
    }
    return done;
  }
}

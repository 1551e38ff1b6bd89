/**
 * Forward received: what a destination got, connection by connection, as columns of records.
 *
 * WHY     A long run receives gigabytes: of each record only its name (mark, ordinal) and the
 *         checksum of its bytes are kept, which is all that the judge compares.
 */
import { crc32 } from 'node:zlib';
import {
  FLOW_CONTEXT_ID_OFFSET,
  frameLength,
  RawFramer,
  SOURCE_IP_SAMPLE_OFFSET,
} from '../../src/rdr/index.ts';

/**
 * How a connection ended: `fin` and `rst` came from the server, `broken` was done by the
 * destination.
 */
export type ReceivedEnd = 'open' | 'fin' | 'rst' | 'broken';

export class ReceivedConnection {
  /** In the order in which the connections of a run were accepted, over all destinations. */
  readonly ordinal: number;
  readonly peer: string;
  readonly marks: number[] = [];
  readonly sequences: number[] = [];
  readonly checksums: number[] = [];
  end: ReceivedEnd = 'open';
  /** Connections below it were accepted before this one ended. */
  endOrdinal: number = Number.MAX_SAFE_INTEGER;
  /** The server was killed while it was open. */
  isOrphan = false;
  /** Bytes that TCP may have acknowledged and nobody read, at the break. */
  lossBytesMax = 0;
  bytes = 0;
  readonly #framer: RawFramer;

  constructor(ordinal: number, peer: string) {
    this.ordinal = ordinal;
    this.peer = peer;
    this.#framer = new RawFramer((bytes, view, offset, length) => {
      for (let at = offset; at < offset + length; ) {
        const size = frameLength(bytes, at);
        const mark = view.getUint16(at + SOURCE_IP_SAMPLE_OFFSET);
        const sequence = view.getUint32(at + FLOW_CONTEXT_ID_OFFSET);
        this.addRecord(mark, sequence, crc32(bytes.subarray(at, at + size)));
        at += size;
      }
    }, 256 * 1024);
  }

  get records(): number {
    return this.marks.length;
  }

  get resyncBytes(): number {
    return this.#framer.resyncBytes;
  }

  /** Bytes of half a record at the end; known when it has ended. */
  get cutBytes(): number {
    return this.#framer.truncatedBytes;
  }

  /** Ends in the middle of a record only if it was broken. */
  get isBroken(): boolean {
    return this.isOrphan || this.end === 'broken' || this.end === 'rst';
  }

  addRecord(mark: number, sequence: number, checksum: number): void {
    this.marks.push(mark);
    this.sequences.push(sequence);
    this.checksums.push(checksum);
  }

  push(piece: Uint8Array): void {
    this.bytes += piece.length;
    this.#framer.push(piece);
  }

  finish(end: ReceivedEnd, endOrdinal: number = this.ordinal + 1): void {
    if (this.end !== 'open') return;
    this.end = end;
    this.endOrdinal = endOrdinal;
    this.#framer.finish();
  }
}

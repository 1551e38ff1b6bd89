/**
 * Sink connection: what came over one connection, cut into records and looked at.
 *
 * WHY     Each connection is framed by itself, by the rules of the collector: lengths lead, and a
 *         half record at the end is a cut record.
 */
import {
  FLOW_CONTEXT_ID_OFFSET,
  frameLength,
  RawFramer,
  SOURCE_IP_SAMPLE_OFFSET,
  TAG_OFFSET,
} from '../rdr/index.ts';
import type { LastSeen, SequenceCheck } from './sequence-check.ts';
import type { TagCounts } from './tag-counts.ts';

/** Room for what a socket brings at once and half a record. */
const FRAMER_BYTES = 128 * 1024;

/** How a connection ended; `stopped`: by the end of the sink. */
export type ConnectionEnd = 'open' | 'closed' | 'reset' | 'stopped';

export interface ConnectionSummary {
  readonly peer: string;
  readonly records: number;
  readonly bytes: number;
  /** Bytes of half a record at the end. */
  readonly cutBytes: number;
  /** Bytes that are no records, and in how many runs. */
  readonly resyncBytes: number;
  readonly resyncRuns: number;
  readonly end: ConnectionEnd;
}

/** What all connections of a sink are counted into. */
export interface SharedChecks {
  readonly tags: TagCounts;
  readonly sequences: SequenceCheck | null;
  readonly isMarked: boolean;
}

export class SinkConnection {
  readonly #peer: string;
  readonly #index: number;
  readonly #checks: SharedChecks;
  readonly #framer: RawFramer;
  readonly #lastSeen: LastSeen = new Map();
  #records = 0;
  #bytes = 0;
  #end: ConnectionEnd = 'open';

  constructor(peer: string, index: number, checks: SharedChecks) {
    this.#peer = peer;
    this.#index = index;
    this.#checks = checks;
    this.#framer = new RawFramer((bytes, view, offset, length) => {
      this.#take(bytes, view, offset, offset + length);
    }, FRAMER_BYTES);
  }

  get records(): number {
    return this.#records;
  }

  get end(): ConnectionEnd {
    return this.#end;
  }

  /** Takes a piece of the stream; the records that it completed. */
  push(piece: Uint8Array): number {
    const before = this.#records;
    this.#bytes += piece.length;
    this.#framer.push(piece);
    return this.#records - before;
  }

  /** Nothing more comes: what is left is a cut record. */
  finish(end: ConnectionEnd): void {
    if (this.#end !== 'open') return;
    this.#end = end;
    this.#framer.finish();
  }

  summary(): ConnectionSummary {
    return {
      peer: this.#peer,
      records: this.#records,
      bytes: this.#bytes,
      cutBytes: this.#framer.truncatedBytes,
      resyncBytes: this.#framer.resyncBytes,
      resyncRuns: this.#framer.resyncRuns,
      end: this.#end,
    };
  }

  #take(bytes: Uint8Array, view: DataView, start: number, end: number): void {
    const { tags, sequences, isMarked } = this.#checks;
    for (let at = start; at < end; at += frameLength(bytes, at)) {
      this.#records++;
      tags.add(view.getUint32(at + TAG_OFFSET));
      if (sequences === null) continue;
      const key = isMarked ? view.getUint16(at + SOURCE_IP_SAMPLE_OFFSET) : this.#index;
      sequences.see(this.#lastSeen, key, view.getUint32(at + FLOW_CONTEXT_ID_OFFSET));
    }
  }
}

/**
 * Forward truth: which records a server took in, by stream, and what each one looks like.
 *
 * WHY     The forwarder promises something about what the journal holds. So the truth is read from
 *         the journal, with its own reader; where retention removes segments, from what exporters
 *         sent. A record is known by its header: the mark of its incoming connection (the address
 *         samples) and its ordinal in it (the flow context id); its bytes by a checksum.
 */
import { crc32 } from 'node:zlib';
import {
  FLOW_CONTEXT_ID_OFFSET,
  frameLength,
  readRecord,
  SOURCE_IP_SAMPLE_OFFSET,
  TAG_OFFSET,
} from '../../src/rdr/index.ts';
import { formatAddress } from '../../src/server/address.ts';
import { JournalReader } from '../../src/server/journal/reader.ts';
import type { ReceivedConnection } from './forward-received.ts';

/** One incoming connection; index of each array is the record's ordinal in it. */
export interface TrueStream {
  readonly mark: number;
  readonly exporter: string;
  readonly checksums: number[];
  readonly lengths: number[];
  readonly tags: number[];
  /** Subscriber, or `exporter ADDRESS` for records without one. */
  readonly keys: string[];
  /** Place in the journal, counted over all streams. */
  readonly places: number[];
}

export class ForwardTruth {
  readonly streams: Map<number, TrueStream> = new Map();
  /** Whole blocks may be missing: the disk was full, or retention took them. */
  readonly hasHoles: boolean;
  /** Records of all streams. */
  records = 0;

  constructor(hasHoles = false) {
    this.hasHoles = hasHoles;
  }

  /** Takes whole records back to back; `withKeys` decodes each one for its subscriber. */
  add(bytes: Uint8Array, offset: number, length: number, exporter: string, withKeys = false): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = offset; at < offset + length; ) {
      const size = frameLength(bytes, at);
      const mark = view.getUint16(at + SOURCE_IP_SAMPLE_OFFSET);
      const sequence = view.getUint32(at + FLOW_CONTEXT_ID_OFFSET);
      const stream = this.#stream(mark, exporter);
      if (sequence !== stream.checksums.length && !this.hasHoles) {
        throw new Error(`the truth itself has a hole: stream ${mark} at ${sequence}`);
      }
      while (stream.checksums.length < sequence) addHole(stream);
      stream.checksums.push(crc32(bytes.subarray(at, at + size)));
      stream.lengths.push(size);
      stream.tags.push(view.getUint32(at + TAG_OFFSET));
      stream.keys.push(withKeys ? keyOf(bytes.slice(at, at + size), exporter) : '');
      stream.places.push(this.records);
      this.records++;
      at += size;
    }
  }

  /** Takes one record of which only its name and checksum are known. */
  addSeen(mark: number, sequence: number, checksum: number, exporter: string): void {
    const stream = this.#stream(mark, exporter);
    if (sequence !== stream.checksums.length) {
      throw new Error(`the truth itself has a hole: stream ${mark} at ${sequence}`);
    }
    stream.checksums.push(checksum);
    stream.lengths.push(0);
    stream.tags.push(0);
    stream.keys.push('');
    stream.places.push(this.records);
    this.records++;
  }

  #stream(mark: number, exporter: string): TrueStream {
    const known = this.streams.get(mark);
    if (known !== undefined) return known;
    const stream: TrueStream = {
      mark,
      exporter,
      checksums: [],
      lengths: [],
      tags: [],
      keys: [],
      places: [],
    };
    this.streams.set(mark, stream);
    return stream;
  }
}

/** A record that was not taken in: no checksum is like this one. */
export const HOLE = -1;

function addHole(stream: TrueStream): void {
  stream.checksums.push(HOLE);
  stream.lengths.push(0);
  stream.tags.push(0);
  stream.keys.push('');
  stream.places.push(HOLE);
}

/** What the journal in `folder` holds; the server must have drained, or be dead. */
export function truthOfJournal(folder: string, withKeys = false, hasHoles = false): ForwardTruth {
  const truth = new ForwardTruth(hasHoles);
  const reader = new JournalReader(folder);
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    const exporter = formatAddress(block.header.exporter);
    truth.add(block.bytes, block.offset, block.length, exporter, withKeys);
  }
  reader.close();
  return truth;
}

/**
 * What a destination got that lost nothing, where the journal does not have it any more: each of
 * its connections is taken as an exporter, and has to be whole from the first record on.
 */
export function truthOfReceived(connections: readonly ReceivedConnection[]): ForwardTruth {
  const truth = new ForwardTruth();
  for (const { ordinal, records, marks, sequences, checksums } of connections) {
    for (let i = 0; i < records; i++) {
      truth.addSeen(marks[i]!, sequences[i]!, checksums[i]!, `connection ${ordinal}`);
    }
  }
  return truth;
}

function keyOf(frame: Uint8Array, exporter: string): string {
  const record = readRecord(frame);
  const subscriber = record.kind === 'record' ? record.values.subscriber_id : undefined;
  return subscriber === undefined ? `exporter ${exporter}` : `subscriber ${subscriber}`;
}

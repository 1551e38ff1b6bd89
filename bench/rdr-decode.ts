/**
 * Micro bench of the decoder: ns per record into columns, from shared memory as in the server.
 *
 * Streams: `tur` is Transaction Usage only (247 to 249 bytes, texts of 19, 15 and 30 bytes or so,
 * 25 fields), `mixed` has eight record types in random order. Beside it the walk that only checks.
 * Run: node dist/bench/rdr-decode.js [seconds per case]
 */

import {
  type CatalogEntry,
  frameLength,
  makeFrameHeader,
  RecordDecoder,
  RecordEncoder,
  recordByName,
  walkFields,
} from '../src/rdr/index.ts';
import { Prng } from '../src/toolkit/base/prng.ts';
import { SharedWasmMemory } from '../src/toolkit/base/webassembly.ts';

/** Bytes of one block, as a page of the arena holds. */
export const BLOCK_BYTES = 256 * 1024;
export const BLOCK_COUNT = 16;
const TEXT_BYTES: Readonly<Record<string, number>> = {
  SUBSCRIBER_ID: 19,
  ACCESS_STRING: 15,
  INFO_STRING: 24,
};

export interface RdrDecodeRow {
  readonly name: string;
  readonly nsPerRecord: number;
  readonly bytesPerRecord: number;
}

export interface Stream {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes used in each block. */
  readonly lengths: number[];
  readonly recordCount: number;
}

function encodeRandom(
  encoder: RecordEncoder,
  entry: CatalogEntry,
  random: Prng,
  fieldCount: number,
): void {
  encoder.begin({
    ...makeFrameHeader(entry.tag!),
    processorId: random.below(16),
    sourcePort: random.below(65536),
    destinationPort: 443,
    flowContextId: random.nextU32(),
  });
  for (const field of entry.fields.slice(0, fieldCount)) {
    // Where the type is unknown, what fits the column.
    switch (field.type === 'UNKNOWN' && field.kind === 'text' ? 'STRING' : field.type) {
      case 'STRING': {
        const length = (TEXT_BYTES[field.name] ?? 10) + random.below(5) - 2;
        let text = '';
        while (text.length < length)
          text += 'abcdefghijklmnopqrstuvwxyz0123456789./'[random.below(38)];
        encoder.string(text);
        break;
      }
      case 'INT8':
        encoder.int8(random.below(2));
        break;
      case 'UINT8':
        encoder.uint8(random.below(256));
        break;
      case 'INT16':
        encoder.int16(random.below(5000));
        break;
      case 'UINT16':
        encoder.uint16(random.below(65536));
        break;
      case 'INT32':
        encoder.int32(random.below(2 ** 31));
        break;
      default:
        encoder.uint32(random.nextU32());
    }
  }
  encoder.end();
}

/** Blocks in a shared WebAssembly.Memory, as the arena is. */
export function makeStream(names: readonly (readonly [string, number])[], seed: number): Stream {
  const pages = (BLOCK_BYTES * BLOCK_COUNT) / 65536;
  const memory = new SharedWasmMemory({ initial: pages, maximum: pages, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const random = new Prng(seed);
  const lengths: number[] = [];
  let recordCount = 0;
  for (let block = 0; block < BLOCK_COUNT; block++) {
    const scratch = new Uint8Array(BLOCK_BYTES);
    const encoder = new RecordEncoder(scratch);
    let used = 0;
    while (BLOCK_BYTES - used > 1024) {
      const [name, fieldCount] = names[random.below(names.length)]!;
      encodeRandom(encoder, recordByName(name)!, random, fieldCount);
      used = encoder.offset;
      recordCount++;
    }
    bytes.set(scratch, block * BLOCK_BYTES);
    lengths.push(used);
  }
  return { bytes, view: new DataView(memory.buffer), lengths, recordCount };
}

const TUR = [['TUR', 25]] as const;
export const MIXED = [
  ['TUR', 25],
  ['TUR', 25],
  ['TUR', 25],
  ['TUR', 29],
  ['TR', 28],
  ['HTTP_TRANSACTION_USAGE', 29],
  ['SUBSCRIBER_USAGE', 12],
  ['LINK_USAGE', 13],
  ['FLOW_START', 14],
  ['SERVICE_BLOCK', 15],
] as const;

/** Best of several rounds, CPU time of this thread's process. */
export function measure(seconds: number, pass: () => number): number {
  let best = Number.POSITIVE_INFINITY;
  const until = performance.now() + seconds * 1000;
  do {
    const from = process.cpuUsage();
    let records = 0;
    for (let i = 0; i < 10; i++) records += pass();
    const used = process.cpuUsage(from);
    best = Math.min(best, ((used.user + used.system) * 1000) / records);
  } while (performance.now() < until);
  return best;
}

function decodePass(stream: Stream, decoder: RecordDecoder): () => number {
  const ignore = { onFull() {}, onMalformed() {}, onOther() {} };
  return () => {
    const before = decoder.counts.delivered;
    for (let block = 0; block < BLOCK_COUNT; block++) {
      const from = block * BLOCK_BYTES;
      decoder.decodeBlock(stream.bytes, stream.view, from, stream.lengths[block]!, ignore);
    }
    return decoder.counts.delivered - before;
  };
}

function walkPass(stream: Stream): () => number {
  return () => {
    let records = 0;
    for (let block = 0; block < BLOCK_COUNT; block++) {
      let at = block * BLOCK_BYTES;
      const end = at + stream.lengths[block]!;
      while (at < end) {
        const length = frameLength(stream.bytes, at);
        if (walkFields(stream.bytes, stream.view, at, length) === 0) records++;
        at += length;
      }
    }
    return records;
  };
}

/** All cases; nothing is printed. */
export function benchRdrDecode(seconds = 1): RdrDecodeRow[] {
  const rows: RdrDecodeRow[] = [];
  for (const [name, names] of [
    ['tur', TUR],
    ['mixed', MIXED],
  ] as const) {
    const stream = makeStream(names, 1);
    const bytesPerRecord = stream.lengths.reduce((a, b) => a + b, 0) / stream.recordCount;
    const add = (what: string, pass: () => number): void => {
      rows.push({ name: `${name} ${what}`, nsPerRecord: measure(seconds, pass), bytesPerRecord });
    };
    add('decode', decodePass(stream, new RecordDecoder()));
    add('decode, generic', decodePass(stream, new RecordDecoder({ layoutsMax: 0 })));
    add('walk', walkPass(stream));
  }
  return rows;
}

if (process.argv[1]?.endsWith('rdr-decode.js') === true) {
  for (const row of benchRdrDecode(Number(process.argv[2] ?? 1))) {
    const bytes = row.bytesPerRecord.toFixed(0).padStart(5);
    console.log(
      `${row.name.padEnd(24)} ${row.nsPerRecord.toFixed(1).padStart(8)} ns/record ${bytes} bytes`,
    );
  }
}

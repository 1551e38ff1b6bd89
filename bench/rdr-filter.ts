/**
 * Micro bench of filters: ns per record of a compiled predicate, beside one written by hand.
 *
 * Streams as in rdr-decode: eight record types in random order, in shared memory. Each case is a
 * walk over whole records that asks once for each (selectRuns); what the walk costs by itself is
 * the first row, and stands in each of the others. The case by hand reads the same fields with the
 * same checks.
 * Run: node dist/bench/rdr-filter.js [seconds per case]
 */
import {
  compileFilter,
  FIELD_COUNT_OFFSET,
  FIXED_LENGTH,
  HEADER_BYTES,
  interpretFilter,
  parseFilter,
  type RecordPredicate,
  RecordRuns,
  selectRuns,
  TAG_OFFSET,
} from '../src/rdr/index.ts';
import { BLOCK_BYTES, MIXED, makeStream, measure, type Stream } from './rdr-decode.ts';

export interface RdrFilterRow {
  readonly name: string;
  readonly nsPerRecord: number;
  readonly chosenRatio: number;
}

const NOBODY = new Uint8Array(16);
const TUR_TAG = 0xf0f0f438 | 0;
const BY_FIELD = 'tag = TUR and server_port < 32768 and client_ip in 128.0.0.0/1';

/** BY_FIELD by hand: fields 6 and 9 (counted from 0) of Transaction Usage. */
const byHand: RecordPredicate = (bytes, view, offset, length) => {
  if (view.getInt32(offset + TAG_OFFSET) !== TUR_TAG) return false;
  const end = offset + length;
  if (bytes[offset + FIELD_COUNT_OFFSET]! < 10) return false;
  let at = offset + HEADER_BYTES;
  for (let i = 0; i < 10; i++) {
    const room = end - at - 5;
    if (room < 0) return false;
    const valueBytes = view.getInt32(at + 1);
    if (valueBytes < 0 || valueBytes > room) return false;
    const type = bytes[at]!;
    const fixed = FIXED_LENGTH[type]!;
    if (fixed !== 0 && fixed !== valueBytes) return false;
    if (i === 6 && (type !== 15 || view.getUint16(at + 5) >= 32768)) return false;
    if (i === 9) return type === 16 && view.getInt32(at + 5) < 0;
    at += 5 + valueBytes;
  }
  return false;
};

function pass(stream: Stream, predicate: RecordPredicate, runs: RecordRuns): () => number {
  return () => {
    let records = 0;
    stream.lengths.forEach((length, block) => {
      const { bytes, view } = stream;
      selectRuns(predicate, bytes, view, block * BLOCK_BYTES, length, NOBODY, runs);
      records += runs.walked;
    });
    return records;
  };
}

function chosenRatio(stream: Stream, predicate: RecordPredicate): number {
  const runs = new RecordRuns();
  let chosen = 0;
  stream.lengths.forEach((length, block) => {
    const { bytes, view } = stream;
    chosen += selectRuns(predicate, bytes, view, block * BLOCK_BYTES, length, NOBODY, runs).records;
  });
  return chosen / stream.recordCount;
}

const compiled = (text: string): RecordPredicate => compileFilter(parseFilter(text));

const CASES: readonly (readonly [name: string, predicate: RecordPredicate])[] = [
  ['the walk alone', () => false],
  ['tag', compiled('tag in (TUR, LUR)')],
  ['first field, text', compiled("subscriber_id ~ '^a'")],
  ['two fields', compiled(BY_FIELD)],
  ['two fields, by hand', byHand],
  ['two fields, interpreted', interpretFilter(parseFilter(BY_FIELD))],
  ['pattern of a host', compiled("access_string ~ 'ab*c.d$'")],
  ['far field', compiled('ip_protocol = 6 or flow_close_mode = 1')],
];

/** All cases; nothing is printed. */
export function benchRdrFilter(seconds = 1): RdrFilterRow[] {
  const stream = makeStream(MIXED, 1);
  return CASES.map(([name, predicate]) => ({
    name,
    nsPerRecord: measure(seconds, pass(stream, predicate, new RecordRuns())),
    chosenRatio: chosenRatio(stream, predicate),
  }));
}

if (process.argv[1]?.endsWith('rdr-filter.js') === true) {
  for (const row of benchRdrFilter(Number(process.argv[2] ?? 1))) {
    const share = `${(row.chosenRatio * 100).toFixed(1)} %`.padStart(8);
    console.log(
      `${row.name.padEnd(26)} ${row.nsPerRecord.toFixed(1).padStart(8)} ns/record ${share}`,
    );
  }
}

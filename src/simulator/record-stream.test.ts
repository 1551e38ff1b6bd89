import assert from 'node:assert/strict';
import { createHash, randomInt } from 'node:crypto';
import { test } from 'node:test';
import {
  FIELD_TYPE_NAME,
  findAnchor,
  frameLength,
  HEADER_BYTES,
  MALFORMED_NAMES,
  recordByTag,
  TABLES,
  WELL_FORMED,
  walkFields,
} from '../rdr/index.ts';
import {
  ITEM_BYTES_MAX,
  namedMix,
  RecordStream,
  type RecordStreamOptions,
  SubscriberPool,
  type TotalsJson,
} from './index.ts';
import { HOSTILE_NAMES, HOSTILE_TEXTS } from './text-pool.ts';

const subscribers = new SubscriberPool(10_000);

function makeStream(
  options: Partial<RecordStreamOptions> & { mixName?: string } = {},
): RecordStream {
  const mix = namedMix(options.mixName ?? 'default');
  return new RecordStream({ seed: 1, mix, subscribers, ...options });
}

/** All bytes of `records` records, made in pieces of `room` bytes. */
function makeBytes(stream: RecordStream, records: number, room = 65_536): Uint8Array {
  const parts: Uint8Array[] = [];
  const buffer = new Uint8Array(room);
  while (stream.totals.records < records) {
    const made = stream.fill(buffer, 0, room, records - stream.totals.records);
    parts.push(buffer.slice(0, made));
  }
  return Buffer.concat(parts);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What a reader that knows only the framing rules and the catalogue finds in the bytes. */
interface Found {
  records: number;
  tables: Record<string, number>;
  malformed: Record<string, number>;
  unknownTags: number;
  extraRows: number;
  resyncRuns: number;
  resyncBytes: number;
  truncatedBytes: number;
  longest: number;
}

function bump(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function readAll(bytes: Uint8Array): Found {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: Found = {
    records: 0,
    tables: {},
    malformed: {},
    unknownTags: 0,
    extraRows: 0,
    resyncRuns: 0,
    resyncBytes: 0,
    truncatedBytes: 0,
    longest: 0,
  };
  let at = 0;
  while (at < bytes.length) {
    const left = bytes.length - at;
    const length = left >= 5 ? frameLength(bytes, at) : left + 1;
    if (length < 0) {
      const anchor = findAnchor(bytes, view, at, bytes.length);
      assert.ok(anchor > at, 'a record stands behind garbage');
      found.resyncRuns++;
      found.resyncBytes += anchor - at;
      at = anchor;
      continue;
    }
    if (length > left) {
      found.truncatedBytes = left;
      break;
    }
    assert.equal(view.getUint32(at + 11), found.records, 'the flow context id is the ordinal');
    found.records++;
    if (length === ITEM_BYTES_MAX) found.longest++;
    readOne(bytes, view, at, length, found);
    at += length;
  }
  return found;
}

function readOne(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  length: number,
  found: Found,
): void {
  const reason = walkFields(bytes, view, at, length);
  if (reason !== WELL_FORMED) {
    bump(found.malformed, MALFORMED_NAMES[reason]!);
    return;
  }
  const entry = recordByTag(view.getUint32(at + 15));
  if (entry === undefined || entry.tableName === null) {
    found.unknownTags++;
    return;
  }
  bump(found.tables, entry.tableName);
  const count = bytes[at + 19]!;
  let isExtra = count > entry.fields.length;
  let field = at + HEADER_BYTES;
  for (let i = 0; i < Math.min(count, entry.fields.length); i++) {
    const name = FIELD_TYPE_NAME[bytes[field]!];
    const kind = name === undefined ? '' : name === 'STRING' ? 'text' : 'int';
    if (kind !== entry.fields[i]!.kind) isExtra = true;
    field += 5 + view.getUint32(field + 1);
  }
  if (isExtra) found.extraRows++;
}

function compare(found: Found, totals: TotalsJson): void {
  assert.equal(found.records, totals.records);
  assert.deepEqual(sorted(found.tables), sorted(totals.tables));
  assert.deepEqual(sorted(found.malformed), sorted(withoutZero(totals.malformed)));
  assert.equal(found.unknownTags, totals.other.unknown_tag);
  const { unknown_type, type_mismatch, more_fields } = totals.other;
  assert.equal(found.extraRows, unknown_type! + type_mismatch! + more_fields!);
  assert.equal(found.resyncRuns, totals.resync.runs);
  assert.equal(found.resyncBytes, totals.resync.bytes);
  assert.equal(found.truncatedBytes, totals.truncated.bytes);
  assert.equal(found.longest, totals.longestRecords);
}

function sorted(counts: Readonly<Record<string, number>>): [string, number][] {
  return Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
}

function withoutZero(counts: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0));
}

test('the bytes of a seed never change', () => {
  // Change these hashes on purpose only: benchmarks and recorded runs are compared by them.
  const expected: Record<string, string> = {
    default: 'ba84cf5e089bc0e0d6eef4337593272ec5d0b76fec0418ec071653120e1f35d3',
    tur: '696c255e8b31a5e9333124a29e389986dc9afe0d25f66ec4924e73a07b20a0e1',
    all: '24fbab31bd1ea56f0749f0b8eebf84cf54b77e40661a2f56fde959a673353c6f',
  };
  for (const [mixName, hash] of Object.entries(expected)) {
    const stream = makeStream({ mixName, seed: 42, malformedRatio: 0.1 });
    assert.equal(sha256(makeBytes(stream, 5000)), hash, mixName);
  }
});

test('the bytes do not depend on the sizes of the buffers', () => {
  const whole = makeBytes(makeStream({ malformedRatio: 0.05 }), 5000, 1 << 20);
  for (const room of [ITEM_BYTES_MAX, 12_345, 300_001]) {
    const again = makeBytes(makeStream({ malformedRatio: 0.05 }), 5000, room);
    assert.equal(sha256(again), sha256(whole));
  }
  const oneByOne = makeStream({ malformedRatio: 0.05 });
  const buffer = new Uint8Array(ITEM_BYTES_MAX);
  const hash = createHash('sha256');
  for (let i = 0; i < 5000; i++) {
    hash.update(buffer.subarray(0, oneByOne.fill(buffer, 0, buffer.length, 1)));
  }
  assert.equal(hash.digest('hex'), sha256(whole));
});

test('seed, connection and start change the bytes', () => {
  const hashes = [
    makeStream(),
    makeStream({ seed: 2 }),
    makeStream({ connection: 1 }),
    makeStream({ startSeconds: 1_800_000_000 }),
  ].map((stream) => sha256(makeBytes(stream, 100)));
  assert.equal(new Set(hashes).size, 4);
});

test('a reader of the framing rules finds exactly the totals', () => {
  const seed = randomInt(2 ** 31);
  console.info(`# seed ${seed}`);
  for (const mixName of ['default', 'all', 'tur', 'events', 'periodic']) {
    for (const malformedRatio of [0, 0.1, 1]) {
      const stream = makeStream({ mixName, malformedRatio, seed });
      const bytes = makeBytes(stream, 20_000);
      const tail = new Uint8Array(ITEM_BYTES_MAX);
      const kept = stream.fillTruncated(tail);
      const all = Buffer.concat([bytes, tail.subarray(0, kept)]);
      assert.equal(all.length, stream.totals.bytes);
      compare(readAll(new Uint8Array(all)), stream.totals.toJson());
    }
  }
});

test('each fault is dealt out, and about equally often', () => {
  const stream = makeStream({ malformedRatio: 1 });
  makeBytes(stream, 22_000);
  const totals = stream.totals.toJson();
  const counts = [
    ...Object.values(totals.malformed),
    ...Object.values(totals.other),
    totals.longestRecords,
    totals.resync.runs,
    Object.values(totals.hostileText).reduce((sum, count) => sum + count, 0),
  ];
  assert.equal(counts.length, 11);
  for (const count of counts) assert.ok(count > 1700 && count < 2300, String(count));
  for (const count of Object.values(totals.resync.kinds)) assert.ok(count > 150);
  for (const count of Object.values(totals.hostileText)) assert.ok(count > 150);
});

test('lying lengths are counted and end exactness', () => {
  const stream = makeStream({ liesRatio: 0.1 });
  makeBytes(stream, 10_000);
  const totals = stream.totals.toJson();
  assert.equal(totals.exact, false);
  assert.ok(totals.lies > 800 && totals.lies < 1200);
});

test('"all" has every record type that has a table, with and without trailing fields', () => {
  const bytes = makeBytes(makeStream({ mixName: 'all' }), 10_000);
  const fieldCounts = new Map<string, Set<number>>();
  forEachRecord(bytes, (tag, at) => {
    const name = recordByTag(tag)!.tableName!;
    fieldCounts.set(name, (fieldCounts.get(name) ?? new Set()).add(bytes[at + 19]!));
  });
  assert.equal(fieldCounts.size, TABLES.length);
  assert.deepEqual(
    [...fieldCounts.get('transaction')!].toSorted((a, b) => a - b),
    [25, 28],
  );
  assert.deepEqual(
    [...fieldCounts.get('transaction_usage')!].toSorted((a, b) => a - b),
    [25, 29],
  );
  assert.deepEqual(
    [...fieldCounts.get('dhcp')!].toSorted((a, b) => a - b),
    [22, 23],
  );
});

test('default has periodic reports at full minutes, one per counter and period', () => {
  const startSeconds = 1_767_225_610;
  const stream = makeStream({ mixName: 'periodic', startSeconds });
  const bytes = makeBytes(stream, 60_000);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const perEnd = new Map<number, number>();
  forEachRecord(bytes, (tag, at) => {
    if (recordByTag(tag)!.tableName !== 'link_usage') return;
    // LINK_ID and GENERATOR_ID have 6 bytes, SERVICE_USAGE_COUNTER_ID 7; then the times.
    const times = at + HEADER_BYTES + 6 + 6 + 7;
    assert.equal(view.getUint32(times + 5), 60, 'configured duration');
    const end = view.getUint32(times + 18 + 5);
    assert.equal(end % 60, 0);
    assert.ok(end >= startSeconds);
    assert.ok(end <= stream.nowSeconds);
    perEnd.set(end, (perEnd.get(end) ?? 0) + 1);
  });
  const counts = [...perEnd.values()];
  assert.ok(counts.length >= 7);
  for (const count of counts.slice(0, -1)) assert.equal(count, 120);
});

test('at least 30 % of access and info strings are distinct, and subscribers are skewed', () => {
  for (const mixName of ['default', 'tur']) {
    const bytes = makeBytes(makeStream({ mixName }), 50_000);
    const seen = { access: new Set<string>(), info: new Set<string>() };
    const perSubscriber = new Map<string, number>();
    let records = 0;
    forEachRecord(bytes, (tag, at) => {
      const entry = recordByTag(tag)!;
      if (entry.tableName !== 'transaction_usage') return;
      records++;
      const texts = textFields(bytes, at);
      perSubscriber.set(texts[0]!, (perSubscriber.get(texts[0]!) ?? 0) + 1);
      seen.access.add(texts[1]!);
      seen.info.add(texts[2]!);
    });
    assert.ok(seen.access.size >= 0.3 * records, `${mixName}: ${seen.access.size} of ${records}`);
    assert.ok(seen.info.size >= 0.3 * records, `${mixName}: ${seen.info.size} of ${records}`);
    const busiest = Math.max(...perSubscriber.values());
    assert.ok(busiest > 50 * (records / perSubscriber.size) * 0.5, 'the busiest stands out');
    assert.ok(perSubscriber.size > 3000, `${perSubscriber.size} subscribers`);
  }
});

test('records of the mix "tur" have about 248 bytes', () => {
  const stream = makeStream({ mixName: 'tur' });
  makeBytes(stream, 50_000);
  const mean = stream.totals.bytes / stream.totals.records;
  assert.ok(mean > 244 && mean < 252, String(mean));
});

test('hostile texts travel as they are', () => {
  const bytes = Buffer.from(makeBytes(makeStream({ malformedRatio: 1 }), 5000));
  for (const name of HOSTILE_NAMES)
    assert.ok(bytes.includes(Buffer.from(HOSTILE_TEXTS[name]!)), name);
});

test('too little room is refused', () => {
  assert.throws(() => makeStream().fill(new Uint8Array(ITEM_BYTES_MAX - 1)), /bytes of room/);
  assert.throws(() => makeStream().fillTruncated(new Uint8Array(100)), /bytes of room/);
});

function forEachRecord(bytes: Uint8Array, visit: (tag: number, at: number) => void): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.length; at += frameLength(bytes, at))
    visit(view.getUint32(at + 15), at);
}

function textFields(bytes: Uint8Array, at: number): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let field = at + HEADER_BYTES;
  for (let i = 0; i < bytes[at + 19]!; i++) {
    const length = view.getUint32(field + 1);
    if (bytes[field] === 41) {
      texts.push(Buffer.from(bytes.subarray(field + 5, field + 5 + length)).toString('latin1'));
    }
    field += 5 + length;
  }
  return texts;
}

test('marks name the connection in every header and change nothing else', () => {
  const plain = makeBytes(makeStream({ connection: 0x1234 }), 200);
  const marked = makeBytes(makeStream({ connection: 0x1234, hasMarks: true }), 200);
  for (let at = 0; at < plain.length; at += frameLength(plain, at)) {
    assert.deepEqual([marked[at + 5], marked[at + 6]], [0x12, 0x34]);
    marked.set(plain.subarray(at + 5, at + 7), at + 5);
  }
  assert.deepEqual(marked, plain);
});

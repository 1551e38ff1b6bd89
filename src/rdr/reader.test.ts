import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Prng } from '../toolkit/base/prng.ts';
import { RecordDecoder } from './decoder.ts';
import { makeFrameHeader, RecordEncoder } from './encoder.ts';
import { type RdrItem, RdrReader } from './reader.ts';
import { decodeText, encodeText } from './text.ts';

const USAGE = 0xf0f0f438;

function newSeed(t: { diagnostic(text: string): void }): number {
  const seed = (Math.random() * 2 ** 31) | 0;
  t.diagnostic(`seed ${seed}`);
  return seed;
}

/** Some records of several types, an unknown one among them. */
function someRecords(random: Prng, count: number): Uint8Array {
  const target = new Uint8Array(10_004 * (count + 1));
  const encoder = new RecordEncoder(target);
  const tags = [USAGE, USAGE, USAGE, 0xf0f0f000, 0xf0f0f005, 0xf0f0f010, 0x1234];
  for (let i = 0; i < count; i++) {
    encoder.begin({ ...makeFrameHeader(tags[random.below(tags.length)]!), processorId: 3 });
    encoder.string('10.134.213.202@inet'.slice(random.below(20)));
    encoder.int16(random.below(5000));
    encoder.int32(random.below(100));
    for (let k = random.below(8); k > 0; k--) encoder.uint32(random.nextU32());
    if (random.chance(0.01)) encoder.text(new Uint8Array(5000 + random.below(4700)).fill(0x30));
    encoder.end();
  }
  return target.slice(0, encoder.offset);
}

/** Flips, removes, inserts, overwrites: what a broken sender may do. */
function damage(random: Prng, bytes: Uint8Array): Uint8Array {
  let out = bytes;
  for (let i = random.below(5); i > 0 && out.length > 0; i--) {
    const at = random.below(out.length);
    const span = random.below(Math.min(60, out.length - at) + 1);
    switch (random.below(5)) {
      case 0:
        out[at]! ^= 1 << random.below(8);
        break;
      case 1:
        out = Uint8Array.from([...out.subarray(0, at), ...out.subarray(at + span)]);
        break;
      case 2: {
        const noise = Array.from({ length: span }, () => random.below(256));
        out = Uint8Array.from([...out.subarray(0, at), ...noise, ...out.subarray(at)]);
        break;
      }
      case 3:
        // Huge numbers where lengths and counts stand.
        out.fill(0xff, at, at + Math.min(span, 8));
        break;
      default:
        out.fill(0x39, at, at + Math.min(span, 8));
    }
  }
  return out;
}

function chunksOf(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const edges = [0, ...[...cuts].sort((a, b) => a - b), bytes.length];
  return edges.slice(1).map((end, i) => bytes.slice(edges[i], end));
}

/** Kind, place and, for records, the values: enough to compare. */
function summary(items: readonly RdrItem[]): unknown[] {
  return items.map((item) => [
    item.kind,
    item.offset,
    item.length,
    item.kind === 'record' ? item.fields.map((field) => field.value) : '',
  ]);
}

function assertNoGap(items: readonly RdrItem[], total: number): void {
  let at = 0;
  for (const item of items) {
    assert.equal(item.offset, at, 'items follow each other');
    assert.ok(item.length > 0);
    at += item.length;
  }
  assert.equal(at, total, 'items cover the stream');
}

test('a stream split at every byte gives the same records', (t) => {
  const random = new Prng(newSeed(t));
  const bytes = someRecords(random, 4).slice(0, 3000);
  const whole = [...RdrReader.read([bytes])];
  assertNoGap(whole, bytes.length);
  for (let cut = 0; cut <= bytes.length; cut++) {
    assert.deepEqual(summary([...RdrReader.read(chunksOf(bytes, [cut]))]), summary(whole));
  }
  const single = Array.from(bytes, (byte) => Uint8Array.of(byte));
  assert.deepEqual(summary([...RdrReader.read(single)]), summary(whole));
});

test('damaged streams: never an exception, no byte lost, cuts make no difference', (t) => {
  const random = new Prng(newSeed(t));
  const kinds = new Map<string, number>();
  for (let round = 0; round < 1500; round++) {
    const bytes = damage(random, someRecords(random, random.below(8)));
    const whole = [...RdrReader.read([bytes])];
    assertNoGap(whole, bytes.length);
    for (const item of whole) kinds.set(item.kind, (kinds.get(item.kind) ?? 0) + 1);
    const cuts = Array.from({ length: random.below(20) }, () => random.below(bytes.length + 1));
    const pieces = [...RdrReader.read(chunksOf(bytes, cuts))];
    assert.deepEqual(summary(pieces), summary(whole), `round ${round}`);
  }
  for (const kind of ['record', 'malformed', 'garbage', 'truncated']) {
    assert.ok((kinds.get(kind) ?? 0) > 10, `${kind}: ${kinds.get(kind)}`);
  }
});

test('the decoder takes any bytes: no exception, no byte outside read, every record once', (t) => {
  const random = new Prng(newSeed(t));
  const decoder = new RecordDecoder({ capacity: 16, layoutAfter: 1 });
  const generic = new RecordDecoder({ capacity: 16, layoutsMax: 0 });
  for (let round = 0; round < 3000; round++) {
    const damaged = damage(random, someRecords(random, random.below(8)));
    // Exactly sized: a read beyond the block would throw.
    const block = damaged.slice();
    const view = new DataView(block.buffer);
    const seen: number[] = [];
    const sink = {
      onFull: () => undefined,
      onMalformed: (_at: number, _length: number, _reason: number, index: number) =>
        seen.push(index),
      onOther: (_at: number, _length: number, _tag: number, index: number) => seen.push(index),
    };
    const before = structuredClone(decoder.counts);
    const end = decoder.decodeBlock(block, view, 0, block.length, sink);
    assert.ok(end >= 0 && end <= block.length);
    assert.equal(generic.decodeBlock(block, view, 0, block.length, sink), end);
    assert.deepEqual(decoder.counts, generic.counts, `round ${round}`);
    const { counts } = decoder;
    const malformed = counts.malformed.reduce((a, b) => a + b, 0);
    assert.equal(counts.records, counts.delivered + counts.other + malformed);
    assert.equal(seen.length % 2, 0);
    const told = counts.records - before.records - (counts.delivered - before.delivered);
    assert.equal(new Set(seen).size, told, 'each told once, by its own index');
    for (const columns of [...decoder.tables, ...generic.tables]) columns.reset();
  }
});

test('what surrounds a block does not change its rows', (t) => {
  const random = new Prng(newSeed(t));
  const block = someRecords(random, 12);
  const rows = [0x00, 0x29, 0xff].map((poison) => {
    const memory = new Uint8Array(block.length + 64).fill(poison);
    memory.set(block, 32);
    const decoder = new RecordDecoder({ capacity: 64, layoutAfter: 1 });
    const sink = { onFull() {}, onMalformed() {}, onOther() {} };
    const view = new DataView(memory.buffer);
    for (let i = 0; i < 3; i++) {
      assert.equal(decoder.decodeBlock(memory, view, 32, block.length, sink), 32 + block.length);
    }
    return decoder.tables.map((columns) =>
      columns.fields.map((column) =>
        column.kind === 'text'
          ? [...column.bytes.subarray(0, column.byteCount), ...column.ends, column.flags]
          : column.kind === 'int'
            ? [...column.words]
            : [...column.values],
      ),
    );
  });
  assert.deepEqual(rows[0], rows[1]);
  assert.deepEqual(rows[0], rows[2]);
});

test('records of unknown tags and types are shown with what is known', () => {
  const target = new Uint8Array(200);
  const encoder = new RecordEncoder(target);
  encoder.begin(makeFrameHeader(0x00001234));
  encoder.uint8(7);
  encoder.raw(99, Uint8Array.of(0xab, 0x01));
  encoder.float(0.5);
  encoder.boolean(true);
  const frame = target.slice(0, encoder.end());
  const [record] = RdrReader.read([frame]);
  assert.ok(record?.kind === 'record');
  assert.equal(record.name, '0x00001234');
  assert.equal(record.catalog, undefined);
  assert.deepEqual({ ...record.values }, { field_1: 7, field_2: 'ab01', field_3: 0.5, field_4: 1 });
  assert.deepEqual(
    record.fields.map((field) => field.typeName),
    ['UINT8', undefined, 'FLOAT', 'BOOLEAN'],
  );
});

test('an asynchronous stream is read, too; a chunk may be reused by its owner', async () => {
  const bytes = someRecords(new Prng(1), 5);
  async function* reused(): AsyncGenerator<Uint8Array> {
    const chunk = new Uint8Array(7);
    for (let at = 0; at < bytes.length; at += 7) {
      const part = bytes.subarray(at, at + 7);
      chunk.set(part);
      yield chunk.subarray(0, part.length);
      chunk.fill(0xee);
    }
  }
  const items: RdrItem[] = [];
  for await (const item of RdrReader.readAsync(reused())) items.push(item);
  assert.deepEqual(summary(items), summary([...RdrReader.read([bytes])]));
});

test('garbage up to the end, and an anchor inside what might have been a longer record', () => {
  const garbage = new Uint8Array(1000).fill(0x41);
  assert.deepEqual(summary([...RdrReader.read([garbage])]), [['garbage', 0, 1000, '']]);
  const record = someRecords(new Prng(4), 1);
  // A prefix and a tag that promise 9,000 bytes, which never come.
  const promise = Uint8Array.from([
    1,
    0x38,
    0x39,
    0x39,
    0x39,
    ...new Array(10).fill(0),
    0xf0,
    0xf0,
    0xf4,
    0x38,
    1,
  ]);
  const start = Uint8Array.of(0, 0, 0, 0, 0, 0);
  const stream = Uint8Array.from([...start, ...promise, 41, 0, 0, 0x10, 0, ...record]);
  const items = [...RdrReader.read([stream])];
  assertNoGap(items, stream.length);
  assert.deepEqual(
    items.map((item) => item.kind),
    ['garbage', 'record'],
  );
});

test('text is shown so that its bytes can be computed back', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.string({ unit: 'binary', maxLength: 20 }).map((text) => new TextEncoder().encode(text)),
        fc.string({ maxLength: 20 }).map((text) => new TextEncoder().encode(`\\x${text}\\`)),
      ),
      (bytes) => {
        const text = decodeText(bytes);
        assert.equal(text.isWellFormed(), true);
        assert.deepEqual([...encodeText(text)], [...bytes]);
      },
    ),
    { seed: newSeed(t), numRuns: 3000 },
  );
  assert.equal(decodeText(Buffer.from('a\\b')), 'a\\\\b');
  assert.equal(decodeText(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9)), 'a\\xffé');
  assert.equal(decodeText(Buffer.from('\ufeffx\u0000\n')), '\ufeffx\u0000\n');
});

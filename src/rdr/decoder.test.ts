import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../toolkit/base/prng.ts';
import { recordByName, recordByTag } from './catalog.ts';
import { TEXT_FLAG, TEXT_HEAP_BYTES_MAX } from './columns.ts';
import { FIELD_TYPE } from './constants.ts';
import { type DecodeSink, LAYOUTS_MAX, RecordDecoder } from './decoder.ts';
import { type AnyRecord, Collector, decode, encodeAll } from './decoder-rows.test-data.ts';
import { makeFrameHeader, RecordEncoder } from './encoder.ts';
import { MALFORMED } from './field.ts';

const VECTOR_HEX = `
0130323432caaea8fd005001020304f0f0f43819290000001331302e3133342e
3231332e32303240696e65740c0000000200010d00000004000000100c000000
0200021000000004000000011000000004d459e8ae0f00000002005029000000
0f7777772e6578616d706c652e6e657429000000062f612e6769661000000004
0a86d5ca0f00000002a8fd0b00000001001000000004529b8b65100000000400
0003980b00000001001000000004000004741000000004000001550f00000002
00010f0000000200090f0000000200010e00000001060d00000004030100000d
00000004000000000d00000004000000000e0000000100`.replaceAll('\n', '');

test('a constructed Transaction Usage record, every value', () => {
  const bytes = Uint8Array.from(Buffer.from(VECTOR_HEX, 'hex'));
  assert.equal(bytes.length, 247);
  for (const layoutsMax of [0, LAYOUTS_MAX]) {
    const [rows, , decoder] = decode(bytes, layoutsMax);
    assert.deepEqual(rows, [
      {
        table: 'transaction_usage',
        recordIndex: 0,
        header: [1, 242, 0xca, 0xae, 43261, 80, 0x01020304, 0xf0f0f438, 25],
        cells: [
          '10.134.213.202@inet',
          1,
          16,
          2,
          1,
          3562662062,
          80,
          'www.example.net',
          '/a.gif',
          176608714,
          43261,
          0,
          1385925477,
          920,
          0,
          1140,
          341,
          1,
          9,
          1,
          6,
          50397184,
          0,
          0,
          0,
          null,
          null,
          null,
          null,
        ],
        extra: null,
      },
    ]);
    assert.deepEqual([decoder.counts.records, decoder.counts.delivered], [1, 1]);
  }
});

test('malformed and unknown records are told by place and reason, the others decode', () => {
  const target = new Uint8Array(2000);
  const encoder = new RecordEncoder(target);
  const usage = makeFrameHeader(0xf0f0f438);
  const places: number[] = [];
  const add = (tag: number, spoil: (start: number) => void): void => {
    places.push(encoder.offset);
    const start = encoder.offset;
    encoder.begin({ ...usage, tag });
    encoder.string('subscriber');
    encoder.int16(5);
    encoder.int32(6);
    encoder.end();
    spoil(start);
  };
  const nothing = (): void => undefined;
  add(usage.tag, nothing);
  add(usage.tag, (start) => target.fill(2, start + 19, start + 20));
  add(usage.tag, (start) => target.fill(0x7f, start + 21, start + 22));
  add(usage.tag, (start) => target.fill(14, start + 35, start + 36));
  add(usage.tag, (start) => target.fill(4, start + 19, start + 20));
  add(0xffffffff, nothing);
  add(0x00001234, nothing);
  add(0xf0f0f123, nothing);
  add(usage.tag, nothing);
  const bytes = target.subarray(0, encoder.offset);
  for (const layoutsMax of [0, LAYOUTS_MAX]) {
    const [rows, sink, decoder] = decode(bytes, layoutsMax);
    assert.deepEqual(
      rows.map((row) => row.recordIndex),
      [0, 8],
    );
    sink.malformed.sort((a, b) => a[3] - b[3]);
    assert.deepEqual(sink.malformed, [
      [places[1], 51, MALFORMED.FIELDS_SHORT, 1],
      [places[2], 51, MALFORMED.FIELD_OVERRUN, 2],
      [places[3], 51, MALFORMED.FIXED_LENGTH, 3],
      [places[4], 51, MALFORMED.COUNT_HIGH, 4],
    ]);
    assert.deepEqual(sink.other, [
      [places[5], 51, 0xffffffff, 5],
      [places[6], 51, 0x1234, 6],
      [places[7], 51, 0xf0f0f123, 7],
    ]);
    const { counts } = decoder;
    assert.deepEqual([counts.records, counts.delivered, counts.other], [9, 2, 3]);
    assert.deepEqual([...counts.malformed], [0, 1, 1, 1, 1]);
  }
});

test('beyond 64 layouts the generic decoder takes over, with the same rows', () => {
  const records: AnyRecord[] = [];
  const types = [FIELD_TYPE.INT8, FIELD_TYPE.UINT16, FIELD_TYPE.INT32];
  for (let i = 0; i < 81; i++) {
    const fields = [i % 3, Math.floor(i / 3) % 3, Math.floor(i / 9) % 3, Math.floor(i / 27) % 3];
    records.push([
      0xf0f0f005,
      fields.map((k) => [types[k]!, Uint8Array.from({ length: [1, 2, 4][k]! }, () => i)]),
      i,
    ]);
  }
  const bytes = encodeAll([...records, ...records]);
  const [rows, , decoder] = decode(bytes, LAYOUTS_MAX);
  const [expected] = decode(bytes, 0);
  assert.equal(decoder.layoutCount, LAYOUTS_MAX);
  assert.deepEqual(rows, expected);
});

test('full columns are handed over, by rows and by bytes of text', () => {
  const field = (bytes: Uint8Array): [number, Uint8Array][] => [[FIELD_TYPE.STRING, bytes]];
  const small = Array.from(
    { length: 40 },
    (): AnyRecord => [0xf0f0f438, field(new Uint8Array(3)), 1],
  );
  const [rows, sink] = decode(encodeAll(small), LAYOUTS_MAX, 16);
  assert.equal(sink.fullCount, 2);
  assert.deepEqual(
    rows.map((row) => row.recordIndex),
    small.map((_, i) => i),
  );
  const long = new Uint8Array(9000).fill(0x41);
  const large = Array.from({ length: 300 }, (): AnyRecord => [0xf0f0f438, field(long), 1]);
  const bytes = encodeAll(large);
  for (const layoutsMax of [0, LAYOUTS_MAX]) {
    const decoder = new RecordDecoder({ layoutsMax, layoutAfter: 1 });
    const heaps: number[] = [];
    const text = new Collector();
    const watch: DecodeSink = {
      onFull(columns) {
        const column = columns.fields[0]!;
        assert.ok(column.kind === 'text' && column.bytes.length <= TEXT_HEAP_BYTES_MAX);
        heaps.push(column.byteCount);
        text.onFull(columns);
      },
      onMalformed: () => assert.fail(),
      onOther: () => assert.fail(),
    };
    decoder.decodeBlock(bytes, new DataView(bytes.buffer), 0, bytes.length, watch);
    assert.equal(text.finish(decoder).length, 300);
    assert.equal(heaps.length, 2);
  }
});

test('text flags say what was seen: each byte at each place of texts of 1 to 9 bytes', () => {
  const decoder = new RecordDecoder({ capacity: 16, layoutAfter: 1 });
  const columns = decoder.tables.find((table) => table.tableName === 'transaction_usage')!;
  const column = columns.fields[0]!;
  assert.ok(column.kind === 'text');
  for (let length = 1; length <= 9; length++) {
    for (let place = 0; place < length; place++) {
      for (let byte = 0; byte < 256; byte++) {
        const text = new Uint8Array(length).fill(0x7f);
        text[place] = byte;
        const bytes = encodeAll([[0xf0f0f438, [[41, text]], 0]]);
        decoder.decodeBlock(bytes, new DataView(bytes.buffer), 0, bytes.length, new Collector());
        const wanted =
          byte >= 128
            ? TEXT_FLAG.NON_ASCII
            : byte < 32
              ? TEXT_FLAG.CONTROL
              : byte === 0x5c
                ? TEXT_FLAG.BACKSLASH
                : 0;
        assert.equal(column.flags, wanted, `byte ${byte} at ${place} of ${length}`);
        assert.deepEqual(column.bytes.slice(0, length), text);
        columns.reset();
      }
    }
  }
});

test('a block that ends in half a record is decoded up to there', () => {
  const bytes = encodeAll([
    [0xf0f0f005, [[11, Uint8Array.of(1)]], 0],
    [0xf0f0f005, [[11, Uint8Array.of(2)]], 0],
  ]);
  const view = new DataView(bytes.buffer);
  for (const layoutsMax of [0, LAYOUTS_MAX]) {
    const decoder = new RecordDecoder({ layoutsMax, layoutAfter: 1 });
    const sink = new Collector();
    assert.equal(decoder.decodeBlock(bytes, view, 0, bytes.length - 1, sink), 26);
    assert.equal(decoder.decodeBlock(bytes, view, 26, 26, sink), 52);
    bytes[27] = 0x41;
    assert.equal(decoder.decodeBlock(bytes, view, 0, 52, sink), 26);
    bytes[27] = 0x30;
    assert.equal(decoder.counts.records, 3);
  }
});

test('the decoder of Real-Time Subscriber Usage is not that of Subscriber Usage', () => {
  const make = (tag: number): AnyRecord => [tag, [[41, Uint8Array.of(0x61)]], 0];
  const [rows] = decode(encodeAll([make(0xf0f0f000), make(0xf0f0f002)]), LAYOUTS_MAX);
  assert.deepEqual(
    rows.map((row) => row.table),
    ['subscriber_usage', 'realtime_subscriber_usage'],
  );
  assert.equal(recordByName('SUR')!.tag, 0xf0f0f002);
});

test('columns that were reset hold nothing of the rows before', () => {
  const short: AnyRecord = [0xf0f0f438, [[FIELD_TYPE.UINT8, Uint8Array.of(1)]], 1];
  const entry = recordByTag(0xf0f0f438)!;
  const full: AnyRecord = [
    entry.tag!,
    entry.fields.map((field) =>
      field.kind === 'text' ? [41, Uint8Array.of(0x61)] : [11, Uint8Array.of(0xff)],
    ),
    2,
  ];
  const positive: AnyRecord = [
    entry.tag!,
    full[1].map(([type, bytes]) => (type === 41 ? [41, bytes] : [14, Uint8Array.of(7)])),
    3,
  ];
  const blocks = [positive, full, short, positive, full];
  const bytes = blocks.map((record) => encodeAll([record, record]));
  // With one layout, generated and generic decoders take turns on the same columns.
  for (const layoutsMax of [0, 1, LAYOUTS_MAX]) {
    const decoder = new RecordDecoder({ layoutsMax, capacity: 16, layoutAfter: 1 });
    for (const block of bytes) {
      const sink = new Collector();
      decoder.decodeBlock(block, new DataView(block.buffer), 0, block.length, sink);
      const [fresh] = decode(block, 0);
      assert.deepEqual(sink.finish(decoder), fresh);
    }
  }
});

test('a layout gets a decoder when it was seen some times; nonsense does not use them up', () => {
  const decoder = new RecordDecoder({ capacity: 16 });
  const sink = new Collector();
  const feed = (records: readonly AnyRecord[]): void => {
    const bytes = encodeAll(records);
    decoder.decodeBlock(bytes, new DataView(bytes.buffer), 0, bytes.length, sink);
  };
  const random = new Prng(1);
  const nonsense = Array.from({ length: 200 }, (): AnyRecord => {
    const types = Array.from({ length: 20 }, () => 100 + random.below(100));
    return [0xf0f0f438, types.map((type) => [type, new Uint8Array(1)]), 0];
  });
  feed(nonsense);
  assert.equal(decoder.layoutCount, 0);
  const good: AnyRecord = [0xf0f0f438, [[FIELD_TYPE.STRING, Uint8Array.of(0x61)]], 0];
  feed(Array.from({ length: 15 }, () => good));
  assert.equal(decoder.layoutCount, 0);
  feed([good, good]);
  assert.equal(decoder.layoutCount, 1);
  assert.equal(sink.finish(decoder).length, 217);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordByTag, TABLES } from './catalog.ts';
import type { RecordColumns } from './columns.ts';
import { RecordDecoder } from './decoder.ts';
import { makeFrameHeader, RecordEncoder } from './encoder.ts';
import { RdrReader } from './reader.ts';
import { decodeText } from './text.ts';
import { OTHER_VECTORS } from './vectors-other.test-data.ts';
import { TRANSACTION_VECTORS } from './vectors-transaction.test-data.ts';

interface Vector {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly header: readonly number[];
  /** Type, value octets, column, and the value, or undefined for octets. */
  readonly fields: readonly [number, Uint8Array, string, number | string | undefined][];
}

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function parse(text: string): Vector[] {
  return text
    .trim()
    .slice(2)
    .split('\n# ')
    .map((block) => {
      const [name, headerHex, items, ...lines] = block.split('\n');
      const parts = [fromHex(headerHex!)];
      const fields = lines.map((line): Vector['fields'][number] => {
        const [, head, column, value] = /^([0-9a-f ]+) ([a-z][a-z_0-9]*) = (.*)$/.exec(line)!;
        const bytes = fromHex(head!);
        parts.push(bytes);
        return [
          bytes[0]!,
          bytes.subarray(5),
          column!,
          value === 'raw' ? undefined : JSON.parse(value!),
        ];
      });
      const header = items!.slice(2).split(' ').map(Number);
      return { name: name!, bytes: Uint8Array.from(Buffer.concat(parts)), header, fields };
    });
}

const VECTORS = [...parse(TRANSACTION_VECTORS), ...parse(OTHER_VECTORS)];

function headerOf(columns: RecordColumns): number[] {
  const h = columns.header;
  return [
    h.processorId,
    h.length,
    h.sourceIpSample,
    h.destinationIpSample,
    h.sourcePort,
    h.destinationPort,
    h.flowContextId,
    h.tag,
    h.fieldCount,
  ].map((column) => column[0]!);
}

test('there is a vector for each of the 33 tags, with all fields of the catalogue', () => {
  assert.deepEqual(
    VECTORS.map((vector) => vector.header[7]!).sort((a, b) => a - b),
    TABLES.map((entry) => entry.tag!).sort((a, b) => a - b),
  );
  for (const vector of VECTORS) {
    const entry = recordByTag(vector.header[7]!)!;
    assert.equal(entry.name.toLowerCase(), vector.name);
    const columns = vector.fields.map((field) => field[2]);
    assert.deepEqual(
      columns,
      entry.fields.map((field) => field.column),
    );
  }
});

for (const vector of VECTORS) {
  for (const layoutsMax of [0, 64]) {
    test(`${vector.name} into columns, ${layoutsMax === 0 ? 'generic' : 'generated'}`, () => {
      const decoder = new RecordDecoder({ layoutsMax, capacity: 8, layoutAfter: 1 });
      const { bytes } = vector;
      const sink = {
        onFull: () => assert.fail('full'),
        onMalformed: () => assert.fail('malformed'),
        onOther: () => assert.fail('other'),
      };
      assert.equal(
        decoder.decodeBlock(bytes, new DataView(bytes.buffer), 0, bytes.length, sink),
        bytes.length,
      );
      const columns = decoder.tables.find((table) => table.rowCount === 1)!;
      assert.deepEqual(headerOf(columns), vector.header);
      assert.equal(columns.extra.valid[0], 0, 'nothing beside the columns');
      vector.fields.forEach(([, octets, name, value], i) => {
        const column = columns.fields[i]!;
        assert.equal(column.name, name);
        assert.equal(column.valid[0], 1, name);
        if (column.kind === 'text') {
          const got = column.bytes.subarray(0, column.ends[0]);
          assert.deepEqual([...got], [...octets], name);
          if (value !== undefined) assert.equal(Buffer.from(got).toString('latin1'), value);
        } else {
          assert.ok(column.kind === 'int');
          const got = column.words[1]! * 2 ** 32 + (column.words[0]! >>> 0);
          assert.equal(got, value, name);
        }
      });
    });
  }

  test(`${vector.name} as an object`, () => {
    const [record, ...rest] = RdrReader.read([vector.bytes]);
    assert.equal(rest.length, 0);
    assert.ok(record !== undefined && record.kind === 'record');
    assert.deepEqual(Object.values(record.header), vector.header);
    assert.equal(record.name.toLowerCase(), vector.name);
    vector.fields.forEach(([type, octets, name, value], i) => {
      const field = record.fields[i]!;
      assert.deepEqual([field.name, field.type], [name, type]);
      assert.deepEqual([...field.bytes], [...octets]);
      assert.equal(field.value, value ?? decodeText(octets));
      assert.equal(record.values[name], field.value);
    });
  });

  test(`${vector.name} from the encoder: the same bytes`, () => {
    const target = new Uint8Array(4096);
    const encoder = new RecordEncoder(target);
    const [processorId, , sourceIpSample, destinationIpSample, sourcePort, destinationPort] =
      vector.header as [number, number, number, number, number, number];
    const [flowContextId, tag] = vector.header.slice(6) as [number, number];
    encoder.begin({
      tag,
      processorId,
      sourceIpSample,
      destinationIpSample,
      sourcePort,
      destinationPort,
      flowContextId,
    });
    for (const [type, octets, , value] of vector.fields) {
      const number = value as number;
      if (type === 11) encoder.int8(number);
      else if (type === 12) encoder.int16(number);
      else if (type === 13) encoder.int32(number);
      else if (type === 14) encoder.uint8(number);
      else if (type === 15) encoder.uint16(number);
      else if (type === 16) encoder.uint32(number);
      else if (typeof value === 'string') encoder.string(value);
      else encoder.text(octets);
    }
    assert.deepEqual([...target.subarray(0, encoder.end())], [...vector.bytes]);
  });
}

/** A record with each type of field, in columns that they do not fit: FLOAT and BOOLEAN, too. */
function everyType(): Vector {
  const bytes = new Uint8Array(200);
  const encoder = new RecordEncoder(bytes);
  encoder.begin({ ...makeFrameHeader(0xf0f0f438), processorId: 1 });
  const octets = [1, 2, 4, 1, 2, 4, 4, 1, 3, 3].map((length) => new Uint8Array(length).fill(2));
  const types = [11, 12, 13, 14, 15, 16, 21, 31, 41, 99];
  types.forEach((type, i) => {
    encoder.raw(type, octets[i]!);
  });
  const fields = types.map((type, i): Vector['fields'][number] => [type, octets[i]!, '', 0]);
  return { name: 'every type', bytes: bytes.slice(0, encoder.end()), header: [], fields };
}

test('a wrong byte in any field header: the generated decoder sees what the walk sees', () => {
  for (const vector of [...VECTORS, everyType()]) {
    // One generated decoder, that of the undamaged record: others would only cost time.
    const generated = new RecordDecoder({ capacity: 8, layoutsMax: 1, layoutAfter: 1 });
    const generic = new RecordDecoder({ capacity: 8, layoutsMax: 0 });
    const sink = { onFull() {}, onMalformed() {}, onOther() {} };
    const decodeBoth = (bytes: Uint8Array): void => {
      const view = new DataView(bytes.buffer);
      for (const decoder of [generated, generic]) {
        decoder.decodeBlock(bytes, view, 0, bytes.length, sink);
        decoder.tables.find((columns) => columns.rowCount > 0)?.reset();
      }
    };
    // The layout of the undamaged record first, so that its decoder is the one that is tried.
    decodeBoth(vector.bytes);
    let at = 20;
    for (const [, octets] of vector.fields) {
      for (let byte = at; byte < at + 5; byte++) {
        for (const wrong of [1, 3, 4, 13, 41, 0xff]) {
          const bytes = vector.bytes.slice();
          bytes[byte] = wrong;
          decodeBoth(bytes);
          const what = `${vector.name}, byte ${byte} = ${wrong}`;
          assert.deepEqual(generated.counts, generic.counts, what);
          assert.equal(generated.misfitCount, generic.misfitCount, what);
        }
      }
      at += 5 + octets.length;
    }
  }
});

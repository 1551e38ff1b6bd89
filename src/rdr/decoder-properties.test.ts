import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type CatalogEntry, recordByTag, TABLES } from './catalog.ts';
import { FIELD_TYPE, FIXED_LENGTH } from './constants.ts';
import { LAYOUTS_MAX } from './decoder.ts';
import { type Cell, decode, encodeAll } from './decoder-rows.test-data.ts';
import { decodeText } from './text.ts';

/** Any field: a type code (known mostly) and bytes that its type allows. */
const anyField = fc
  .tuple(
    fc.oneof(
      { weight: 8, arbitrary: fc.constantFrom(...Object.values(FIELD_TYPE)) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
    ),
    fc.uint8Array({ maxLength: 40 }),
    fc.boolean(),
  )
  .map(([type, bytes, plain]): [number, Uint8Array] => {
    const fixed = FIXED_LENGTH[type]!;
    const value = plain ? bytes.map((byte) => 0x61 + (byte % 26)) : bytes;
    if (fixed === 0) return [type, value];
    return [type, Uint8Array.from({ length: fixed }, (_, i) => value[i] ?? 0)];
  });

/** Fields as the catalogue types them: random values, cut anywhere, some replaced or added. */
function recordFields(entry: CatalogEntry): fc.Arbitrary<[number, Uint8Array][]> {
  return fc
    .record({
      values: fc.array(fc.uint8Array({ maxLength: 30 }), {
        minLength: entry.fields.length,
        maxLength: entry.fields.length,
      }),
      count: fc.oneof(
        fc.constant(entry.fields.length),
        fc.constant(entry.baseFieldCount),
        fc.nat(entry.fields.length),
      ),
      odd: fc.array(fc.tuple(fc.nat(entry.fields.length), anyField), { maxLength: 2 }),
      surplus: fc.oneof(fc.constant([]), fc.array(anyField, { maxLength: 4 })),
    })
    .map(({ values, count, odd, surplus }) => {
      const fields = entry.fields.slice(0, count).map((field, i): [number, Uint8Array] => {
        const name = field.type === 'UNKNOWN' ? 'UINT32' : field.type;
        const type = FIELD_TYPE[name];
        const fixed = FIXED_LENGTH[type]!;
        const value = values[i]!;
        if (fixed === 0) return [type, value];
        return [type, Uint8Array.from({ length: fixed }, (_, k) => value[k] ?? 0)];
      });
      for (const [at, field] of odd) if (at < fields.length) fields[at] = field;
      if (count === entry.fields.length) fields.push(...surplus);
      return fields;
    });
}

const anyRecord = fc
  .oneof(
    { weight: 6, arbitrary: fc.constantFrom(...TABLES) },
    { weight: 3, arbitrary: fc.constant(recordByTag(0xf0f0f438)!) },
  )
  .chain((entry) => fc.tuple(fc.constant(entry.tag!), recordFields(entry), fc.nat(255)));

function property(t: { diagnostic(text: string): void }, runs: number) {
  const seed = (Math.random() * 2 ** 31) | 0;
  t.diagnostic(`seed ${seed}`);
  return { seed, numRuns: runs };
}

test('generated and generic decoders agree on any records', (t) => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 30 }), fc.boolean(), (records, repeat) => {
      const list = repeat ? records.flatMap((record) => [record, record, record]) : records;
      const bytes = encodeAll(list);
      const [rows, sink, generated] = decode(bytes, LAYOUTS_MAX);
      const [expected, expectedSink, generic] = decode(bytes, 0);
      assert.deepEqual(rows, expected);
      assert.equal(rows.length, list.length);
      assert.deepEqual(sink.other, expectedSink.other);
      assert.deepEqual(sink.malformed, expectedSink.malformed);
      assert.equal(generated.misfitCount, generic.misfitCount);
      assert.equal(generated.surplusCount, generic.surplusCount);
      assert.deepEqual(generated.counts, generic.counts);
    }),
    property(t, 100),
  );
});

test('what the encoder wrote comes back: fields in columns or in extra, nothing lost', (t) => {
  fc.assert(
    fc.property(anyRecord, (record) => {
      const [rows] = decode(encodeAll([record]), LAYOUTS_MAX);
      const entry = recordByTag(record[0])!;
      const extra = new Map(
        ((rows[0]!.extra ?? []) as [number, number, Cell][]).map((e) => [e[0], e]),
      );
      record[1].forEach(([type, bytes], index) => {
        const kept = extra.get(index);
        const cell = rows[0]!.cells[index];
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const fixed = FIXED_LENGTH[type]!;
        let wanted: Cell;
        if (type === FIELD_TYPE.STRING) wanted = decodeText(bytes);
        else if (type === FIELD_TYPE.FLOAT) {
          const value = view.getFloat32(0);
          wanted = Number.isFinite(value) ? value : String(value);
        } else if (fixed === 0) wanted = Buffer.from(bytes).toString('hex');
        else if (type <= FIELD_TYPE.INT32)
          wanted = Number(
            BigInt.asIntN(8 * fixed, BigInt(`0x${Buffer.from(bytes).toString('hex')}`)),
          );
        else wanted = Number.parseInt(Buffer.from(bytes).toString('hex'), 16);
        const kind = entry.fields[index]?.kind;
        const isText = type === FIELD_TYPE.STRING;
        const isInt = fixed !== 0 && type !== FIELD_TYPE.FLOAT;
        if ((kind === 'int' && isInt) || (kind === 'text' && isText)) {
          assert.equal(cell, wanted);
          assert.equal(kept, undefined);
        } else {
          assert.ok(cell === null || cell === undefined);
          assert.deepEqual(kept, [index, type, Object.is(wanted, -0) ? 0 : wanted]);
        }
      });
    }),
    property(t, 200),
  );
});

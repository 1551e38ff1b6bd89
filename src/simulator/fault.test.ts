import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import {
  frameLength,
  MALFORMED,
  RecordDecoder,
  recordByTag,
  WELL_FORMED,
  walkFields,
} from '../rdr/index.ts';
import { Prng } from '../toolkit/base/prng.ts';
import { FAULT, FaultMaker, stretch } from './fault.ts';
import { ITEM_BYTES_MAX, LAYOUTS, namedMix, RecordStream, SubscriberPool } from './index.ts';

const bytes = new Uint8Array(2 * ITEM_BYTES_MAX);
const view = new DataView(bytes.buffer);
const subscribers = new SubscriberPool(1000);

/** Applies one fault to many records of all types: what the field walk says of each. */
function outcomes(fault: number, hasText = false): Set<number> {
  const seed = randomInt(2 ** 31);
  console.info(`# seed ${seed}`);
  const stream = new RecordStream({ seed, mix: namedMix('all'), subscribers });
  const maker = new FaultMaker(new Prng(seed));
  const found = new Set<number>();
  for (let i = 0; i < 5000; i++) {
    const length = stream.fill(bytes, 0, bytes.length, 1);
    if (hasText && !recordByTag(view.getUint32(15))!.fields.some(({ kind }) => kind === 'text')) {
      continue;
    }
    const broken = maker.apply(fault, bytes, view, 0, length);
    assert.equal(frameLength(bytes, 0), broken, 'the length stays true');
    assert.ok(broken >= 20 && broken <= ITEM_BYTES_MAX);
    found.add(walkFields(bytes, view, 0, broken));
  }
  return found;
}

test('each malformed record has exactly its reason', () => {
  assert.deepEqual([...outcomes(FAULT.FIELDS_SHORT)], [MALFORMED.FIELDS_SHORT]);
  assert.deepEqual([...outcomes(FAULT.FIELD_OVERRUN, true)], [MALFORMED.FIELD_OVERRUN]);
  assert.deepEqual([...outcomes(FAULT.FIXED_LENGTH)], [MALFORMED.FIXED_LENGTH]);
  assert.deepEqual([...outcomes(FAULT.COUNT_HIGH)], [MALFORMED.COUNT_HIGH]);
});

test('unusual records are well formed', () => {
  for (const fault of [FAULT.UNKNOWN_TAG, FAULT.UNKNOWN_TYPE, FAULT.TYPE_MISMATCH]) {
    assert.deepEqual([...outcomes(fault)], [WELL_FORMED]);
  }
  assert.deepEqual([...outcomes(FAULT.MORE_FIELDS)], [WELL_FORMED]);
});

test('the longest record has 10,004 bytes and is well formed', () => {
  const mix = { ...namedMix('tur'), extraFieldsRatio: 1 };
  const stream = new RecordStream({ seed: 1, mix, subscribers });
  const length = stretch(bytes, view, 0, stream.fill(bytes, 0, bytes.length, 1));
  assert.equal(length, 10_004);
  assert.equal(frameLength(bytes, 0), 10_004);
  assert.equal(walkFields(bytes, view, 0, length), WELL_FORMED);
});

test('the decoder finds the same rows and reasons as the totals say', () => {
  const seed = randomInt(2 ** 31);
  console.info(`# seed ${seed}`);
  const stream = new RecordStream({
    seed,
    mix: namedMix('all'),
    subscribers,
    malformedRatio: 0.5,
  });
  const decoder = new RecordDecoder();
  const rows: Record<string, number> = {};
  let others = 0;
  let rowsWithExtra = 0;
  const sink = {
    onFull(columns: (typeof decoder.tables)[number]): void {
      rows[columns.tableName] = (rows[columns.tableName] ?? 0) + columns.rowCount;
      for (let row = 0; row < columns.rowCount; row++) rowsWithExtra += columns.extra.valid[row]!;
    },
    onMalformed(): void {
      // Counted by the decoder.
    },
    onOther(): void {
      others++;
    },
  };
  for (let i = 0; i < 20_000; i++) {
    // The record stands at the end of the item, behind the garbage if there is any.
    const before = stream.totals.garbageBytes;
    const length = stream.fill(bytes, 0, bytes.length, 1);
    const garbage = stream.totals.garbageBytes - before;
    assert.equal(decoder.decodeBlock(bytes, view, garbage, length - garbage, sink), length);
  }
  for (const columns of decoder.tables) if (columns.rowCount > 0) sink.onFull(columns);
  const totals = stream.totals.toJson();
  assert.deepEqual(
    LAYOUTS.map(({ tableName }) => rows[tableName] ?? 0),
    LAYOUTS.map(({ tableName }) => totals.tables[tableName] ?? 0),
  );
  const { unknown_tag, unknown_type, type_mismatch, more_fields } = totals.other;
  assert.equal(others, unknown_tag);
  assert.deepEqual([...decoder.counts.malformed.subarray(1)], Object.values(totals.malformed));
  assert.equal(rowsWithExtra, unknown_type! + type_mismatch! + more_fields!);
  assert.equal(decoder.misfitCount, unknown_type! + type_mismatch!);
});

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  CATALOG,
  CATALOG_SOURCES,
  recordByName,
  recordByTag,
  TABLES,
  tableNameOf,
} from './catalog.ts';

test('the generated module is up to date with rdr-catalog.json', () => {
  const script = join(import.meta.dirname, '..', '..', '..', 'scripts', 'generate-catalog.mjs');
  execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' });
});

test('49 record types, 33 of them with a table', () => {
  assert.equal(CATALOG.length, 49);
  assert.equal(TABLES.length, 33);
  const names = TABLES.map((entry) => entry.tableName!);
  assert.equal(new Set(names).size, 33);
  for (const name of names) assert.match(name, /^[a-z0-9_]+$/);
  assert.ok(names.includes('transaction_usage') && names.includes('subscriber_usage'));
  assert.ok(names.includes('quota_breach') && names.includes('quota_breach_v2'));
  assert.ok(names.includes('quota_threshold_breach_v2'));
  assert.ok(!names.includes('test'), 'a tag without fields has no table');
});

test('every entry says how it is known, with sources that exist', () => {
  for (const entry of CATALOG) {
    assert.notEqual(entry.confidence, '', entry.name);
    for (const source of entry.source) assert.ok(CATALOG_SOURCES[source.key], source.key);
    for (const field of entry.fields) assert.notEqual(field.typeSource, undefined);
  }
});

test('columns are unique lower-case names in wire order, with a kind', () => {
  for (const entry of TABLES) {
    const columns = entry.fields.map((field) => field.column);
    assert.equal(new Set(columns).size, columns.length, entry.name);
    entry.fields.forEach((field, index) => {
      assert.equal(field.index, index);
      assert.match(field.column, /^[a-z][a-z0-9_]*$/);
      if (field.type === 'STRING') assert.equal(field.kind, 'text');
      else if (field.type !== 'UNKNOWN') assert.equal(field.kind, 'int');
    });
  }
});

test('documented release variants are columns behind the others', () => {
  const usage = recordByTag(0xf0f0f438)!;
  assert.equal(usage.baseFieldCount, 25);
  assert.equal(usage.fields.length, 29);
  assert.deepEqual(
    usage.fields.slice(25).map((field) => [field.column, field.kind, field.release !== null]),
    [
      ['unknown_26', 'int', true],
      ['unknown_27', 'int', true],
      ['unknown_28', 'text', true],
      ['unknown_29', 'text', true],
    ],
  );
  assert.equal(usage.fields[24]!.release, null);
  const subscriber = recordByTag(0xf0f0f000)!;
  assert.deepEqual(
    subscriber.fields.slice(12).map((field) => [field.column, field.kind]),
    [
      ['up_vlink', 'int'],
      ['down_vlink', 'int'],
    ],
  );
});

test('records are found by tag, name, table, alias and written tag, never by a guessed tag', () => {
  const usage = recordByTag(4042323000);
  for (const name of ['TUR', 'transaction_usage', 'TRANSACTION_USAGE_RDR', 'TransactionUsage']) {
    assert.equal(recordByName(name), usage, name);
  }
  assert.equal(recordByName('0xF0F0F438'), usage);
  assert.equal(recordByName('4042323000'), usage);
  assert.equal(recordByName('nothing'), undefined);
  assert.equal(recordByTag(0xf0f0f110), undefined);
  const test = recordByTag(0xffffffff)!;
  assert.equal(test.name, 'TEST_RDR');
  assert.equal(tableNameOf(test), null);
});

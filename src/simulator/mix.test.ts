import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { MillraceError } from '../toolkit/base/errors.ts';
import { MIXES, namedMix, parseMix, RecordStream, SubscriberPool } from './index.ts';

test('every named mix makes records of the types it names', () => {
  for (const [name, mix] of Object.entries(MIXES)) {
    const stream = new RecordStream({ seed: 3, mix, subscribers: new SubscriberPool(100) });
    const buffer = new Uint8Array(1 << 20);
    while (stream.totals.records < 30_000) stream.fill(buffer);
    const { tables } = stream.totals.toJson();
    for (const [table, weight] of Object.entries(mix.weights)) {
      if (weight > 0) assert.ok(tables[table]! > 0, `${name} has ${table}`);
    }
    for (const table of Object.keys(tables)) {
      assert.ok(Object.hasOwn(mix.weights, table) || Object.hasOwn(mix.periodic, table), table);
    }
  }
});

test('the shares of a mix are kept', () => {
  const mix = parseMix('{"weights":{"transaction_usage":3,"dhcp":1},"periodic":{}}', 'x.json');
  const stream = new RecordStream({ seed: 3, mix, subscribers: new SubscriberPool(100) });
  const buffer = new Uint8Array(1 << 20);
  while (stream.totals.records < 40_000) stream.fill(buffer);
  const { tables, records } = stream.totals.toJson();
  assert.ok(Math.abs(tables.dhcp! / records - 0.25) < 0.01);
});

test('the example file is a mix', () => {
  const file = new URL('../../../bench/load/busy-evening.json', import.meta.url);
  const mix = parseMix(readFileSync(file, 'utf8'), 'busy-evening.json');
  assert.equal(mix.weights.transaction_usage, 60);
  assert.equal(mix.periodic.link_usage!.periodSeconds, 300);
});

test('a wrong file is refused by name and key', () => {
  const refused = (text: string, code: string, pattern: RegExp): void => {
    assert.throws(
      () => parseMix(text, 'my.json'),
      (error) => {
        assert.ok(error instanceof MillraceError);
        assert.equal(error.code, code);
        assert.match(error.message, /my\.json/);
        assert.match(error.message, pattern);
        return true;
      },
    );
  };
  refused('{', 'MR_CONFIG_FILE', /not JSON/);
  refused('[]', 'MR_CONFIG_KEY', /must be an object/);
  refused('{"weight":{}}', 'MR_CONFIG_KEY', /weight /);
  refused('{"weights":{}}', 'MR_CONFIG_KEY', /at least one/);
  refused('{"weights":{"tur":1}}', 'MR_CONFIG_KEY', /weights\.tur/);
  refused('{"weights":{"dhcp":-1}}', 'MR_CONFIG_KEY', /weights\.dhcp/);
  refused('{"weights":{"dhcp":"1"}}', 'MR_CONFIG_KEY', /weights\.dhcp/);
  refused('{"periodic":{"link_usage":{"periodSeconds":0,"records":1}}}', 'MR_CONFIG_KEY', /period/);
  refused('{"periodic":{"link_usage":7}}', 'MR_CONFIG_KEY', /link_usage/);
  refused('{"freshHostRatio":1.5}', 'MR_CONFIG_KEY', /freshHostRatio/);
  refused('{"virtualRecordsPerSecond":0.5}', 'MR_CONFIG_KEY', /virtualRecordsPerSecond/);
  refused('{"longPaths":1}', 'MR_CONFIG_KEY', /longPaths/);
  assert.throws(() => namedMix('constructor'), /no mix named/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileFilter, parseFilter, RecordRuns, selectRuns } from '../../src/rdr/index.ts';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';
import { ALTERNATING_FILTER, alternate } from './alternating.ts';

test('the filter passes every second record of an alternating stream, in runs of one', () => {
  const buffer = new Uint8Array(1 << 20);
  const stream = new RecordStream({
    seed: 7,
    mix: namedMix('tur'),
    subscribers: new SubscriberPool(100),
  });
  const bytes = buffer.subarray(0, stream.fill(buffer, 0, buffer.length, 1000));
  const records = alternate(bytes);
  assert.equal(records, stream.totals.records);
  const runs = new RecordRuns();
  const predicate = compileFilter(parseFilter(ALTERNATING_FILTER));
  selectRuns(
    predicate,
    buffer,
    new DataView(buffer.buffer),
    0,
    bytes.length,
    new Uint8Array(16),
    runs,
  );
  assert.equal(runs.walked, records);
  assert.equal(runs.records, records / 2);
  assert.equal(runs.runCount, records / 2);
  assert.equal(runs.entries[0], 0, 'the first one passes');
});

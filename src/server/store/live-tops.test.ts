import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecordColumns, recordByName } from '../../rdr/index.ts';
import { setWords } from './batch.ts';
import { BUCKET_MS, LiveTops } from './live-tops.ts';
import { sumColumnsOf } from './record-sums.ts';

/** Columns with one row per [subscriber, service, bytes up, bytes down]. */
function columnsOf(rows: readonly (readonly [string, number, number, number])[]): RecordColumns {
  const columns = new RecordColumns(recordByName('transaction_usage')!);
  const set = (name: string, row: number, value: number): void => {
    const column = columns.fields.find((field) => field.name === name)!;
    assert.equal(column.kind, 'int');
    if (column.kind === 'int') setWords(column.words, row, value);
  };
  const subscriber = columns.fields[0]!;
  assert.equal(subscriber.kind, 'text');
  rows.forEach(([name, service, up, down], row) => {
    if (subscriber.kind === 'text') {
      const bytes = Buffer.from(name);
      subscriber.bytes.set(bytes, subscriber.byteCount);
      subscriber.byteCount += bytes.length;
      subscriber.ends[row] = subscriber.byteCount;
    }
    set('service_id', row, service);
    set('session_upstream_volume', row, up);
    set('session_downstream_volume', row, down);
  });
  columns.rowCount = rows.length;
  return columns;
}

function add(tops: LiveTops, rows: readonly (readonly [string, number, number, number])[]): void {
  const columns = columnsOf(rows);
  tops.addRows(columns, sumColumnsOf(columns), 0, rows.length, '10.0.0.1');
}

test('unwatched, nothing is kept; watched, the sums are exact', () => {
  let now = 1_000_000;
  const tops = new LiveTops(() => now);
  add(tops, [['lost', 1, 1, 1]]);
  assert.equal(tops.isWatched, false);
  assert.deepEqual(tops.topLive('subscribers', 5), []);
  assert.equal(tops.isWatched, true);
  add(tops, [
    ['ann', 7, 10, 20],
    ['bob', 7, 100, 0],
    ['ann', 8, 1, 1],
  ]);
  assert.deepEqual(tops.topLive('subscribers', 5), [
    { name: 'bob', bytes: 100, sessions: 1, records: 1 },
    { name: 'ann', bytes: 32, sessions: 2, records: 2 },
  ]);
  assert.deepEqual(tops.topLive('subscribers', 1, 'sessions')[0]!.name, 'ann');
  assert.deepEqual(tops.topLive('services', 2), [
    { name: '7', bytes: 130, sessions: 2, records: 2 },
    { name: '8', bytes: 2, sessions: 1, records: 1 },
  ]);
  assert.deepEqual(tops.topLive('exporters', 2)[0]!.bytes, 132);
  now += 6_000;
  tops.tick();
  assert.equal(tops.isWatched, false, 'the lease has ended');
});

test('what is older than the window leaves it', () => {
  let now = 7 * BUCKET_MS;
  const tops = new LiveTops(() => now);
  tops.watch();
  for (let i = 0; i < 20; i++) {
    add(tops, [['ann', 1, 1, 0]]);
    now += BUCKET_MS / 2;
    tops.watch();
    tops.tick();
  }
  const [row] = tops.topLive('subscribers', 1);
  // Two in each full bucket of the window, none yet in the new one.
  assert.equal(row!.sessions, 12);
});

test('many distinct keys come and go; the sums of those that stay are kept', () => {
  let now = 0;
  const tops = new LiveTops(() => now);
  tops.watch();
  for (let round = 0; round < 60; round++) {
    const rows = Array.from(
      { length: 2000 },
      (_, i) => [`s${round}-${i}`, 1, 1, 0] as [string, number, number, number],
    );
    rows[0] = ['always', 1, 5, 0];
    add(tops, rows);
    now += 2_000;
    tops.watch();
    tops.tick();
  }
  const [row] = tops.topLive('subscribers', 1);
  assert.equal(row!.name, 'always');
  assert.equal(row!.sessions, 30);
  assert.equal(row!.bytes, 150);
});

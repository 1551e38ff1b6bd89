import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSource } from '../../test/support/fake-source.ts';
import { statusLines } from './status-text.ts';
import { bytesText, countText, spanText, table } from './text-table.ts';

test('status shows rates, exporters and both ledgers with their verdict', () => {
  const source = new FakeSource({ seed: 1, exporters: 3 });
  const snapshot = source.snapshot();
  const text = statusLines(snapshot).join('\n');
  for (const exporter of snapshot.exporters) assert.ok(text.includes(exporter.address));
  assert.match(text, /intake ledger/);
  assert.match(text, /sink ledger of /);
  assert.ok(text.includes(countText(snapshot.intake.read)));
  assert.equal(text.match(/closes: nothing/g)?.length, 1 + snapshot.sinks.length);
});

test('a ledger that does not close says so', () => {
  const snapshot = new FakeSource({ seed: 1 }).snapshot();
  const open = { ...snapshot, intake: { ...snapshot.intake, difference: 248 } };
  assert.match(statusLines(open).join('\n'), /DOES NOT CLOSE: 248 bytes/);
});

test('a guarded server says what it caught, and where the reports are', () => {
  const snapshot = new FakeSource({ seed: 1 }).snapshot();
  const lineOf = (guard: Partial<typeof snapshot.guard>): string | undefined =>
    statusLines({ ...snapshot, guard: { ...snapshot.guard, ...guard } }).find((line) =>
      line.startsWith('guard'),
    );
  assert.equal(lineOf({ mode: 'off' }), undefined);
  assert.equal(lineOf({ mode: 'report', faults: 0 }), 'guard in report mode, no write caught');
  const two = lineOf({ mode: 'continue', faults: 2, refused: 3, file: '/d/r.jsonl' });
  assert.equal(
    two,
    'guard in continue mode, 2 writes caught: /d/r.jsonl; the kernel refused 3 times',
  );
});

test('numbers, bytes, spans and tables for people', () => {
  assert.equal(countText(1234567), '1,234,567');
  assert.equal(countText(-1234), '-1,234');
  assert.equal(countText(0), '0');
  assert.equal(bytesText(999), '999 B');
  assert.equal(bytesText(1_500_000), '1.5 MB');
  assert.equal(spanText(850), '850 ms');
  assert.equal(spanText(12_300), '12.3 s');
  assert.equal(spanText(300_000), '5 min');
  assert.deepEqual(table(['a', 'bb'], [['1', '2']], [1]), ['a  bb', '1   2']);
});

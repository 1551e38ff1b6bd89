import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SequenceCheck, type Strictness } from './sequence-check.ts';

/** What one connection after another brought, all of stream 7. */
function seen(strictness: Strictness, ...connections: number[][]): SequenceCheck {
  const check = new SequenceCheck(strictness);
  for (const sequences of connections) {
    const last = new Map<number, number>();
    for (const sequence of sequences) check.see(last, 7, sequence);
  }
  return check;
}

test('a whole stream, also from its middle, has no finding', () => {
  assert.deepEqual(seen('exact', [0, 1, 2, 3]).findings(), []);
  assert.deepEqual(seen('exact', [5, 6], [7, 8]).findings(), []);
});

test('a record behind a later one is found on one connection only', () => {
  assert.deepEqual(seen('order', [0, 2, 1]).findings(), ['1 records out of order']);
  assert.deepEqual(seen('order', [0, 2], [1, 3]).findings(), []);
});

test('the same record twice in a row is out of order', () => {
  assert.deepEqual(seen('order', [4, 4]).findings(), ['1 records out of order']);
});

test('a gap fails where streams must be complete, over all connections together', () => {
  assert.deepEqual(seen('order', [0, 1, 5]).findings(), []);
  assert.deepEqual(seen('complete', [0, 1, 5]).findings(), ['3 records missing in 1 gaps']);
  assert.deepEqual(seen('complete', [0, 1, 5], [2, 3, 4]).findings(), []);
});

test('a record over two connections fails where streams must be exact', () => {
  assert.deepEqual(seen('complete', [0, 1, 2], [2, 3]).findings(), []);
  assert.equal(seen('complete', [0, 1, 2], [2, 3]).totals().doubles, 1);
  assert.deepEqual(seen('exact', [0, 1, 2], [2, 3]).findings(), ['1 records twice']);
});

test('0 behind a later record begins the stream anew and keeps what was missing', () => {
  const check = seen('exact', [0, 1, 3, 0, 1, 2]);
  assert.deepEqual(check.totals(), {
    strictness: 'exact',
    streams: 1,
    backwards: 0,
    gaps: 1,
    missing: 1,
    doubles: 0,
    restarts: 1,
  });
});

test('streams are judged apart', () => {
  const check = new SequenceCheck('exact');
  const last = new Map<number, number>();
  for (const sequence of [0, 1, 2]) {
    check.see(last, 1, sequence);
    check.see(last, 2, sequence + 10);
  }
  assert.deepEqual(check.findings(), []);
  assert.equal(check.totals().streams, 2);
});

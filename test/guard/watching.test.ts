/**
 * Hardware watchpoints from C: true touches alone are reported, in each thread, whenever it was
 * born, with the writer's line; slots are counted, and come back.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { culpritOf, type GuardReport } from '../../src/toolkit/guard/index.ts';
import { compileC } from '../support/compile-c.ts';
import { type Reported, runWhereOffered } from '../support/reporting-program.ts';

const program = compileC('watching.c', { flags: ['-O1', '-fno-builtin'] });
const options = { skip: program === null && 'no C compiler for x86-64' };

/** null: skipped, with the reason. */
function run(context: TestContext, scenario: string): Reported | null {
  return runWhereOffered(context, program!, scenario);
}

function writers(reports: readonly GuardReport[]): string[] {
  return reports.map((report) => `${culpritOf(report)?.function} ${report.offset}`);
}

test('slots: counted in pieces, refused in words, free again after end()', options, (context) => {
  const outcome = run(context, 'pieces');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, [
    'first 1',
    'second -28',
    "these bytes need 3 of the processor's 4 watchpoints, 2 are free",
    'third 1',
    'fourth 1',
    'fifth -28',
    'end 0',
    'end again -2',
    'two are free 1',
    '32 bytes -28',
    '33 bytes -22',
    'no bytes -22',
    'divert -95',
  ]);
});

test('true touches alone, neighbours silent, also of the same value', options, (context) => {
  const outcome = run(context, 'edges');
  if (outcome === null) return;
  assert.equal(outcome.signal, null);
  assert.deepEqual(writers(outcome.reports), [
    'write_one 0',
    'write_one 2',
    'write_one 1', // nothing changed: where the piece that was hit begins
    'write_four 0',
    'write_one 1',
  ]);
  const bytes = outcome.reports.map((report) => `${report.old} -> ${report.new}`);
  assert.deepEqual(bytes, [
    '000000 -> 090000',
    '00 -> 09',
    '0009 -> 0009',
    '090009 -> 040009',
    '0009 -> 0909',
  ]);
});

test('the line is that of the write, behind which the processor stops', options, (context) => {
  const outcome = run(context, 'edges');
  if (outcome === null) return;
  const source = readFileSync(
    join(import.meta.dirname, '../../../test/guard/watching.c'),
    'utf8',
  ).split('\n');
  for (const report of outcome.reports) {
    const { file = '', line } = culpritOf(report) ?? {};
    assert.match(file, /watching\.c$/);
    assert.match(source[(line ?? 0) - 1] ?? '', /volatile .* = (9|0x04030201);/);
    assert.equal(report.kind, 'watch');
    assert.equal(report.label, 'word');
  }
});

test('threads of before and after; none after the end', options, (context) => {
  const outcome = run(context, 'threads');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['end 0']);
  assert.equal(outcome.reports.length, 12);
  const threads = new Set(outcome.reports.map((report) => report.tid));
  assert.ok(threads.size >= 7, `${threads.size} threads`);
});

test('threads born meanwhile have all pieces, once', options, (context) => {
  const outcome = run(context, 'births');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['watch 1', 'third piece 1', 'fourth piece 1']);
  const counts = new Map<number, number>();
  for (const { tid } of outcome.reports) counts.set(tid, (counts.get(tid) ?? 0) + 1);
  assert.deepEqual([...counts.values()], [2, 2, 2, 2, 2, 2]);
});

test('reads too, where asked', options, (context) => {
  const outcome = run(context, 'reads');
  if (outcome === null) return;
  assert.deepEqual(writers(outcome.reports), ['read_one 0', 'write_one 0']);
});

test('mode report: the process dies by SIGTRAP after its report', options, (context) => {
  const outcome = run(context, 'report');
  if (outcome === null) return;
  assert.equal(outcome.signal, 'SIGTRAP');
  assert.deepEqual(outcome.lines, []);
  assert.deepEqual(
    outcome.reports.map((report) => report.isFatal),
    [true],
  );
});

for (const scenario of ['steps', 'steps-alias']) {
  test(
    `${scenario}: a write let through by protect() is seen by both, once`,
    options,
    (context) => {
      const outcome = run(context, scenario);
      if (outcome === null) return;
      assert.deepEqual(outcome.lines, ['value 6', 'end 0']);
      const seen = outcome.reports.map(({ label, old, new: now }) => `${label} ${old} -> ${now}`);
      assert.deepEqual(seen, [
        'page 00000000 -> 05000000',
        'word 00000000 -> 05000000',
        'page 05000000 -> 06000000',
        'word 05000000 -> 06000000',
        'page 00 -> 01',
        'word 06000000 -> 07000000',
      ]);
    },
  );
}

/**
 * Guarded allocations from C: overruns, underruns and uses after free die with a report; fences and
 * the quarantine keep what they promise.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf, type GuardReport } from '../../src/toolkit/guard/index.ts';
import { compileC } from '../support/compile-c.ts';
import { runReporting } from '../support/reporting-program.ts';

const program = compileC('memory.c', { flags: ['-O1', '-fno-builtin'] });
const options = { skip: program === null && 'no C compiler for x86-64' };

interface Outcome {
  readonly signal: string | null;
  readonly facts: Readonly<Record<string, number>>;
  readonly reports: readonly GuardReport[];
}

function run(scenario: string): Outcome {
  const { signal, lines, reports } = runReporting(program!, scenario);
  const facts = lines.map((line) => [
    line.replace(/ -?\d+$/, ''),
    Number(/-?\d+$/.exec(line)?.[0]),
  ]);
  return { signal, facts: Object.fromEntries(facts), reports };
}

interface Death extends Partial<Pick<GuardReport, 'kind' | 'place' | 'offset' | 'beyond'>> {
  readonly who: string;
}

const DEATHS: Readonly<Record<string, Death>> = {
  overrun: { kind: 'write', place: 'guard-after', offset: 100, who: 'copy_too_much' },
  'overrun-far': { kind: 'write', place: 'guard-after', beyond: 4001, who: 'write_at' },
  underrun: { kind: 'write', place: 'guard-before', offset: -3, beyond: 3, who: 'write_at' },
  read: { kind: 'read', place: 'guard-after', offset: 100, beyond: 1, who: 'read_at' },
  freed: { kind: 'write', place: 'freed', offset: 7, beyond: 0, who: 'write_at' },
};

for (const [scenario, { who, ...expected }] of Object.entries(DEATHS)) {
  test(`${scenario}: dies, and the report has the place`, options, () => {
    const { signal, reports } = run(scenario);
    assert.equal(signal, 'SIGSEGV');
    assert.equal(reports.length, 1);
    const [report] = reports as [GuardReport];
    assert.equal(report.label, 'session');
    assert.equal(report.isFatal, true);
    for (const [key, value] of Object.entries(expected)) {
      assert.equal(report[key as keyof GuardReport], value, key);
    }
    assert.equal(culpritOf(report)?.function, who);
    assert.match(culpritOf(report)?.file ?? '', /test\/guard\/memory\.c$/);
  });
}

test('what was freed, when and by whom', options, () => {
  const [report] = run('freed').reports as [GuardReport];
  assert.equal(report.protectTid, report.tid);
  assert.ok(Date.parse(report.protectTime!) <= Date.parse(report.time));
});

test('fences: each broken end is a report without a culprit, found once', options, () => {
  const { facts, reports, signal } = run('fences');
  assert.equal(signal, null);
  assert.deepEqual(facts, {
    'address % 8': 0,
    "to the page's end": 104,
    whole: 0,
    broken: 2,
    mended: 0,
    'broken at free': 1,
    'freed again': -114,
    'checked after': -114,
  });
  const found = reports.map(({ kind, offset, width, culprit }) => ({
    kind,
    offset,
    width,
    culprit,
  }));
  assert.deepEqual(found, [
    { kind: 'canary', offset: -1, width: 1, culprit: null },
    { kind: 'canary', offset: 101, width: 3, culprit: null },
    { kind: 'canary', offset: -3990, width: 1, culprit: null },
  ]);
  const [before, after] = reports as [GuardReport, GuardReport];
  assert.equal(before.new, '01');
  assert.equal(after.new.slice(0, 2) + after.new.slice(-2), '0203');
  assert.equal(after.isFatal, false);
  assert.ok(
    before.frames.some((frame) => frame.function === 'fences'),
    'who looked',
  );
});

test('what cannot be allocated or freed is refused', options, () => {
  assert.deepEqual(run('refusals').facts, {
    inside: -22,
    null: -22,
    stack: -22,
    'no bytes': 1,
    'align 3': 1,
    'align -8': 1,
    'too many': 1,
    'a guard inside': 1,
    'free while guarded': -17,
    end: 0,
    'free after': 0,
  });
});

for (const bound of ['ring-count', 'ring-bytes']) {
  test(`the quarantine, ${bound}: the oldest goes, the next stays closed`, options, () => {
    const { facts, reports, signal } = run(bound);
    assert.deepEqual(facts, {
      'first is mapped': 0,
      'second is mapped': bound === 'ring-count' ? 1 : 0,
      'first has a region': 0,
    });
    if (bound === 'ring-bytes') return;
    assert.equal(signal, 'SIGSEGV');
    assert.equal(reports[0]?.label, 'second');
  });
}

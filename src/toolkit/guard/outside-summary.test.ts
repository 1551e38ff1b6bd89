import assert from 'node:assert/strict';
import { test } from 'node:test';
import { programSummary, summaryLines } from './outside-summary.ts';
import { type GuardReport, parseReport } from './report.ts';

const TOTALS = { buffers: 2, bytes: 3 << 20, failed: 0, ended: 0, allowed: 0 };
const NONE = { ...TOTALS, died: 0, culprits: [] };

const FILL = {
  label: 'table',
  function: 'fill',
  file: 'file:///home/me/table.js',
  line: 14,
  column: 7,
  count: 12_034,
};

test('who wrote how often', () => {
  const copy = { ...FILL, function: '', file: '/opt/lib/addon.node', line: 0, count: 1 };
  assert.deepEqual(summaryLines({ ...NONE, culprits: [FILL, copy] }), [
    'millrace guard: 2 buffers guarded (3 MiB), 2 places wrote there',
    '  12,034 × fill (/home/me/table.js:14:7)      table',
    '       1 × (anonymous) (/opt/lib/addon.node)  table',
  ]);
});

test('nobody; and what was not guarded is told', () => {
  const lines = summaryLines({ ...NONE, buffers: 1, failed: 2, ended: 1, allowed: 3 });
  assert.deepEqual(lines, [
    'millrace guard: 1 buffer guarded (3 MiB), nobody wrote there',
    '  3 writes were let pass by --allow',
    '  2 buffers could not be guarded',
    '  1 guard ended early: too much memory was held for them',
  ]);
});

const FRAME = { kind: 'js', function: 'fill', file: '/a/table.js', line: 3, column: 5, module: '' };

function reportOf(pid: number, label: string, culprit: number | null): GuardReport {
  return parseReport(JSON.stringify({ seq: 1, pid, label, culprit, frames: [FRAME] }))!;
}

test('processes together; what died is known by its reports', () => {
  const lines = [1, 2].map((pid) => JSON.stringify({ pid, totals: TOTALS, culprits: [FILL] }));
  const reports = [
    reportOf(1, 'table', 0),
    reportOf(3, 'a', 0),
    reportOf(3, 'b', 0),
    reportOf(4, 'b', 0),
    reportOf(4, 'b', null),
  ];
  const summary = programSummary(`${lines.join('\n')}\n`, reports);
  assert.deepEqual([summary.buffers, summary.bytes, summary.died], [4, 6 << 20, 2]);
  assert.deepEqual(
    summary.culprits.map((one) => [one.label, one.function, one.line, one.count]),
    [
      ['table', 'fill', 14, 24_068],
      ['b', 'fill', 3, 2],
      ['a', 'fill', 3, 1],
      ['b', '', 0, 1],
    ],
  );
  assert.equal(
    summaryLines(summary).at(-1),
    '  2 processes died before counting: the places are those of the reports',
  );
  const dead = summaryLines(programSummary('', reports.slice(1, 2)));
  assert.deepEqual(dead, [
    'millrace guard: buffers guarded, 1 place wrote there',
    '  1 × fill (/a/table.js:3:5)  a',
    '  1 process died before counting: the places are those of the reports',
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf, parseReport, parseReports } from './report.ts';

const FRAME = { kind: 'js', function: 'scribble', file: '/app.js', line: 3, column: 1, notes: [] };
const LINE = JSON.stringify({ seq: 1, kind: 'watch', culprit: 0, frames: [FRAME], framesCut: 0 });

test('what a line does not have is null', () => {
  const report = parseReport(LINE);
  assert.equal(report?.seq, 1);
  assert.equal(report.place, null);
  assert.equal(report.syscallArgs, null);
  assert.equal(culpritOf(report)?.function, 'scribble');
});

test('a report without culprit has none, nor one whose culprit found no room', () => {
  const report = parseReport(LINE)!;
  assert.equal(culpritOf({ ...report, culprit: null }), null);
  assert.equal(culpritOf({ ...report, culprit: 9 }), null);
});

test('half a line, an empty one and other JSON are left out', () => {
  for (const text of ['', LINE.slice(0, -5), 'null', '7', '[]', '{"seq":1}', '{"frames":[]}']) {
    assert.equal(parseReport(text), null, text);
  }
  const reports = parseReports(`${LINE}\n${LINE.replace('1', '2')}\n${LINE.slice(0, 20)}`);
  assert.deepEqual(
    reports.map(({ seq }) => seq),
    [1, 2],
  );
});

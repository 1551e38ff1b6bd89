import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nameByPerfMap } from './perf-map.ts';
import { type GuardReport, parseReport } from './report.ts';

const MAP = `7fa7bc022000 100 JS:~other /tmp/old.js:9:9
7fa7bc022000 378 JS:~storeIt /tmp/a b/pm.cjs:1:17
7fa7bc023400 50 JS:^get size /tmp/pm.cjs:4:19
7fa7bc024000 e4 JS:*fill file:///tmp/%C3%A9.mjs:7:1
7fa7bc025000 e4 JS:o+' /tmp/pm.cjs:1:1
7fa7bc026000 10 Builtin:CEntry
7fa7bc027000 e4 JS:~run node:internal/main:3:2
7fa7bc028000 e4 JS:~`;

function reportOf(names: string, ...pcs: string[]): GuardReport {
  const frames = pcs.map((pc) => ({ kind: 'native', function: '', module: '', file: '', pc }));
  return parseReport(JSON.stringify({ seq: 1, names, culprit: 0, frames }))!;
}

function placesOf(report: GuardReport): string[] {
  return report.frames.map((frame) => {
    return `${frame.function} ${frame.file}:${frame.line}:${frame.column} ${frame.notes.join(',')}`;
  });
}

test('frames have the function of their address, of the last line that has it', () => {
  const pcs = ['0x7fa7bc022010', '0x7fa7bc023450', '0x7fa7bc0240e4', '0x7fa7bc025001'];
  const report = nameByPerfMap(reportOf('none', ...pcs), MAP);
  assert.equal(report.names, 'perf-map');
  assert.deepEqual(placesOf(report), [
    'storeIt /tmp/a b/pm.cjs:1:17 interpreted,function-line,perf-map',
    'get size /tmp/pm.cjs:4:19 baseline,function-line,perf-map',
    'fill /tmp/é.mjs:7:1 optimized,function-line,perf-map,may-hide-inlined',
    '(anonymous) /tmp/pm.cjs:1:1 optimized,function-line,perf-map,may-hide-inlined',
  ]);
  assert.deepEqual(
    report.frames.map(({ kind }) => kind),
    ['js', 'js', 'js', 'js'],
  );
});

test('the culprit is the first function that is not of Node.js', () => {
  const report = nameByPerfMap(reportOf('none', '0x7fa7bc027001', '0x7fa7bc022010'), MAP);
  assert.equal(report.culprit, 1);
});

test('what is not in the map, and what has names, stays as it is', () => {
  const foreign = reportOf('none', '0x1234', '0x7fa7bc026001');
  assert.deepEqual(nameByPerfMap(foreign, MAP), foreign);
  assert.deepEqual(nameByPerfMap(foreign, ''), foreign);
  const named = reportOf('v8', '0x7fa7bc022010');
  assert.equal(nameByPerfMap(named, MAP), named);
});

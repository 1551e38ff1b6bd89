/**
 * Where V8's heap cannot be read (MILLRACE_GUARD_NO_NAMES stands for a V8 that is not known): names
 * from its perf map, with their exactness; without a map, frames that are said to have none.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import {
  culpritOf,
  type GuardReport,
  nameByPerfMap,
  PERF_MAP_FLAGS,
  readPerfMap,
} from '../../src/toolkit/guard/index.ts';
import { guardSkipReason, type Reported, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };
const env = { MILLRACE_GUARD_NO_NAMES: '1' };

const DOOR = new URL('../../src/toolkit/guard/index.js', import.meta.url).href;
/** The function stands in the second line of its file; its culprit in the third. */
const SCRIBBLE = `//
function scribble(bytes) {
  bytes[8000] = 42;
}
scribble(bytes);`;
const FUNCTION = { line: 2, column: 18 };

const SETUP = `
  import { compileFunction } from 'node:vm';
  import { Worker } from 'node:worker_threads';
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  guard.protect(bytes, { label: 'table', mode: 'continue' });
  console.log(guard.guardStatus().names.source);
  const TEXT = ${JSON.stringify(SCRIBBLE)};`;

const THREADS = {
  main: `${SETUP}
    compileFunction(TEXT, ['bytes'], { filename: '/app/scribble.js' })(bytes);`,
  worker: `${SETUP}
    const code = "const { workerData } = require('node:worker_threads');" +
      "import(workerData.door).then(() => require('node:vm').compileFunction(workerData.TEXT," +
      "['bytes'], { filename: '/app/scribble.js' })(workerData.bytes));";
    const door = ${JSON.stringify(DOOR)};
    new Worker(code, { eval: true, execArgv: [], workerData: { bytes, TEXT, door } });`,
};

function theReport({ reports, stderr }: Reported): GuardReport {
  assert.equal(reports.length, 1, stderr);
  assert.equal(reports[0]!.names, 'none');
  return reports[0]!;
}

for (const [thread, text] of Object.entries(THREADS)) {
  test(`${thread}: the perf map names the function, and says how exact that is`, options, () => {
    const result = runReported(text, { env, flags: PERF_MAP_FLAGS });
    assert.equal(result.stdout, 'perf-map\n', result.stderr);
    assert.equal(result.status, 0);
    const report = theReport(result);
    const named = nameByPerfMap(report, readPerfMap(report.pid));
    rmSync(`/tmp/perf-${report.pid}.map`);
    assert.equal(named.names, 'perf-map');
    assert.deepEqual(culpritOf(named), {
      ...culpritOf(report),
      kind: 'js',
      function: 'scribble',
      file: '/app/scribble.js',
      ...FUNCTION,
      notes: ['interpreted', 'function-line', 'perf-map'],
    });
    assert.match(result.stderr, /^ {2}note {6}names of functions are in \/tmp\/perf-\d+\.map: /m);
  });

  test(`${thread}: without a map names are said to be unknown`, options, () => {
    const result = runReported(text, { env });
    assert.equal(result.stdout, 'none\n', result.stderr);
    const report = theReport(result);
    const frames = report.frames.filter(({ function: name }) => name === 'scribble');
    assert.deepEqual(frames, []);
    assert.deepEqual(nameByPerfMap(report, readPerfMap(report.pid)), report);
    assert.match(result.stderr, /functions of this version of Node\.js cannot be named; start it/);
  });
}

test('the process dies of its write, and the map outlives it', options, () => {
  const text = THREADS.main.replace("'continue'", "'report'");
  const result = runReported(text, { env, flags: PERF_MAP_FLAGS });
  assert.equal(result.signal, 'SIGSEGV', result.stderr);
  const report = theReport(result);
  const culprit = culpritOf(nameByPerfMap(report, readPerfMap(report.pid)));
  rmSync(`/tmp/perf-${report.pid}.map`);
  assert.deepEqual([culprit?.function, culprit?.line], ['scribble', FUNCTION.line]);
});

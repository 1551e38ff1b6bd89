import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf, guardStatus } from '../../src/toolkit/guard/index.ts';
import {
  buildCulprit,
  guardSkipReason,
  lineOf,
  type Reported,
  runReported,
} from './guarded-child.ts';

function uffdSkipReason(): string | false {
  const reason = guardSkipReason();
  if (reason !== false) return reason;
  const feature = guardStatus().features.find(({ name }) => name === 'syscalls');
  return feature!.works ? false : feature!.problem;
}

const options = { skip: uffdSkipReason() };

/** 16 pages whose writes by the kernel are reported too; `zero` is a file of zeros. */
const SETUP = `
  import { once } from 'node:events';
  import { createConnection, createServer } from 'node:net';
  import { openSync, readSync, read } from 'node:fs';
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 })).fill(7);
  const run = (mode) => guard.protect(bytes, { label: 'pages', mode, syscalls: true });
  const zero = openSync('/dev/zero');
  const zeros = () => bytes.filter((byte) => byte === 0).length;
  const answer = (value) => console.log(JSON.stringify(value));`;

function answerOf({ status, signal, stdout, stderr }: Reported): unknown {
  assert.equal(status, 0, `${signal} ${stderr.slice(-3000)}`);
  return JSON.parse(stdout);
}

test('read(2) by an addon: the call, its function and line; the bytes arrive', options, () => {
  const child = runReported(
    `${SETUP}
    run('continue');
    const results = [culprit.readInto(bytes, 8000, zero), culprit.readInto(bytes, 20000, zero)];
    answer([...results, zeros()]);`,
    { addon: buildCulprit() },
  );
  assert.deepEqual(answerOf(child), [100, 100, 200]);
  assert.deepEqual(
    child.reports.map(({ kind, syscallName }) => [kind, syscallName]),
    [
      ['syscall', 'read'],
      ['syscall', 'read'],
    ],
  );
  const line = lineOf('culprit.c', 'culprit: read_into');
  for (const report of child.reports) {
    const culprit = culpritOf(report);
    assert.deepEqual([culprit?.function, culprit?.line], ['read_into', line]);
  }
});

test('fs.readSync: the JavaScript that asked for it is the culprit', options, () => {
  const child = runReported(`${SETUP}
    run('continue');
    function readsFile() { return readSync(zero, bytes, 8000, 100); }
    answer([readsFile(), zeros()]);`);
  assert.deepEqual(answerOf(child), [100, 100]);
  assert.equal(child.reports.length, 1);
  assert.deepEqual(
    [child.reports[0]!.kind, culpritOf(child.reports[0]!)?.function],
    ['syscall', 'readsFile'],
  );
});

test('fs.read: another thread does it for the program, and is named', options, () => {
  const child = runReported(`${SETUP}
    run('continue');
    const count = await new Promise((resolve) => {
      read(zero, bytes, 8000, 100, null, (_, done) => resolve(done));
    });
    answer([count, zeros()]);`);
  assert.deepEqual(answerOf(child), [100, 100]);
  const [report] = child.reports;
  assert.equal(report?.kind, 'syscall');
  assert.notEqual(report.tid, report.pid);
});

test('in the mode report the process dies of it, by SIGSEGV', options, () => {
  const { signal, reports, stderr } = runReported(
    `${SETUP} run('report'); culprit.readInto(bytes, 8000, zero); answer('not reached');`,
    { addon: buildCulprit() },
  );
  assert.equal(signal, 'SIGSEGV', stderr);
  assert.equal(reports.length, 1);
  assert.match(stderr, /^system call at 0x\w+: read_into \(\S+\) by the system call read wrote/m);
});

test('writes of the program itself are found the same way', options, () => {
  const child = runReported(`${SETUP}
    run('continue');
    function scribble() { bytes[8000] = 0; }
    scribble();
    answer(zeros());`);
  assert.equal(answerOf(child), 1);
  assert.deepEqual(
    child.reports.map((report) => [report.kind, report.offset, culpritOf(report)?.function]),
    [['write', 8000, 'scribble']],
  );
});

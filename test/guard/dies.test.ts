import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf } from '../../src/toolkit/guard/index.ts';
import { guardSkipReason, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };

/** The program's third line has the culprit; with TIER's flags, or as V8 likes. */
const TIERS = {
  interpreted: ['--no-opt', '--no-sparkplug'],
  baseline: ['--no-opt', '--always-sparkplug'],
  'as V8 likes': [],
};

const PROGRAM = `
function scribble(bytes, at) {
  bytes[at] = 42; // culprit
}
const spare = new Uint8Array(100);
for (let i = 0; i < 5000; i++) scribble(spare, 7);
scribble(bytes, 8000);
console.log('not reached');`;

const SETUP = `
  import { Worker, isMainThread, workerData } from 'node:worker_threads';
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  guard.protect(bytes, { label: 'table', mode: 'report' });
  globalThis.bytes = bytes;`;

const THREADS = {
  main: `${SETUP}
    import { compileFunction } from 'node:vm';
    compileFunction(PROGRAM, [], { filename: '/app/program.js' })();`,
  worker: `${SETUP}
    const text = "globalThis.bytes = require('node:worker_threads').workerData;" +
      "const guard = " + JSON.stringify(DOOR) + "; import(guard).then(({ nameThread }) => {" +
      "nameThread('scribbler', 'scribbles');" +
      "require('node:vm').compileFunction(" + JSON.stringify(PROGRAM) +
      ", [], { filename: '/app/program.js' })(); });";
    new Worker(text, { eval: true, execArgv: [], workerData: bytes });`,
};

const DOOR = new URL('../../src/toolkit/guard/index.js', import.meta.url).href;

for (const [tier, flags] of Object.entries(TIERS)) {
  for (const [thread, text] of Object.entries(THREADS)) {
    test(`${tier}, ${thread}: text on stderr, a JSON line, dead by SIGSEGV`, options, () => {
      const constants = `const PROGRAM = ${JSON.stringify(PROGRAM)};
        const DOOR = ${JSON.stringify(DOOR)};`;
      const { signal, stdout, stderr, reports } = runReported(`${constants}\n${text}`, { flags });
      assert.equal(signal, 'SIGSEGV', stderr);
      assert.equal(stdout, '');
      const lines = stderr.split('\n');
      const first = lines.findIndex((line) => line.startsWith('segmentation fault at 0x'));
      assert.match(
        lines[first]!,
        /: scribble \(\/app\/program\.js:3:13\) wrote 1 byte at offset 8000 of 'table'$/,
      );
      const name = thread === 'main' ? 'main' : 'scribbler, role scribbles';
      assert.match(stderr, new RegExp(`^ {2}thread {4}${name}, tid \\d+ of process \\d+$`, 'm'));
      assert.match(stderr, /^ {2}then {6}the process dies of it$/m);
      assert.match(stderr, /^ {2}js \[0x\w+\] {2}scribble \(.*\) .* ← the culprit$/m);
      assert.equal(reports.length, 1);
      const [report] = reports;
      assert.deepEqual(
        [report!.isFatal, report!.end, report!.names, report!.new],
        [true, 'dies', 'v8', '2a'],
      );
      const culprit = culpritOf(report!);
      assert.deepEqual([culprit?.file, culprit?.line], ['/app/program.js', 3]);
      if (flags.length > 0) assert.ok(culprit?.notes.includes(tier as 'baseline'));
    });
  }
}

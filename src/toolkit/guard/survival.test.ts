/**
 * What else uses the signals and the memory of a process goes on beside the guard: WebAssembly's
 * traps, reports of Node.js, profilers, the inspector, children, workers that come and go.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { type ChildOptions, runGuarded } from './child.test-data.ts';
import { GUARD_ONCE } from './native.ts';

const needsAddon = { skip: addonSkipReason() };
const folder = await mkdtemp(join(tmpdir(), 'millrace-survival-'));
after(() => rm(folder, { recursive: true }));

/** One page that is protected, mode by number, and a WebAssembly module that stores and loads. */
const PRELUDE = `
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const extent = new Float64Array(2);
  function guardPage(mode, flags = 0) {
    const id = native.region(bytes, 65536, 4096, 'table', mode, flags, '', extent);
    if (id < 0) throw new Error(native.problem());
    if (native.protect(id, 0, 4096, 1) !== 0) throw new Error(native.problem());
    return id;
  }
  // (func "store" (param i32 i32)) (func "load" (param i32) (result i32))
  // (func "add" (param i32 i32) (result i32)): i32.store, i32.load, i32.atomic.rmw.add
  const code = new Uint8Array([
    0, 97, 115, 109, 1, 0, 0, 0, 1, 17, 3, 96, 2, 127, 127, 0, 96, 1, 127, 1, 127, 96, 2, 127, 127,
    1, 127, 2, 9, 1, 1, 101, 1, 109, 2, 3, 2, 2, 3, 4, 3, 0, 1, 2, 7, 22, 3, 5, 115, 116, 111, 114,
    101, 0, 0, 4, 108, 111, 97, 100, 0, 1, 3, 97, 100, 100, 0, 2, 10, 30, 3, 9, 0, 32, 0, 32, 1, 54,
    2, 0, 11, 7, 0, 32, 0, 40, 2, 0, 11, 10, 0, 32, 0, 32, 1, 254, 30, 2, 0, 11,
  ]);
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(code), { e: { m: memory } }).exports;
  function trapOf(call) {
    try {
      call();
    } catch (error) {
      if (error instanceof WebAssembly.RuntimeError) return error.message;
      throw error;
    }
    return 'no error';
  }
`;

function run(text: string, options?: ChildOptions) {
  return runGuarded(PRELUDE + text, options);
}

const TRAP = 'memory access out of bounds';

test('WebAssembly out of bounds stays a RuntimeError', needsAddon, () => {
  const { stdout, stderr, status } = run(`
    guardPage(0);
    for (let i = 0; i < 1000; i += 1) {
      if (trapOf(() => wasm.load(200000)) !== '${TRAP}') throw new Error('no trap');
      if (trapOf(() => wasm.store(200000, 1)) !== '${TRAP}') throw new Error('no trap');
    }
    console.log(trapOf(() => wasm.load(65536)), 'done');`);
  assert.equal(stdout, 'no error done\n', stderr);
  assert.equal(stderr, '');
  assert.equal(status, 0);
});

test('in a worker too, while regions come and go', needsAddon, () => {
  const { stdout, stderr } = run(`
    const { Worker } = await import('node:worker_threads');
    const door = ${JSON.stringify(new URL('./native.js', import.meta.url).href)};
    const text = \`
      import { parentPort, workerData } from 'node:worker_threads';
      import(workerData.door).then(({ guardNative }) => {
        guardNative();
        const { exports } = new WebAssembly.Instance(new WebAssembly.Module(workerData.code), {
          e: { m: workerData.memory } });
        let traps = 0;
        for (let i = 0; i < 2000; i += 1) try { exports.load(200000); } catch { traps += 1; }
        parentPort.postMessage(traps);
      });\`;
    const worker = new Worker(text, { eval: true, workerData: { door, code, memory } });
    let traps;
    worker.on('message', (count) => (traps = count));
    while (traps === undefined) {
      native.regionEnd(guardPage(0));
      await new Promise((resolve) => setImmediate(resolve));
    }
    console.log(traps);`);
  assert.equal(stdout, '2000\n', stderr);
});

test(
  'throw: a plain store of WebAssembly is its RuntimeError, and stores nothing',
  needsAddon,
  () => {
    const { stdout, stderr, status } = run(`
    bytes[65536] = 9;
    guardPage(3);
    const traps = [];
    for (let i = 0; i < 3; i += 1) traps.push(trapOf(() => wasm.store(65536, 77)));
    console.log(traps.join(), wasm.load(65536));`);
    assert.equal(stdout, `${TRAP},${TRAP},${TRAP} 9\n`, stderr);
    assert.equal(stderr.match(/^segmentation fault at/gm)?.length, 3);
    assert.equal(status, 0);
  },
);

test(
  'throw: an atomic store of WebAssembly, and one of JavaScript, are the end',
  needsAddon,
  () => {
    for (const write of [
      'wasm.add(65536, 1)',
      'bytes[65540] = 1',
      'Atomics.add(bytes, 65536, 1)',
    ]) {
      const { stdout, stderr, signal } = run(`guardPage(3); ${write}; console.log('not reached');`);
      assert.equal(signal, 'SIGSEGV', `${write}: ${stderr}`);
      assert.equal(stdout, '');
      assert.equal(stderr.match(/^segmentation fault at/gm)?.length, 1);
      assert.match(stderr, /the process dies of it/);
    }
  },
);

test('report: a plain store of WebAssembly is no RuntimeError', needsAddon, () => {
  const { stdout, signal } = run(`
    guardPage(0);
    trapOf(() => wasm.store(65536, 77));
    console.log('not reached');`);
  assert.equal(signal, 'SIGSEGV');
  assert.equal(stdout, '');
});

test('a diagnostic report of Node.js, while pages are protected', needsAddon, () => {
  const { stdout, stderr } = run(`
    const { readFileSync } = await import('node:fs');
    guardPage(0);
    process.report.directory = ${JSON.stringify(folder)};
    const report = JSON.parse(readFileSync(
      ${JSON.stringify(folder)} + '/' + process.report.writeReport('report.json')));
    console.log(typeof report.header.processId, report.nativeStack.length > 0);
    bytes[65536] = 1;`);
  assert.equal(stdout, 'number true\n', stderr);
  assert.match(stderr, /^segmentation fault at/m);
});

test('--abort-on-uncaught-exception aborts, and a fault is still reported', needsAddon, () => {
  const flags = ['--abort-on-uncaught-exception'];
  const thrown = run(`guardPage(0); throw new Error('on purpose');`, { flags });
  assert.ok(['SIGABRT', 'SIGTRAP', 'SIGILL'].includes(String(thrown.signal)), `${thrown.signal}`);
  assert.match(thrown.stderr, /on purpose/);
  assert.doesNotMatch(thrown.stderr, /segmentation fault|millrace guard/);
  const fault = run(`guardPage(0); bytes[65536] = 1;`, { flags });
  assert.equal(fault.signal, 'SIGSEGV');
  assert.match(fault.stderr, /^segmentation fault at/m);
});

const WRITES = 400;
const WRITE_LOOP = `
    const id = guardPage(1, ${GUARD_ONCE});
    for (let i = 0; i < ${WRITES}; i += 1) bytes[65536 + (i & 255)] += 1;`;
const COUNTS = `
    const counts = new Float64Array(2);
    native.regionCounts(id, counts);
    let sum = 0;
    for (let i = 0; i < 256; i += 1) sum += bytes[65536 + i];
    console.log(counts[0], sum);`;
const ALL_WRITES = `${WRITES} ${WRITES}\n`;

test('--cpu-prof samples between faults and steps, and no write is lost', needsAddon, async () => {
  const flags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=200'];
  const { stdout, status, stderr } = run(WRITE_LOOP + COUNTS, { flags });
  assert.equal(stdout, ALL_WRITES, stderr.slice(-2000));
  assert.equal(status, 0);
  assert.ok((await readdir(folder)).some((name) => name.endsWith('.cpuprofile')));
});

test('so does the profiler of an inspector session', needsAddon, () => {
  const { stdout, stderr } = run(`
    const { Session } = await import('node:inspector/promises');
    const session = new Session();
    session.connect();
    await session.post('Debugger.enable');
    await session.post('Profiler.enable');
    await session.post('Profiler.setSamplingInterval', { interval: 100 });
    await session.post('Profiler.start');
    ${WRITE_LOOP}
    const { profile } = await session.post('Profiler.stop');
    if (profile.samples.length === 0) throw new Error('no sample');
    await session.post('HeapProfiler.collectGarbage');
    session.disconnect();
    ${COUNTS}`);
  assert.equal(stdout, ALL_WRITES, stderr.slice(-2000));
});

test('children are started and end while pages are protected', needsAddon, () => {
  const { stdout, stderr } = run(`
    const { execFileSync, fork, spawnSync } = await import('node:child_process');
    guardPage(0);
    for (let i = 0; i < 5; i += 1) execFileSync('true');
    const node = spawnSync(process.execPath, ['-e', 'process.kill(process.pid, "SIGSEGV")']);
    console.log(node.signal, String(node.stderr));
    bytes[65536] = 1;`);
  assert.equal(stdout, 'SIGSEGV \n', stderr);
  assert.match(stderr, /^segmentation fault at/m);
});

test('workers come and go; a stack that is too deep stays a RangeError in each', needsAddon, () => {
  const { stdout, stderr, signal } = run(`
    const { Worker } = await import('node:worker_threads');
    const door = ${JSON.stringify(new URL('./native.js', import.meta.url).href)};
    const text = \`
      import { parentPort, workerData } from 'node:worker_threads';
      import(workerData).then(({ guardNative }) => {
        guardNative();
        const deep = () => deep() + 1;
        try { deep(); } catch (error) { parentPort.postMessage(error.name); }
      });\`;
    guardPage(0);
    const names = new Set();
    for (let round = 0; round < 8; round += 1) {
      const workers = [1, 2].map(() => new Worker(text, { eval: true, workerData: door }));
      for (const worker of workers) worker.on('message', (name) => names.add(name));
      await Promise.all(workers.map((worker) => new Promise((end) => worker.on('exit', end))));
    }
    console.log([...names].join());
    bytes[65536] = 1;`);
  assert.equal(stdout, 'RangeError\n', stderr);
  assert.equal(signal, 'SIGSEGV');
});

test(
  'a listener of SIGSEGV, which would loop for ever, does not keep us from dying',
  needsAddon,
  () => {
    const { stderr, signal } = run(`
    process.on('SIGSEGV', () => {});
    guardPage(0);
    bytes[65536] = 1;`);
    assert.match(stderr, /^segmentation fault at/m);
    assert.equal(stderr.match(/^segmentation fault at/gm)?.length, 1);
    assert.equal(signal, 'SIGSEGV');
  },
);

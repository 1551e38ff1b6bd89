import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { EBADF, EFAULT } from './errno.ts';
import { addonSkipReason, native } from './load.ts';
import { NATIVE_FUNCTION_NAMES, type NativeFunctions } from './native-functions.ts';
import { SOCKET_OPTION_NAMES } from './socket.ts';

const needsAddon = { skip: addonSkipReason() };

test('the list of functions and the addon name the same, both ways', needsAddon, () => {
  const exported = Object.entries(native())
    .filter(([, value]) => typeof value === 'function')
    .map(([name]) => name);
  assert.deepEqual([...exported].sort(), [...NATIVE_FUNCTION_NAMES].sort());
});

test('socket options have the same names and indexes in C', needsAddon, () => {
  assert.deepEqual(native().socketOptionNames, [...SOCKET_OPTION_NAMES]);
});

/** Good arguments of every function that takes some; 4 MiB - 1 is no open fd. */
const NO_FD = 4_194_303;
const BYTES = new Uint8Array(32);
const WORDS = new Int32Array(8);
/** What io_uring_setup(2) refuses: no ring is made by accident. */
const NO_PARAMETERS = new Uint8Array(120).fill(0xff);
const GOOD: Partial<Record<keyof NativeFunctions, readonly unknown[]>> = {
  epollControl: [NO_FD, 1, NO_FD, 1, 0],
  epollWait: [NO_FD, WORDS, 4, 0],
  eventfdSignal: [NO_FD],
  eventfdClear: [NO_FD],
  socketCreate: [254, 10, 0],
  bind: [NO_FD, BYTES, 0, 32],
  connect: [NO_FD, BYTES, 0, 32],
  listen: [NO_FD, 1],
  accept4: [NO_FD, BYTES, 14],
  recv: [NO_FD, BYTES, 0, 32, 0],
  send: [NO_FD, BYTES, 0, 32, 0],
  sendRanges: [NO_FD, 0, BYTES, 0, 32, WORDS, 4],
  receiveNotifications: [NO_FD, WORDS, 2],
  setsockopt: [NO_FD, 0, 1],
  getsockopt: [NO_FD, 0],
  setsockoptBytes: [NO_FD, 1, 13, BYTES, 0, 8],
  getsockoptBytes: [NO_FD, 6, 11, BYTES, 0, 32],
  socketQueue: [NO_FD, 1],
  socketName: [NO_FD, 1, new Uint8Array(160), 32],
  socketPair: [WORDS, 1],
  shutdown: [NO_FD, 2],
  pipeCreate: [WORDS, 1],
  pipeCapacity: [NO_FD],
  setPipeCapacity: [NO_FD, 4096],
  read: [NO_FD, BYTES, 0, 32],
  vmsplice: [NO_FD, BYTES, 0, 32],
  splice: [NO_FD, 0, NO_FD, 1, 1],
  tee: [NO_FD, NO_FD, 1],
  sendfile: [NO_FD, NO_FD, 0, 1],
  madvise: [127, new Uint8Array(8192), 0, 8192],
  mapFile: [NO_FD, 0, 4096],
  uringSetup: [1, NO_PARAMETERS, 0, 120],
  uringPrepareSend: [new Uint8Array(64), 0, NO_FD, 0, 0, BYTES, 0, 32],
  uringSignal: [NO_FD, NO_FD],
  uringEnter: [NO_FD, 1, 1, 1],
  openFile: ['/nonexistent/file', 0, 0],
  closeFd: [NO_FD],
  pwrite: [NO_FD, BYTES, 0, 32, 0],
  pread: [NO_FD, BYTES, 0, 32, 0],
  preadNoWait: [NO_FD, BYTES, 0, 32, 0],
  fallocate: [NO_FD, 1, 0, 1],
  ftruncate: [NO_FD, 0],
  fdatasync: [NO_FD],
  fsync: [NO_FD],
  flockExclusive: [NO_FD],
  freeBytes: [NO_FD],
  exitNow: [1],
  setThreadName: ['millrace-test'],
  schedSetAffinity: [NO_FD, WORDS, 1],
  schedGetAffinity: [NO_FD, WORDS, 8],
  // An odd address: the kernel wants whole OS pages.
  mbind: [BYTES, 1, 8, 0, new Uint8Array(64), 0, 64, 0],
};
/** Good arguments of these succeed. */
const WITHOUT_FD = new Set(['setThreadName', 'uringPrepareSend']);
const WITHOUT_ARGUMENTS = [
  'epollCreate',
  'eventfdCreate',
  'processCpuUs',
  'threadCpuUs',
  'threadId',
  'currentCpu',
  'yieldCpu',
];

function callNative(name: string, args: readonly unknown[]): unknown {
  const functions = native() as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
  return functions[name]!(...args);
}

const isArgumentError = (error: unknown): boolean =>
  error instanceof Error &&
  ((error instanceof TypeError && Reflect.get(error, 'code') === 'ERR_INVALID_ARG_TYPE') ||
    (error instanceof RangeError && Reflect.get(error, 'code') === 'ERR_OUT_OF_RANGE'));

test('the table of good arguments has every function', () => {
  const names = [...Object.keys(GOOD), ...WITHOUT_ARGUMENTS].sort();
  assert.deepEqual(names, [...NATIVE_FUNCTION_NAMES].sort());
});

test('an fd that is not open is a value, never an exception', needsAddon, () => {
  for (const [name, args] of Object.entries(GOOD)) {
    // With good arguments it ends the process: process.test.ts.
    if (name === 'exitNow') continue;
    const result = callNative(name, args);
    assert.equal(typeof result, 'number', name);
    if (!WITHOUT_FD.has(name)) assert.ok((result as number) < 0, name);
  }
});

test('a missing argument throws, in every function and at every place', needsAddon, () => {
  for (const [name, args] of Object.entries(GOOD)) {
    for (let count = 0; count < args.length; count += 1) {
      assert.throws(() => callNative(name, args.slice(0, count)), isArgumentError, name);
    }
  }
});

const WRONG = [NaN, -1, 0.5, Infinity, -Infinity, 2 ** 60, undefined, null, true, 7n, {}, [], ''];

test('a wrong argument throws, in every function and at every place', needsAddon, () => {
  for (const [name, args] of Object.entries(GOOD)) {
    args.forEach((good, place) => {
      for (const wrong of WRONG) {
        const isAllowed =
          wrong === -1 &&
          ((name === 'epollWait' && place === 3) || (name === 'splice' && place === 1));
        if (isAllowed) continue;
        const call = () => callNative(name, args.with(place, wrong));
        assert.throws(call, isArgumentError, `${name}, argument ${place}: ${typeof wrong}`);
      }
      assert.notEqual(good, undefined);
    });
  }
});

/** Functions that take (array, offset, length) from the argument at this place on. */
const SLICES = {
  recv: 1,
  send: 1,
  sendRanges: 2,
  bind: 1,
  connect: 1,
  setsockoptBytes: 3,
  getsockoptBytes: 3,
  pwrite: 1,
  pread: 1,
  preadNoWait: 1,
  read: 1,
  vmsplice: 1,
  uringPrepareSend: 5,
} as const;

test('offset and length beyond the array throw RangeError', needsAddon, () => {
  const beyond = [
    [0, 33],
    [1, 32],
    [32, 1],
    [33, 0],
    [2 ** 32, 1],
    [0, 2 ** 32],
    [1, 2 ** 53 - 1],
    [2 ** 53 - 1, 2 ** 53 - 1],
  ] as const;
  for (const [name, place] of Object.entries(SLICES)) {
    for (const [offset, length] of beyond) {
      const args = GOOD[name as keyof NativeFunctions]!.with(place + 1, offset).with(
        place + 2,
        length,
      );
      assert.throws(() => callNative(name, args), RangeError, `${name} ${offset} ${length}`);
    }
  }
  assert.throws(() => native().accept4(NO_FD, BYTES, 15), RangeError);
  assert.throws(() => native().accept4(NO_FD, new Uint8Array(17), 0), RangeError);
  assert.throws(() => native().uringSetup(1, new Uint8Array(128), 9, 119), RangeError);
  assert.throws(() => native().socketName(NO_FD, 0, new Uint8Array(160), 33), RangeError);
  assert.throws(() => native().uringPrepareSend(BYTES, 0, 0, 0, 0, BYTES, 0, 1), RangeError);
  assert.throws(() => native().receiveNotifications(NO_FD, WORDS, 3), RangeError);
  assert.throws(() => native().epollWait(NO_FD, WORDS, 5, 0), RangeError);
  assert.throws(() => native().epollWait(NO_FD, new Int32Array(1), 1, 0), RangeError);
  assert.throws(() => native().epollWait(NO_FD, new Int32Array(1024), 257, 0), RangeError);
  assert.throws(() => native().schedGetAffinity(0, WORDS, 9), RangeError);
});

test('a range outside the array is EFAULT, before anything is sent', needsAddon, () => {
  const ranges = (...words: number[]) =>
    native().sendRanges(NO_FD, 0, BYTES, 8, 16, Int32Array.from(words), words.length / 2);
  assert.equal(ranges(0, 17), -EFAULT);
  assert.equal(ranges(0, 16, 16, 1), -EFAULT);
  assert.equal(ranges(-1, 1), -EFAULT);
  assert.equal(ranges(0, -1), -EFAULT);
  assert.equal(ranges(2 ** 31 - 1, 2 ** 31 - 1), -EFAULT);
  assert.equal(ranges(16, 0, 0, 16), -EBADF);
});

test('the bounds are those of the view, not of its buffer', needsAddon, () => {
  const view = new Uint8Array(new ArrayBuffer(1024), 512, 16);
  assert.throws(() => native().recv(NO_FD, view, 0, 17, 0), RangeError);
});

test('an array of another kind, or no typed array, throws TypeError', needsAddon, () => {
  const others = [
    new Uint16Array(32),
    new Int32Array(32),
    new Uint8ClampedArray(32),
    new DataView(new ArrayBuffer(32)),
    new ArrayBuffer(32),
    new SharedArrayBuffer(32),
    'x'.repeat(32),
  ];
  for (const other of others) {
    assert.throws(() => callNative('recv', [NO_FD, other, 0, 1, 0]), TypeError);
  }
  assert.throws(() => callNative('epollWait', [NO_FD, BYTES, 1, 0]), TypeError);
});

test('an array whose buffer was transferred away has no room', needsAddon, () => {
  const gone = new Uint8Array(64);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  assert.throws(() => native().recv(NO_FD, gone, 0, 1, 0), RangeError);
});

test('text with a zero byte, empty or too long throws', needsAddon, () => {
  assert.throws(() => native().openFile('/tmp/a\0b', 0, 0), TypeError);
  assert.throws(() => native().openFile('', 0, 0), RangeError);
  assert.throws(() => native().openFile(`/${'x'.repeat(4095)}`, 0, 0), RangeError);
  assert.throws(() => native().setThreadName('sixteen-bytes-xx'), RangeError);
});

test('four workers load the addon at once and use it at the same time', needsAddon, async () => {
  const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
  const words = new Int32Array(memory.buffer);
  const url = new URL('./index.js', import.meta.url).href;
  const code = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(${JSON.stringify(url)}).then((sys) => {
      const words = new Int32Array(workerData.memory.buffer);
      sys.native();
      Atomics.add(words, 0, 1);
      while (Atomics.load(words, 0) < 4) Atomics.wait(words, 0, Atomics.load(words, 0), 1);
      const fd = sys.eventfdCreate();
      let signals = 0;
      for (let i = 0; i < 20000; i += 1) {
        sys.eventfdSignal(fd);
        if (i % 10 === 9) signals += sys.eventfdClear(fd);
      }
      sys.closeFd(fd);
      parentPort.postMessage({ signals, threadId: sys.threadId() });
    });`;
  const workers = [1, 2, 3, 4].map(() => new Worker(code, { eval: true, workerData: { memory } }));
  const answers = await Promise.all(
    workers.map(
      (worker) =>
        new Promise<{ signals: number; threadId: number }>((resolve, reject) => {
          worker.once('message', resolve);
          worker.once('error', reject);
        }),
    ),
  );
  await Promise.all(workers.map((worker) => worker.terminate()));
  assert.equal(Atomics.load(words, 0), 4);
  assert.deepEqual(
    answers.map(({ signals }) => signals),
    [20000, 20000, 20000, 20000],
  );
  assert.equal(new Set(answers.map(({ threadId }) => threadId)).size, 4);
});

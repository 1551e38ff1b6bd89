import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { addonSkipReason } from '../sys/index.ts';
import { runGuarded } from './child.test-data.ts';
import { type Guard, type ProtectOptions, protect, unprotect } from './guard.ts';
import { GuardError, type GuardErrorCode } from './guard-error.ts';
import type { Guardable, WasmMemory } from './guarded-bytes.ts';

const needsAddon = { skip: addonSkipReason() };
const BYTES = 16 * OS_PAGE_BYTES;
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (descriptor: object) => WasmMemory };
};

function assertRefused(code: GuardErrorCode, found: RegExp, act: () => unknown): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof GuardError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, found);
    assert.notEqual(error.remedy, '');
    return true;
  });
}

/** Growable buffers and memories of WebAssembly start on a page. */
const WHOLE: readonly [string, () => Guardable][] = [
  ['growable SharedArrayBuffer', () => new SharedArrayBuffer(BYTES, { maxByteLength: BYTES })],
  ['resizable ArrayBuffer', () => new ArrayBuffer(BYTES, { maxByteLength: BYTES })],
  ['WebAssembly.Memory', () => new WebAssembly.Memory({ initial: 1 })],
  [
    'shared WebAssembly.Memory',
    () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
  ],
];

for (const [name, make] of WHOLE) {
  test(`all of a ${name} is protected`, needsAddon, () => {
    const guard = protect(make());
    assert.deepEqual([guard.offset, guard.bytes], [0, BYTES]);
    guard.end();
  });
}

const VIEWS: readonly [string, () => ArrayBufferView | ArrayBufferLike][] = [
  ['Uint8Array', () => new Uint8Array(BYTES)],
  ['Float64Array', () => new Float64Array(BYTES / 8)],
  ['DataView', () => new DataView(new ArrayBuffer(BYTES), 8, BYTES - 8)],
  ['Buffer', () => Buffer.alloc(BYTES)],
  ['ArrayBuffer', () => new ArrayBuffer(BYTES)],
  ['SharedArrayBuffer', () => new SharedArrayBuffer(BYTES)],
];

for (const [name, make] of VIEWS) {
  test(`the whole pages inside a ${name} are protected`, needsAddon, () => {
    const view = make();
    using guard = protect(view);
    assert.ok(guard.offset < OS_PAGE_BYTES, `${guard.offset}`);
    assert.equal(guard.bytes % OS_PAGE_BYTES, 0);
    assert.ok(guard.bytes >= view.byteLength - 2 * OS_PAGE_BYTES, `${guard.bytes}`);
    assert.ok(guard.offset + guard.bytes <= view.byteLength);
    assert.match(guard.label, new RegExp(`^[0-9.]+ KiB ${name} of guard\\.test\\.js:\\d+$`));
  });
}

test('after its end the bytes may be written again, by all ways to end', needsAddon, () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(BYTES));
  const ends: ((guard: Guard) => void)[] = [
    (guard) => {
      guard.end();
      guard.end();
    },
    (guard) => {
      unprotect(guard);
    },
    () => {
      unprotect(new Uint8Array(bytes.buffer));
    },
    (guard) => {
      using _ = guard;
    },
  ];
  for (const [at, end] of ends.entries()) {
    end(protect(bytes));
    bytes.fill(at + 1);
    assert.ok(bytes.every((byte) => byte === at + 1));
  }
});

test('what is open may be written: all of it, or a slice', needsAddon, () => {
  const bytes = new Uint8Array(new SharedArrayBuffer(BYTES));
  using guard = protect(bytes);
  guard.unprotect();
  bytes.fill(1);
  guard.protect(7);
  const second = guard.offset + OS_PAGE_BYTES;
  guard.unprotectSlice(second, OS_PAGE_BYTES);
  bytes.fill(2, second, second + OS_PAGE_BYTES);
  guard.protectSlice(second, OS_PAGE_BYTES, 8);
  assert.deepEqual([bytes[second - 1], bytes[second]], [1, 2]);
});

test('a write into a page that was protected again ends the process', needsAddon, () => {
  const { signal, stdout, stderr } = runGuarded(`
    const bytes = new Uint8Array(new SharedArrayBuffer(65536));
    const held = guard.protect(bytes, { label: 'session table' });
    held.unprotectSlice(held.offset, 8192);
    bytes[held.offset + 4096] = 1;
    held.protectSlice(held.offset + 4096, 4096);
    bytes[held.offset + 1] = 2;
    process.stdout.write('open pages were written');
    bytes[held.offset + 4097] = 3;
    process.stdout.write('not reached');`);
  assert.equal(signal, 'SIGSEGV', stderr);
  assert.equal(stdout, 'open pages were written');
  assert.match(stderr, /segmentation fault at 0x[0-9a-f]+/);
  assert.match(stderr, /session table/);
});

test('memory is held while it is protected, also by a guard that nobody keeps', needsAddon, () => {
  const { stdout } = runGuarded(
    `const held = [true, false].map((isProtected) => {
      const memory = new SharedArrayBuffer(65536, { maxByteLength: 65536 });
      if (isProtected) guard.protect(memory);
      return new WeakRef(memory);
    });
    setImmediate(() => {
      globalThis.gc();
      process.stdout.write(held.map((one) => one.deref() !== undefined).join());
    });`,
    { flags: ['--expose-gc'] },
  );
  assert.equal(stdout, 'true,false');
});

test('bytes that share their page: an error, nothing, or told, as asked', needsAddon, () => {
  const small = new Uint8Array(100);
  assertRefused('MR_GUARD_PAGES', /no whole page of 4096 bytes lies inside the 100 bytes/, () =>
    protect(small),
  );
  const none = protect(small, { edges: 'ignore' });
  assert.equal(none.bytes, 0);
  none.unprotect();
  none.protect();
  none.end();
  const odd = new Uint8Array(new SharedArrayBuffer(BYTES, { maxByteLength: BYTES }), 8);
  assertRefused('MR_GUARD_PAGES', /^4088 of 65528 bytes share their page/, () =>
    protect(odd, { edges: 'refuse' }),
  );
  using guard = protect(odd);
  assert.deepEqual([guard.offset, guard.bytes], [4088, BYTES - OS_PAGE_BYTES]);
});

test('slices: outside, without a whole page, of a guard that has ended', needsAddon, () => {
  const memory = new SharedArrayBuffer(BYTES, { maxByteLength: BYTES });
  const guard = protect(memory, { label: 'table' });
  for (const [offset, bytes] of [
    [0, BYTES + 1],
    [-OS_PAGE_BYTES, 2 * OS_PAGE_BYTES],
    [BYTES, OS_PAGE_BYTES],
    [0, Number.NaN],
  ] as const) {
    assertRefused('MR_GUARD_RANGE', /lies outside of the 65536 bytes of table/, () => {
      guard.unprotectSlice(offset, bytes);
    });
  }
  assertRefused(
    'MR_GUARD_PAGES',
    /no whole page lies inside the slice 1 .. \+ 4096 of table/,
    () => {
      guard.protectSlice(1, OS_PAGE_BYTES);
    },
  );
  guard.end();
  assertRefused('MR_GUARD_ENDED', /^unprotectSlice of table: /, () => {
    guard.unprotectSlice(0, OS_PAGE_BYTES);
  });
  assertRefused('MR_GUARD_ENDED', /no guard of exactly these bytes/, () => {
    unprotect(memory);
  });
});

test('one guard a page', needsAddon, () => {
  const memory = new SharedArrayBuffer(BYTES, { maxByteLength: BYTES });
  const guard = protect(new Uint8Array(memory, 0, 2 * OS_PAGE_BYTES));
  assertRefused('MR_GUARD_OVERLAP', /^protect table: /, () => protect(memory, { label: 'table' }));
  using _ = protect(new Uint8Array(memory, 2 * OS_PAGE_BYTES));
  guard.end();
});

test('options that cannot work are refused, and leave nothing behind', needsAddon, () => {
  const memory = new SharedArrayBuffer(BYTES);
  const bad: readonly [ProtectOptions, RegExp][] = [
    [{ mode: 'explode' as 'report' }, /there is no mode 'explode'/],
    [{ alias: true }, /alias: true does nothing with mode: 'report'/],
    [{ mode: 'continue', reads: true }, /reads: true cannot go on/],
    [{ allow: [''] }, /cannot be kept/],
    [{ allow: ['a|b'] }, /cannot be kept/],
    [{ allow: ['x'.repeat(128)] }, /cannot be kept/],
  ];
  for (const [options, found] of bad) {
    assertRefused('MR_GUARD_MODE', found, () => protect(memory, options));
  }
  protect(memory).end();
});

test('a label is kept to its 63 bytes, in one piece', needsAddon, () => {
  const memory = new SharedArrayBuffer(BYTES);
  const long = protect(memory, { label: 'ö'.repeat(40) });
  assert.equal(long.label, `${'ö'.repeat(30)}…`);
  long.end();
  const lines = protect(memory, { label: 'a\nb' });
  assert.equal(lines.label, 'a b');
  lines.end();
});

test('no memory, memory of others, memory that may grow: MR_GUARD_BUFFER', needsAddon, () => {
  assertRefused('MR_GUARD_BUFFER', /number is no memory/, () => protect(5 as never));
  assertRefused('MR_GUARD_BUFFER', /object is no memory/, () => protect({ buffer: 1 } as never));
  const moved = new ArrayBuffer(BYTES);
  structuredClone(moved, { transfer: [moved] });
  assertRefused('MR_GUARD_BUFFER', /detached/, () => protect(moved));
  const growable = new SharedArrayBuffer(BYTES, { maxByteLength: 2 * BYTES });
  assertRefused('MR_GUARD_BUFFER', /may grow to 131072/, () => protect(growable));
  growable.grow(2 * BYTES);
  protect(growable).end();
});

test('a buffer stays where it is while it is protected', needsAddon, () => {
  const buffer = new ArrayBuffer(BYTES, { maxByteLength: BYTES });
  const first = protect(new Uint8Array(buffer, 0, OS_PAGE_BYTES));
  const second = protect(new Uint8Array(buffer, OS_PAGE_BYTES));
  first.end();
  assertRefused('MR_GUARD_BUFFER', /has to stay where it is/, () => {
    buffer.resize(0);
  });
  // Node.js 20 clones what is not transferable, later ones throw.
  try {
    structuredClone(buffer, { transfer: [buffer] });
  } catch (error) {
    assert.equal((error as Error).name, 'DataCloneError');
  }
  if ('transfer' in buffer) {
    assertRefused('MR_GUARD_BUFFER', /has to stay/, () => {
      (buffer.transfer as () => ArrayBuffer)();
    });
  }
  assert.equal(buffer.byteLength, BYTES);
  second.end();
  assert.deepEqual(Object.getOwnPropertyNames(buffer), []);
  buffer.resize(0);
});

test('a WebAssembly.Memory does not grow while it is protected', needsAddon, () => {
  for (const shared of [false, true]) {
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared });
    const guard = protect(memory);
    assertRefused('MR_GUARD_BUFFER', /has to stay/, () => memory.grow(1));
    guard.end();
    protect(new Uint8Array(memory.buffer)).end();
    assert.equal(memory.grow(1), 1);
  }
});

test('another thread attaches by handle, and ends nothing', needsAddon, async () => {
  const memory = new SharedArrayBuffer(BYTES, { maxByteLength: BYTES });
  const bytes = new Uint8Array(memory);
  using guard = protect(memory, { label: 'table' });
  const text = `import { parentPort, workerData } from 'node:worker_threads';
    const { Guard } = await import(workerData.door);
    const guard = Guard.attach(workerData.handle);
    guard.unprotectSlice(0, 4096);
    guard.end();
    parentPort.postMessage([guard.label, guard.offset, guard.bytes]);`;
  const url = new URL(`data:text/javascript,${encodeURIComponent(text)}`);
  const workerData = { door: new URL('./index.js', import.meta.url).href, handle: guard.handle };
  const worker = new Worker(url, { workerData });
  const [told] = await Promise.all([
    new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
    new Promise((resolve) => worker.once('exit', resolve)),
  ]);
  assert.deepEqual(told, ['table', 0, BYTES]);
  bytes[1] = 1;
  guard.protect();
  guard.unprotect();
});

test('the guards of a worker end with it, also when it is terminated', needsAddon, () => {
  const { status, stderr } = runGuarded(`
    import { Worker } from 'node:worker_threads';
    const memory = new SharedArrayBuffer(65536, { maxByteLength: 65536 });
    const door = ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
    for (const isTerminated of [false, true]) {
      const worker = new Worker(\`
        import('node:worker_threads').then(async ({ parentPort, workerData }) => {
          const { protect } = await import(workerData.door);
          protect(workerData.memory);
          protect(new ArrayBuffer(1 << 20));
          parentPort.postMessage('protected');
          if (workerData.isTerminated) setInterval(() => {}, 1000);
        });\`, { eval: true, workerData: { memory, door, isTerminated } });
      const hasEnded = new Promise((resolve) => worker.once('exit', resolve));
      await new Promise((resolve) => worker.once('message', resolve));
      if (isTerminated) worker.terminate();
      await hasEnded;
      new Uint8Array(memory).fill(1);
      guard.protect(memory).end();
    }`);
  assert.deepEqual([status, stderr], [0, '']);
});

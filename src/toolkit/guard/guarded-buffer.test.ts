import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { type ChildResult, runGuarded } from './child.test-data.ts';
import { allocGuarded, GuardError, type GuardReport } from './index.ts';

const needsAddon = { skip: addonSkipReason() };

/** The first lines of the reports that a child wrote. */
function reportsOf({ stderr }: ChildResult): readonly string[] {
  return stderr.split('\n').filter((line) => / at 0x[0-9a-f]+: /.test(line));
}

function refusal(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof GuardError) return error.code;
    throw error;
  }
  return 'accepted';
}

test('bytes are zero, can be used whole, and go at release()', needsAddon, () => {
  for (const [align, shared, canary] of [
    ['end', false, false],
    ['start', false, false],
    ['end', true, false],
    ['start', true, false],
    ['end', false, true],
    ['end', true, true],
  ] as const) {
    for (const bytes of [1, 7, 100, 4096, 5001]) {
      const buffer = allocGuarded(bytes, { align, shared, canary });
      const { view } = buffer;
      assert.equal(view.length, bytes);
      assert.ok(view.every((byte) => byte === 0));
      assert.equal(view.buffer instanceof SharedArrayBuffer, shared);
      view.fill(0xee);
      assert.equal(buffer.check(), true);
      assert.equal(buffer.release(), true);
      assert.equal(buffer.view.length, 0);
      assert.equal(buffer.isReleased, true);
      assert.equal(buffer.release(), true, 'once more does nothing');
      assert.equal(view.length, shared || canary ? bytes : 0, 'detached where that can be');
    }
  }
});

test('elements of every size lie on their boundary', needsAddon, () => {
  const buffer = allocGuarded(24);
  const { view } = buffer;
  new Float64Array(view.buffer, view.byteOffset, 3).fill(1.5);
  Atomics.add(new BigInt64Array(view.buffer, view.byteOffset, 3), 2, 1n);
  buffer.release();
});

test('using: released at the end of the block', needsAddon, () => {
  let kept: ReturnType<typeof allocGuarded>;
  {
    using buffer = allocGuarded(10);
    kept = buffer;
    assert.equal(buffer.isReleased, false);
  }
  assert.equal(kept.isReleased, true);
});

test('what cannot be: codes', needsAddon, () => {
  assert.equal(
    refusal(() => allocGuarded(0)),
    'MR_GUARD_RANGE',
  );
  assert.equal(
    refusal(() => allocGuarded(1.5)),
    'MR_GUARD_RANGE',
  );
  assert.equal(
    refusal(() => allocGuarded(8, { alignment: 3 })),
    'MR_GUARD_RANGE',
  );
  assert.equal(
    refusal(() => allocGuarded(8, { align: 'middle' as 'end' })),
    'MR_GUARD_RANGE',
  );
  assert.equal(
    refusal(() => allocGuarded(8, { mode: 'continue' as 'report' })),
    'MR_GUARD_MODE',
  );
});

/** What an addon does that has got the size wrong: see `scribble`. */
const DEATHS: Readonly<Record<string, readonly [text: string, report: RegExp]>> = {
  'an addon writes past the end': [
    `const { view } = guard.allocGuarded(96, { label: 'session' });
     native.scribble(view, 0, 99, 7);`,
    /overrun of 'session' by 1 byte/,
  ],
  'an addon writes past the end of an odd size': [
    `const { view } = guard.allocGuarded(97, { label: 'session', alignment: 1 });
     native.scribble(view, 97, 1, 7);`,
    /overrun of 'session' by 1 byte/,
  ],
  'past the end of a shared one': [
    `const { view } = guard.allocGuarded(96, { label: 'session', shared: true });
     native.scribble(view, 96, 3, 7);`,
    /overrun of 'session' by 1 byte/,
  ],
  'JavaScript before the start of a shared one': [
    `const { view } = guard.allocGuarded(100, { label: 'session', align: 'start', shared: true });
     function tooFarDown() { new Uint8Array(view.buffer)[view.byteOffset - 2] = 1; }
     tooFarDown();`,
    /underrun of 'session' by 2 bytes.*tooFarDown/,
  ],
  'a worker after release': [
    `import { Worker } from 'node:worker_threads';
     const buffer = guard.allocGuarded(64, { label: 'session', shared: true });
     const text = \`import { workerData as view, parentPort } from 'node:worker_threads';
       parentPort.once('message', function late() { view[5] = 1; });
       parentPort.postMessage('ready');\`;
     const worker = new Worker(text, { eval: true, workerData: buffer.view });
     worker.once('message', () => { buffer.release(); worker.postMessage('go'); });`,
    /use after free: .*late.* at offset 5 of 'session'/,
  ],
};

for (const [name, [text, expected]] of Object.entries(DEATHS)) {
  test(`${name}: dies, and the report says it`, needsAddon, () => {
    const result = runGuarded(text);
    assert.equal(result.signal, 'SIGSEGV', result.stderr);
    const reports = reportsOf(result);
    assert.equal(reports.length, 1, result.stderr);
    assert.match(reports[0]!, expected);
  });
}

/** Runs a child that goes on: its reports. */
function found(text: string, flags: readonly string[] = []): readonly GuardReport[] {
  const result = runGuarded(`${text}\nconsole.log(JSON.stringify(guard.reports()));`, { flags });
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout) as readonly GuardReport[];
}

function places(reports: readonly GuardReport[]) {
  return reports.map(({ kind, label, offset, new: now, culprit }) => ({
    kind,
    label,
    offset,
    now,
    culprit,
  }));
}

test('a canary at both ends, shared or not: which bytes, what they hold', needsAddon, () => {
  for (const shared of [false, true]) {
    const reports = found(`
      const buffer = guard.allocGuarded(13, { label: 'cheap', canary: true, shared: ${shared} });
      const around = new Uint8Array(buffer.view.buffer);
      around[63] = 0x11;
      around[64 + 13] = 0x22;
      if (buffer.check()) throw new Error('not found');
      if (buffer.check()) throw new Error('whole again');
      around[0] = 0x33;
      if (buffer.release()) throw new Error('not found');`);
    assert.deepEqual(places(reports), [
      { kind: 'canary', label: 'cheap', offset: -1, now: '11', culprit: null },
      { kind: 'canary', label: 'cheap', offset: 13, now: '22', culprit: null },
      { kind: 'canary', label: 'cheap', offset: -64, now: '33', culprit: null },
    ]);
  }
});

test('bytes between the end and the closed page are a canary', needsAddon, () => {
  const reports = found(`
    const buffer = guard.allocGuarded(97, { label: 'odd' });
    native.scribble(buffer.view, 97, 7, 1);
    if (buffer.release()) throw new Error('not found');`);
  assert.deepEqual(places(reports), [
    { kind: 'canary', label: 'odd', offset: 97, now: '01'.repeat(7), culprit: null },
  ]);
});

test('what is collected without release(): its canaries are looked at', needsAddon, () => {
  for (const canary of [false, true]) {
    const reports = found(
      `(function scope() {
        const buffer = guard.allocGuarded(97, { label: 'lost', canary: ${canary} });
        if (!${canary}) native.scribble(buffer.view, 97, 1, 1);
        else new Uint8Array(buffer.view.buffer)[64 + 97] = 1;
      })();
      while (guard.reports().length === 0) {
        global.gc();
        await new Promise((resolve) => setImmediate(resolve));
      }`,
      ['--expose-gc'],
    );
    assert.deepEqual(places(reports), [
      { kind: 'canary', label: 'lost', offset: 97, now: '01', culprit: null },
    ]);
  }
});

test('thousands, in several workers, come and go', needsAddon, () => {
  const result = runGuarded(`
    import { Worker } from 'node:worker_threads';
    const door = ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
    const text = \`import(\${JSON.stringify(door)}).then(({ allocGuarded }) => {
      const held = [];
      for (let i = 0; i < 2000; i++) {
        const buffer = allocGuarded(1 + i % 9000, { shared: i % 7 === 0 });
        buffer.view.fill(i);
        if (i % 3 === 0) held.push(buffer);
        else if (!buffer.release()) throw new Error('broken');
      }
      if (!held.every((buffer) => buffer.check())) throw new Error('broken');
    });\`;
    const ends = [1, 2, 3].map((id) => new Promise((resolve, reject) => {
      new Worker(text, { eval: true }).once('error', reject).once('exit', resolve);
    }));
    console.log((await Promise.all(ends)).join());`);
  assert.equal(result.stdout, '0,0,0\n', result.stderr);
});

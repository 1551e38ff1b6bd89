import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { runGuarded, runNode } from './child.test-data.ts';
import { GuardError, type GuardReport, watch } from './index.ts';

/** Why there are no watchpoints here; false: there are. */
function skipReason(): string | false {
  const reason = addonSkipReason();
  if (reason !== false && reason !== undefined) return String(reason);
  try {
    watch(new Uint8Array(8), 0, 1).end();
    return false;
  } catch (error) {
    return error instanceof GuardError ? error.message : String(error);
  }
}

const needsWatch = { skip: skipReason() };

function found(text: string): readonly GuardReport[] {
  const result = runGuarded(`${text}\nconsole.log(JSON.stringify(guard.reports()));`);
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout) as readonly GuardReport[];
}

function touches(reports: readonly GuardReport[]): string[] {
  return reports.map(({ kind, offset, old, new: now }) => `${kind} ${offset} ${old} -> ${now}`);
}

function refusal(call: () => unknown): readonly [string, string] {
  try {
    call();
  } catch (error) {
    if (error instanceof GuardError) return [error.code, error.message];
    throw error;
  }
  return ['accepted', ''];
}

test(
  'a slice of the pool of Buffer: touches of it, unaligned, neighbours silent',
  needsWatch,
  () => {
    const reports = found(`
    const buffer = Buffer.from('0123456789abcdef');
    const watched = guard.watch(buffer, 3, 2, { label: 'pool', mode: 'continue' });
    buffer[2] = 1;
    buffer[5] = 1;
    buffer[3] = 0x41;
    buffer.writeUInt16BE(0x4243, 4);
    buffer.fill(0x44);
    const copy = Buffer.from(buffer);
    watched.end();
    buffer[3] = 1;`);
    const [first, second, ...fill] = touches(reports);
    assert.deepEqual([first, second], ['watch 0 3334 -> 4134', 'watch 1 34 -> 42']);
    assert.ok(fill.length >= 1 && fill.length <= 2, 'one signal for both bytes, or one each');
    for (const report of reports) assert.equal(report.label, 'pool');
  },
);

test('the JavaScript line of the write is named', needsWatch, () => {
  const [report] = found(`
    const words = new Int32Array(4);
    guard.watch(words, 4, 4, { mode: 'continue' });
    function author() {
      words[1] = 77;
    }
    author();`);
  const names = report?.frames
    .filter((frame) => frame.kind === 'js')
    .map((frame) => frame.function);
  assert.equal(report?.new, '4d000000');
  if (report?.names === 'v8') assert.equal(names?.[0], 'author');
});

test('workers born before and after', needsWatch, () => {
  const reports = found(`
    import { Worker } from 'node:worker_threads';
    const shared = new Uint8Array(new SharedArrayBuffer(64));
    const text = \`import { workerData, parentPort } from 'node:worker_threads';
      parentPort.once('message', () => { workerData[9] = 1; });
      parentPort.postMessage('ready');\`;
    function start() {
      const worker = new Worker(text, { eval: true, workerData: shared });
      return new Promise((resolve) => worker.once('message', () => resolve(worker)));
    }
    function write(worker) {
      return new Promise((resolve) => worker.once('exit', resolve).postMessage('go'));
    }
    const before = await start();
    guard.watch(shared, 9, 1, { mode: 'continue' });
    await write(before);
    await write(await start());`);
  assert.deepEqual(touches(reports), ['watch 0 00 -> 01', 'watch 0 01 -> 01']);
  assert.equal(new Set(reports.map((report) => report.tid)).size, 2);
});

test('a watch ends with its worker, and its slots are free again', needsWatch, () => {
  const result = runGuarded(`
    import { Worker } from 'node:worker_threads';
    const door = ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
    const text = \`import(\${JSON.stringify(door)}).then(({ watch }) => {
      for (let i = 0; i < 4; i++) watch(new Uint8Array(8), 0, 8, { mode: 'continue' });
    });\`;
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(text, { eval: true });
      console.log(await new Promise((resolve, reject) =>
        worker.once('error', reject).once('exit', resolve)));
    }
    for (let i = 0; i < 4; i++) guard.watch(new Uint8Array(8), 0, 8);
    console.log('four');`);
  assert.equal(result.stdout, '0\n0\n0\nfour\n', result.stderr);
});

test('reads, where asked', needsWatch, () => {
  const reports = found(`
    const bytes = new Uint8Array(16);
    let sum = bytes[4];
    guard.watch(bytes, 4, 1, { reads: true, mode: 'continue' });
    sum += bytes[5];
    sum += bytes[4];
    if (sum > 0) throw new Error('zero');`);
  assert.ok(reports.length >= 1);
  assert.equal(reports[0]?.new, '00');
});

test('mode report: dies by SIGTRAP', needsWatch, () => {
  const result = runGuarded(`
    const bytes = new Uint8Array(16);
    guard.watch(bytes, 4, 1, { label: 'fatal' });
    bytes[4] = 1;
    console.log('survived');`);
  assert.equal(result.signal, 'SIGTRAP', result.stderr);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, /watchpoint at 0x[0-9a-f]+: .* wrote at offset 0 of 'fatal'/);
});

test('too many, out of range, wrong mode: what is needed and what is free', needsWatch, () => {
  const bytes = new Uint8Array(64);
  using first = watch(bytes, 1, 7);
  assert.equal(first.isEnded, false);
  const [code, text] = refusal(() => watch(bytes, 33, 7));
  assert.equal(code, 'MR_GUARD_LIMIT');
  assert.match(text, /need 3 of the processor's 4 watchpoints, 1 are free/);
  for (const [offset, count] of [
    [64, 1],
    [60, 8],
    [-1, 1],
    [0, 0],
    [0, 33],
    [0.5, 1],
    [Number.NaN, 1],
  ] as const) {
    assert.equal(refusal(() => watch(bytes, offset, count))[0], 'MR_GUARD_RANGE', `${offset}`);
  }
  assert.equal(
    refusal(() => watch(bytes, 0, 1, { mode: 'divert' as 'report' }))[0],
    'MR_GUARD_MODE',
  );
  first.end();
  first.end();
  watch(bytes, 33, 7).end();
});

test('no permission: says what was found and what to do', needsWatch, () => {
  const refused = runNode([
    '--input-type=module',
    '-e',
    `import { watch } from ${JSON.stringify(new URL('./index.js', import.meta.url).href)};
     import { guardNative } from ${JSON.stringify(new URL('./native.js', import.meta.url).href)};
     const native = guardNative();
     for (const errno of [1, 13, 2, 38, 22]) {
       native.watch = () => -errno;
       try { watch(new Uint8Array(8), 0, 1); }
       catch (e) { console.log(e.code, e.message, e.remedy); }
     }`,
  ]);
  const lines = refused.stdout.trimEnd().split('\n');
  assert.equal(lines.length, 5, refused.stderr);
  for (const line of lines.slice(0, 2)) {
    assert.match(line, /^MR_GUARD_PERMISSION .*perf_event_paranoid is -?\d+ .*CAP_PERFMON/);
  }
  for (const line of lines.slice(2)) assert.match(line, /^MR_GUARD_KERNEL/);
});

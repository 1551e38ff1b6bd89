import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonSkipReason } from '../sys/index.ts';
import { type ChildResult, runNode } from './child.test-data.ts';
import type { OutsideSummary } from './outside-summary.ts';
import { type GuardReport, parseReports } from './report.ts';

const needsAddon = { skip: addonSkipReason() };
const REGISTER = fileURLToPath(new URL('./register.js', import.meta.url));

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-register-'));
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

interface Outcome extends ChildResult {
  readonly reports: readonly GuardReport[];
  readonly summary: OutsideSummary | null;
}

/** Runs a program that does not know of the guard. `name` has its ending: mjs or cjs. */
function runOutside(name: string, text: string, env: Record<string, string> = {}): Outcome {
  const program = join(folder, name);
  const reportFile = join(folder, `${name}.reports`);
  const summaryFile = join(folder, `${name}.summary`);
  writeFileSync(program, text);
  const result = runNode(['--import', REGISTER, program], {
    env: { MILLRACE_GUARD_REPORT: reportFile, MILLRACE_GUARD_SUMMARY: summaryFile, ...env },
  });
  return {
    ...result,
    reports: parseReports(readText(reportFile)),
    summary: JSON.parse(readText(summaryFile) || 'null') as OutsideSummary | null,
  };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Two functions write 5 words each, into pages that are surely whole. */
const WRITES = `
  const words = new Int32Array(new SharedArrayBuffer(65536));
  function fill(value) { for (let i = 2048; i < 2053; i++) words[i] = value; }
  function clear() { words.fill(0, 4096, 4101); }
  for (let turn = 0; turn < 3; turn++) fill(turn);
  console.log(words[2052]);
`;

for (const kind of ['mjs', 'cjs']) {
  test(`a ${kind} program runs as before; each place is reported once`, needsAddon, () => {
    const { status, stdout, reports, summary } = runOutside(`plain.${kind}`, `${WRITES}clear();`);
    assert.deepEqual([status, stdout], [0, '2\n']);
    assert.equal(reports.length, 2);
    for (const report of reports) {
      assert.equal(report.label, `64 KiB SharedArrayBuffer of plain.${kind}:2`);
      assert.equal(report.isFatal, false);
    }
    assert.equal(summary?.totals?.buffers, 1);
    const counts = summary.culprits.map((one) => one.count).sort((a, b) => b - a);
    assert.equal(counts[0], 15);
    assert.equal(summary.culprits.length, 2);
  });
}

test('every write is reported where asked', needsAddon, () => {
  const { status, reports } = runOutside('all.mjs', WRITES, { MILLRACE_GUARD_ALL: '1' });
  assert.deepEqual([status, reports.length], [0, 15]);
});

test('mode report ends the program at its first write', needsAddon, () => {
  const { signal, stdout, reports, summary } = runOutside('report.mjs', WRITES, {
    MILLRACE_GUARD_MODE: 'report',
  });
  assert.deepEqual([signal, stdout, reports.length, summary], ['SIGSEGV', '', 1, null]);
});

test('mode divert keeps the data as they were', needsAddon, () => {
  const { status, stdout } = runOutside('divert.mjs', WRITES, { MILLRACE_GUARD_MODE: 'divert' });
  assert.deepEqual([status, stdout], [0, '0\n']);
});

test('who may write is not reported', needsAddon, () => {
  const { status, reports, summary } = runOutside('allow.mjs', WRITES, {
    MILLRACE_GUARD_MODE: 'report',
    MILLRACE_GUARD_ALLOW: 'nobody|allow.mjs',
  });
  assert.deepEqual([status, reports.length, summary?.culprits.length], [0, 0, 0]);
});

test('small buffers, and those made elsewhere, are left alone', needsAddon, () => {
  const text = `${WRITES}
    const small = new Uint8Array(new SharedArrayBuffer(65535));
    small[9000] = 1;`;
  const named = runOutside('named.mjs', text, { MILLRACE_GUARD_LABEL: 'mine' });
  assert.deepEqual([named.summary?.totals?.buffers, named.reports.length], [1, 1]);
  assert.match(named.reports[0]!.label, /^mine 64 KiB SharedArrayBuffer of named\.mjs:2$/);
  const lower = runOutside('lower.mjs', text, { MILLRACE_GUARD_MIN_BYTES: '4096' });
  assert.equal(lower.summary?.totals?.buffers, 2);
  const only = runOutside('only.mjs', text, { MILLRACE_GUARD_ONLY: 'other.mjs:' });
  assert.deepEqual([only.summary?.totals?.buffers, only.reports.length], [0, 0]);
});

const WORKERS = `
  import { isMainThread, Worker, workerData } from 'node:worker_threads';
  if (isMainThread) {
    const memory = new SharedArrayBuffer(65536);
    for (const word of [2048, 3072]) {
      new Worker(new URL(import.meta.url), { workerData: { memory, word } });
    }
    process.on('exit', () => {
      const words = new Int32Array(memory);
      console.log(words[2048], words[3072]);
    });
  } else {
    const words = new Int32Array(workerData.memory);
    words[workerData.word] = 7;
    const own = new Int32Array(new SharedArrayBuffer(131072));
    own[4096] = 1;
  }`;

test('in workers too: what they write, and what they make', needsAddon, () => {
  const { status, stdout, reports, summary } = runOutside('workers.mjs', WORKERS);
  assert.deepEqual([status, stdout], [0, '7 7\n']);
  const labels = new Set(reports.map((report) => report.label));
  assert.deepEqual([...labels].sort(), [
    '128 KiB SharedArrayBuffer of workers.mjs:15',
    '64 KiB SharedArrayBuffer of workers.mjs:4',
  ]);
  assert.ok(reports.every((report) => report.tid !== report.pid));
  assert.equal(summary?.totals?.buffers, 3);
});

test('memories of WebAssembly, also after they have grown', needsAddon, () => {
  const { status, reports, summary } = runOutside(
    'wasm.mjs',
    `const memory = new WebAssembly.Memory({ initial: 1, maximum: 2, shared: true });
    new Uint8Array(memory.buffer)[1] = 1;
    memory.grow(1);
    const grown = new Uint8Array(memory.buffer);
    grown[2] = 1;
    grown[65537] = 1;
    if (grown.length !== 131072 || grown[1] !== 1) process.exit(3);`,
  );
  assert.equal(status, 0);
  assert.deepEqual(
    reports.map((report) => [report.label, report.offset]),
    [
      ['64 KiB WebAssembly.Memory of wasm.mjs:1', 1],
      ['128 KiB WebAssembly.Memory of wasm.mjs:3', 2],
      ['128 KiB WebAssembly.Memory of wasm.mjs:3', 65_537],
    ],
  );
  assert.deepEqual([summary?.totals?.buffers, summary?.totals?.failed], [2, 0]);
});

test('the arenas of Millrace', needsAddon, () => {
  const pages = new URL('../pages/index.js', import.meta.url).href;
  const { status, reports } = runOutside(
    'arena.mjs',
    `import { PagePool } from ${JSON.stringify(pages)};
    const pool = PagePool.create({ pageBytes: 65536, pageCount: 4 });
    const page = pool.acquire(1);
    pool.view.setUint32(page * pool.pageBytes, 42);
    if (pool.view.getUint32(page * pool.pageBytes) !== 42) process.exit(3);`,
  );
  assert.equal(status, 0);
  assert.ok(reports.some((report) => /WebAssembly\.Memory of /.test(report.label)));
});

test('what cannot be guarded is told once, and left alone', needsAddon, () => {
  const { status, stderr, summary } = runOutside(
    'growable.mjs',
    `for (let i = 0; i < 3; i++) {
      const memory = new SharedArrayBuffer(65536, { maxByteLength: 131072 });
      new Uint8Array(memory)[5000] = 1;
    }`,
  );
  assert.equal(status, 0);
  assert.equal(stderr.split('MR_GUARD_BUFFER').length, 2, stderr);
  assert.equal(summary?.totals?.failed, 3);
});

test('a wrong variable ends the program before it begins', needsAddon, () => {
  for (const [env, said] of [
    [{ MILLRACE_GUARD_MODE: 'explode' }, /MR_USAGE: MILLRACE_GUARD_MODE=explode is no mode/],
    [{ MILLRACE_GUARD_MIN_BYTES: 'much' }, /MR_USAGE: MILLRACE_GUARD_MIN_BYTES=much is no size/],
  ] as const) {
    const { status, stdout, stderr } = runOutside('wrong.mjs', WRITES, { ...env });
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, said);
  }
});

test('the summary goes to stderr where no file is asked for', needsAddon, () => {
  const { stderr } = runOutside('text.mjs', WRITES, { MILLRACE_GUARD_SUMMARY: '' });
  assert.match(
    stderr,
    /^millrace guard: 1 buffer guarded \(6\d KiB\), 1 place wrote there\n {2}15 × /m,
  );
});

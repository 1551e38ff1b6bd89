/**
 * A server under its guard: nobody who may write is stopped (a false alarm would end this process),
 * and a bug that writes into a page in use is reported by its function, file and line.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { culpritOf, type GuardReport, parseReports } from '../src/toolkit/guard/report.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { checkCounters, checkJournal, checkStore } from './support/mixed-checks.ts';
import { checkLedgers, runMixed, withDataFolder } from './support/mixed-run.ts';

const SEED_MAX = 2 ** 31;
const TIMEOUT_MS = 120_000;
const BUGGY = fileURLToPath(new URL('./support/planted-bug.js', import.meta.url));
const skip = addonSkipReason() ?? (process.arch === 'x64' ? undefined : 'needs x86-64');

test('100,000 mixed records pass a guarded server, and are counted exactly', {
  skip,
}, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await runMixed(
    {
      stream: { seed, malformedRatio: 0.2 },
      send: { records: 100_000, connections: 8, exporters: 4, chunk: 'random' },
      config: { guard: { mode: 'report' } },
    },
    async (run) => {
      const { mode, faults, refused } = run.snapshot.guard;
      assert.deepEqual({ mode, faults, refused }, { mode: 'report', faults: 0, refused: 0 });
      checkLedgers(run);
      checkCounters(run);
      checkJournal(run);
      await checkStore(run);
    },
  );
});

interface BuggyRun {
  readonly status: number | null;
  readonly stderr: string;
  /** What the program said before, and after. */
  readonly said: readonly Readonly<Record<string, unknown>>[];
  readonly reports: readonly GuardReport[];
}

/** Runs test/support/planted-bug.ts to its end, which may be a signal; the shell says 128 + it. */
function runBuggy(what: 'server' | 'output', mode: string, path: string): BuggyRun {
  const { status, stdout, stderr } = spawnSync(
    '/bin/sh',
    ['-c', 'ulimit -c 0; "$@"', 'sh', process.execPath, BUGGY, what, mode, path],
    { encoding: 'utf8', timeout: TIMEOUT_MS },
  );
  const lines = stdout.split('\n').filter((line) => line !== '');
  const file = what === 'server' ? join(path, 'guard-reports.jsonl') : path;
  return {
    status,
    stderr,
    said: lines.map((line) => JSON.parse(line)),
    reports: parseReports(readFileSync(file, 'utf8')),
  };
}

/** Where the bug stands: the compiled file is what runs. */
function placeOfBug(): { file: string; line: number; column: number } {
  const file = fileURLToPath(new URL('./support/premature-writer.js', import.meta.url));
  const lines = readFileSync(file, 'utf8').split('\n');
  const line = lines.findIndex((text) => text.includes('// the bug')) + 1;
  return { file, line, column: lines[line - 1]!.indexOf('=') + 1 };
}

/** The one report: of the planted write, with culprit, page's life, label and history. */
function checkReport(t: TestContext, run: BuggyRun): void {
  t.diagnostic(run.stderr.split('\n').find((line) => line.startsWith('segmentation')) ?? '');
  assert.equal(run.reports.length, 1, 'one of each culprit');
  const [report] = run.reports as [GuardReport];
  const [planted] = run.said;
  const { kind, label, place: where, offset, generation, width, old } = report;
  assert.deepEqual(
    { kind, label, where, offset, generation, width },
    {
      kind: 'write',
      label: 'arena',
      where: 'view',
      offset: planted!.at,
      generation: planted!.generation,
      width: 1,
    },
  );
  assert.equal(report.new, 'bb');
  assert.notEqual(old, '');
  assert.ok(report.protectTime! >= report.unprotectTime!, 'acquired, then published or lent');
  assert.notEqual(report.protectTid, report.tid, 'another thread had it');
  const { line, column, ...place } = placeOfBug();
  const culprit = culpritOf(report)!;
  assert.deepEqual(
    { kind: culprit.kind, function: culprit.function, file: culprit.file, line: culprit.line },
    { kind: 'js', function: 'writeTooEarly', file: place.file, line },
  );
  assert.ok(Math.abs(culprit.column! - column) <= 2, `column ${culprit.column}, = at ${column}`);
  const [first] = /^segmentation fault at .*$/m.exec(run.stderr)!;
  assert.match(first, /^segmentation fault at 0x[0-9a-f]+: writeTooEarly \(.* of 'arena'$/);
  assert.match(run.stderr, /^ {2}js .* writeTooEarly \(.*← the culprit$/m);
}

const DIED_BY_SEGV = 128 + 11;

test('a write into a page that the store still reads ends the server, and is reported', {
  skip,
}, async (t) => {
  await withDataFolder(async (folder) => {
    const run = runBuggy('server', 'report', join(folder, 'data'));
    assert.equal(run.status, DIED_BY_SEGV, run.stderr);
    checkReport(t, run);
    assert.equal(run.reports[0]!.isFatal, true);
    assert.equal(run.said.length, 1, 'it did not come behind its write');
  });
});

test('with guard.mode continue the write happens, is counted, and the server goes on', {
  skip,
}, async (t) => {
  await withDataFolder(async (folder) => {
    const data = join(folder, 'data');
    const run = runBuggy('server', 'continue', data);
    assert.equal(run.status, 0, run.stderr);
    checkReport(t, run);
    const [, written, end] = run.said;
    assert.equal(written!.read, 0xbb);
    const file = join(data, 'guard-reports.jsonl');
    assert.deepEqual(end!.guard, { mode: 'continue', faults: 3, refused: 0, file });
    assert.equal(end!.difference, 0);
  });
});

test('a write into a page that is in flight is reported', { skip }, async (t) => {
  await withDataFolder(async (folder) => {
    const run = runBuggy('output', 'report', join(folder, 'reports.jsonl'));
    assert.equal(run.status, DIED_BY_SEGV, run.stderr);
    assert.equal(run.said[0]!.inFlight, 4, 'nobody reads');
    checkReport(t, run);
    assert.equal(run.reports[0]!.slicePages, 3, 'what was lent, to the end of its last OS page');
  });
});

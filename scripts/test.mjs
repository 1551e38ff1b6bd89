/**
 * Test runner: finds the compiled tests, runs each file in a process of its own, sums up.
 *
 * WHY         `node --test` finds files by itself differently from version to version, and its
 *             closing lines drown in a thousand test names. Here: one line a file while all is
 *             well, the full report of what failed, and the counts at the end.
 * ORDER       The run must not end with one long file alone while the other CPUs have nothing to
 *             do: first the files of LONGEST, then all that crosses modules (test/), then the rest.
 *             A list, not remembered durations: a clean clone remembers nothing.
 * USAGE       npm test [-- FILTER...]     files whose path contains a FILTER
 *             npm test -- --verbose       one line a test
 *             npm run test:stress         dist/test/stress, which takes minutes
 *             MILLRACE_NO_ADDON=1         the parts that need no addon; the others skip themselves
 * INVARIANTS  Exit code 0 only when every file ran and nothing failed; no tests found is a failure.
 */
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const FILE_TIMEOUT_MS = 300_000;
const STRESS_TIMEOUT_MS = 1_800_000;

/** Files of ten seconds of one CPU and more, longest first. */
const LONGEST = [
  'test/crash.test.ts',
  'test/nettest.test.ts',
  'test/guard/core-checked.test.ts',
  'test/guard/core-valgrind.test.ts',
  'test/guard/unwind.test.ts',
  'test/guarded-server.test.ts',
  'test/store-maintenance.test.ts',
  'test/store-commit.test.ts',
  'test/store-rows.test.ts',
  'test/store-faults.test.ts',
  'test/pinning.test.ts',
  'test/installed-package.test.ts',
  'test/cli-dump.test.ts',
  'test/cli-serve.test.ts',
  'test/e2e-mixed.test.ts',
  'test/forward-chaos.test.ts',
  'test/forward-lag.test.ts',
  'test/cli-cpu.test.ts',
  'test/browser.test.ts',
  'test/page-e2e.test.ts',
  'test/cli-query.test.ts',
  'test/reload.test.ts',
  'test/forward-kill.test.ts',
  'test/forward-serve.test.ts',
  'test/forward-turns.test.ts',
];

const CLEAR_LINE = process.stderr.isTTY ? '\r\u001b[K' : '';

const parameters = process.argv.slice(2);
const isStress = parameters.includes('--stress');
const isVerbose = parameters.includes('--verbose');
const filters = parameters.filter((text) => !text.startsWith('--'));

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return testFiles(path);
    return entry.name.endsWith('.test.js') ? [path] : [];
  });
}

/** dist/src/rdr/frame.test.js -> src/rdr/frame.test.ts */
function sourceOf(path) {
  return relative(join(ROOT, 'dist'), path).replace(/\.js$/, '.ts');
}

function chosenFiles() {
  return testFiles(join(ROOT, 'dist'))
    .filter((path) => sourceOf(path).startsWith('test/stress/') === isStress)
    .filter((path) => filters.length === 0 || filters.some((text) => sourceOf(path).includes(text)))
    .sort((a, b) => rankOf(a) - rankOf(b) || byPath([a], [b]));
}

/** Lower ranks start earlier. */
function rankOf(path) {
  const source = sourceOf(path);
  const place = LONGEST.indexOf(source);
  if (place >= 0) return place;
  return LONGEST.length + (source.startsWith('test/') ? 0 : 1);
}

function checkLongest(files) {
  const sources = new Set(files.map(sourceOf));
  const gone = LONGEST.filter((source) => !sources.has(source));
  if (gone.length > 0) throw new Error(`LONGEST of scripts/test.mjs: no file ${gone.join(', ')}`);
}

function explainBrowser() {
  const chromium = process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium';
  if (existsSync(chromium)) return;
  console.log(
    `note: no browser at ${chromium}: the browser test is skipped. ` +
      'Debian: apt-get install chromium; elsewhere set MILLRACE_CHROMIUM.',
  );
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** The error that matters: node:test wraps it, assert puts the difference into its message. */
function describeFailure(error) {
  const cause = error?.cause ?? error;
  return String(cause?.stack ?? cause?.message ?? cause).replace(/^/gm, '      ');
}

class Report {
  counts = { pass: 0, fail: 0, skip: 0 };
  /** path of a file -> its counts */
  files = new Map();
  failures = [];
  skips = [];

  #fileOf(data) {
    const path = sourceOf(data.file ?? data.name);
    if (!this.files.has(path)) this.files.set(path, { pass: 0, fail: 0, skip: 0, ms: 0 });
    return [path, this.files.get(path)];
  }

  /** A file that died or had no test reports itself as a test; else its row is only its end. */
  #isFileItself(data) {
    return data.nesting === 0 && data.name.endsWith('.test.js');
  }

  count(kind, data) {
    const [path, file] = this.#fileOf(data);
    if (data.details?.type === 'suite') return;
    if (this.#isFileItself(data) && kind === 'pass') return;
    const isSkip = data.skip !== undefined || data.todo !== undefined;
    const verdict = isSkip ? 'skip' : kind;
    file[verdict]++;
    file.ms += data.details?.duration_ms ?? 0;
    this.counts[verdict]++;
    if (verdict === 'fail') this.failures.push({ path, ...data });
    if (isSkip) this.skips.push(`${path}: ${data.name}${reasonOf(data.skip)}`);
    if (isVerbose) console.log(`  ${verdict} ${path}: ${data.name}`);
    else if (verdict === 'fail') console.log(`${CLEAR_LINE}FAIL  ${path}: ${data.name}`);
    this.#showProgress(path);
  }

  /** One line that is written over, on a terminal only. */
  #showProgress(path) {
    if (!process.stderr.isTTY || isVerbose) return;
    const { pass, fail } = this.counts;
    const text = `${pass} passed, ${fail} failed  ${path}`;
    process.stderr.write(CLEAR_LINE + text.slice(0, process.stderr.columns - 1));
  }

  print(startedMs) {
    process.stderr.write(CLEAR_LINE);
    if (!isVerbose) {
      for (const [path, file] of [...this.files].sort(byPath)) {
        const skipped = file.skip === 0 ? '' : `, ${file.skip} skipped`;
        const verdict = file.fail === 0 ? 'ok  ' : 'FAIL';
        console.log(`${verdict}  ${path}  ${file.pass} passed${skipped}  ${seconds(file.ms)}`);
      }
    }
    for (const line of this.skips) console.log(`skipped  ${line}`);
    for (const failure of this.failures) {
      console.log(`\nFAIL  ${failure.path}: ${failure.name}`);
      console.log(describeFailure(failure.details?.error));
    }
    const { pass, fail, skip } = this.counts;
    console.log(
      `\n${this.files.size} files, ${pass} passed, ${fail} failed, ${skip} skipped, ` +
        seconds(performance.now() - startedMs),
    );
  }
}

function byPath([a], [b]) {
  return a < b ? -1 : 1;
}

function reasonOf(skip) {
  return typeof skip === 'string' ? ` (${skip})` : '';
}

async function main() {
  const files = chosenFiles();
  if (files.length === 0) {
    console.error(
      `no ${isStress ? 'stress ' : ''}tests found` +
        (filters.length > 0 ? ` for ${filters.join(' ')}` : ' in dist/; run npm run build first'),
    );
    process.exitCode = 1;
    return;
  }
  if (!isStress && filters.length === 0) checkLongest(files);
  const startedMs = performance.now();
  const report = new Report();
  const stream = run({
    files,
    // One more than CPUs: many tests wait for servers and timers. None may rest on being quick.
    concurrency: isStress ? 1 : availableParallelism() + 1,
    timeout: isStress ? STRESS_TIMEOUT_MS : FILE_TIMEOUT_MS,
  });
  stream.on('test:pass', (data) => report.count('pass', data));
  stream.on('test:fail', (data) => report.count('fail', data));
  stream.on('test:stderr', (data) => process.stderr.write(data.message));
  if (isVerbose) stream.on('test:stdout', (data) => process.stdout.write(data.message));
  await new Promise((resolve, reject) => {
    stream.on('end', resolve);
    stream.on('error', reject);
    stream.resume();
  });
  report.print(startedMs);
  if (!isStress) explainBrowser();
  if (report.counts.fail > 0 || report.counts.pass === 0) process.exitCode = 1;
}

await main();

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { GuardError } from './guard-error.ts';
import { guardNative } from './native.ts';
import { parseReports } from './report.ts';
import { onReport, reports, setReportFile } from './reports.ts';

const needsAddon = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64',
};
const DOOR = new URL('./index.js', import.meta.url).href;

/** A child writes `writes` times into memory that is protected, then runs `code`. */
function runChild(writes: number, code: string, env = {}) {
  const text = `
    import { onReport, protect, reports, setReportFile } from ${JSON.stringify(DOOR)};
    const bytes = new Uint8Array(new SharedArrayBuffer(65536));
    const guard = protect(bytes, { label: 'table', mode: 'continue' });
    guard.protect(7);
    const at = guard.offset;
    const heard = [];
    const subscription = onReport((report, missed) => heard.push([report.seq, missed]));
    for (let i = 0; i < ${writes}; i++) bytes[at + i] = i;
    ${code}
    guard.end();`;
  const node = [process.execPath, '--input-type=module', '-e', text];
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...node];
  const options = { encoding: 'utf8' as const, timeout: 60_000, env: { ...process.env, ...env } };
  const { status, stdout, stderr } = spawnSync('sh', shell, options);
  assert.equal(status, 0, stderr.slice(-2000));
  return JSON.parse(stdout) as unknown;
}

test('a process without faults has no reports, and a listener hears none', needsAddon, () => {
  assert.deepEqual(reports(), []);
  const subscription = onReport(() => assert.fail('there is no report'));
  subscription.end();
});

test('a file that cannot be opened: an error with the path', needsAddon, () => {
  assert.throws(
    () => setReportFile('/nonexistent/reports.jsonl'),
    (error) =>
      error instanceof GuardError &&
      error.code === 'MR_GUARD_FILE' &&
      /ENOENT.*\/nonexistent\/reports\.jsonl/.test(error.message) &&
      error.remedy !== '',
  );
});

test('the same by the environment: not a guard that cannot be loaded', needsAddon, () => {
  const text = `import { protect } from ${JSON.stringify(DOOR)};
    try { protect(new Uint8Array(new SharedArrayBuffer(65536))); }
    catch (error) { console.log(error.code, error.message); }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', text], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, MILLRACE_GUARD_REPORT: '/nonexistent/z' },
  });
  assert.match(stdout, /^MR_GUARD_FILE MILLRACE_GUARD_REPORT: ENOENT.*'\/nonexistent\/z'/);
});

test('a slice that is too short for the report is refused, not filled', needsAddon, () => {
  assert.equal(guardNative().lastReport(), 0);
  assert.equal(guardNative().takeReport(new Uint8Array(8), 0, 8, 1), 0);
});

test('the last 64 are kept; a listener learns how many it missed', needsAddon, () => {
  const result = runChild(
    100,
    `subscription.end();
    console.log(JSON.stringify({ heard, kept: reports().map(({ seq }) => seq) }));`,
  );
  const kept = Array.from({ length: 64 }, (_, index) => 37 + index);
  assert.deepEqual(result, { heard: kept.map((seq) => [seq, seq === 37 ? 36 : 0]), kept });
});

test('the file of the environment has all of them, until another one is set', needsAddon, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-reports-'));
  try {
    const [first, second] = [join(folder, 'first.jsonl'), join(folder, 'second.jsonl')];
    const code = `
      setReportFile(${JSON.stringify(second)});
      bytes[at] = 1;
      setReportFile(null);
      bytes[at] = 1;
      console.log('null');`;
    runChild(100, code, { MILLRACE_GUARD_REPORT: first });
    const all = parseReports(readFileSync(first, 'utf8'));
    assert.deepEqual(
      all.map(({ seq }) => seq),
      Array.from({ length: 100 }, (_, index) => index + 1),
    );
    assert.equal(all[5]!.label, 'table');
    assert.deepEqual(
      [all[5]!.width, all[5]!.new, all[5]!.page, all[5]!.generation],
      [1, '05', 0, 7],
    );
    assert.deepEqual(
      parseReports(readFileSync(second, 'utf8')).map(({ seq }) => seq),
      [101],
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});

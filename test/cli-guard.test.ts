import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { culpritOf, type GuardStatus, parseReports } from '../src/toolkit/guard/index.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { runCli } from './support/run-cli.ts';

const needsAddon = { skip: addonSkipReason() };
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

let folder = '';

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-cli-guard-'));
});

after(() => {
  rmSync(folder, { recursive: true, force: true });
});

function programOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const COUNTING = `
  const words = new Int32Array(new SharedArrayBuffer(65536));
  function countUp() { words[2048] += 1; }
  for (let turn = 0; turn < 5; turn++) countUp();
  console.log(process.argv.slice(2).join(' '), words[2048]);
  process.exit(7);`;

test('run: output, parameters and exit code are the program’s', needsAddon, async () => {
  const program = programOf('counting.mjs', COUNTING);
  const ran = await runCli(['guard', 'run', '--', program, '--port', '80']);
  assert.deepEqual([ran.code, ran.stdout.toString()], [7, '--port 80 5\n']);
  assert.match(ran.stderr, /^segmentation fault at 0x/);
  const [head, row] = ran.stderr.trimEnd().split('\n').slice(-2);
  assert.match(head!, /^millrace guard: 1 buffer guarded \(6\d KiB\), 1 place wrote there$/);
  assert.match(row!, /^ {2}5 × countUp \(\S*counting\.mjs:3:\d+\) {2}64 KiB SharedArrayBuffer of /);
});

test('run: options reach the program; its own options are its own', needsAddon, async () => {
  const program = programOf('named.cjs', COUNTING);
  const report = join(folder, 'named.jsonl');
  const ran = await runCli([
    ...['guard', 'run', '--label', 'mine', '--every', '--report', report],
    ...['node', '--no-warnings', program, '--every'],
  ]);
  assert.deepEqual([ran.code, ran.stdout.toString()], [7, '--every 5\n']);
  const reports = parseReports(readFileSync(report, 'utf8'));
  assert.equal(reports.length, 5);
  assert.equal(reports[0]!.label, 'mine 64 KiB SharedArrayBuffer of named.cjs:2');
  assert.equal(culpritOf(reports[0]!)?.function, 'countUp');
  assert.match(ran.stderr, / {2}5 reports in \S*named\.jsonl\n$/);
});

test('run: a program that dies of a report ends by 139, and is summed up', needsAddon, async () => {
  const program = programOf('dying.mjs', COUNTING);
  const ran = await runCli(['guard', 'run', '--mode', 'report', '--', program]);
  assert.deepEqual([ran.code, ran.stdout.toString()], [139, '']);
  assert.match(
    ran.stderr,
    /buffers guarded, 1 place wrote there\n {2}1 × countUp .* 1 process died before counting/s,
  );
  const allowed = await runCli(['guard', 'run', '--mode', 'report', '--allow', 'countUp', program]);
  assert.equal(allowed.code, 7, allowed.stderr);
  assert.match(allowed.stderr, /nobody wrote there/);
});

test('run: child processes are the program too', needsAddon, async () => {
  const child = programOf('child.mjs', COUNTING);
  const program = programOf(
    'forking.mjs',
    `import { fork } from 'node:child_process';
     for (const one of [1, 2]) fork(${JSON.stringify(child)}, [one]);`,
  );
  const ran = await runCli(['guard', 'run', program]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /millrace guard: 2 buffers guarded .*, 1 place wrote there\n {2}10 × /);
});

test('run: a signal goes to the program', needsAddon, async () => {
  const program = programOf(
    'signal.mjs',
    `process.on('SIGTERM', () => { console.log('asked to stop'); process.exit(5); });
     setInterval(() => {}, 1000);
     console.log('ready');`,
  );
  const child = spawn(process.execPath, [MAIN, 'guard', 'run', program], { timeout: 60_000 });
  let out = '';
  const code = await new Promise((resolve) => {
    child.stdout.on('data', (text: Buffer) => {
      if (out === '') child.kill('SIGTERM');
      out += text.toString();
    });
    child.once('close', resolve);
  });
  assert.deepEqual([out, code], ['ready\nasked to stop\n', 5]);
});

test('run: wrong usage', async () => {
  for (const parameters of [[], ['--mode', 'explode', 'x.js'], ['--min-bytes', '0', 'x.js']]) {
    const ran = await runCli(['guard', 'run', ...parameters]);
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /MR_USAGE/);
  }
});

test('status: each feature works, or says what to do', needsAddon, async () => {
  const text = await runCli(['guard', 'status']);
  assert.equal(text.code, 0, text.stderr);
  assert.match(text.stdout.toString(), /^works {2}protect {3}/m);
  const json = await runCli(['guard', 'status', '--json']);
  const found = JSON.parse(json.stdout.toString()) as GuardStatus;
  assert.equal(found.node, process.version);
  for (const { works, problem, remedy } of found.features) {
    assert.equal(works, problem === '');
    assert.equal(works, remedy === '');
  }
});

test('demo: six reports, each names its culprit', needsAddon, async () => {
  const ran = await runCli(['guard', 'demo']);
  const text = ran.stdout.toString();
  assert.equal(ran.code, 0, `${text}${ran.stderr}`);
  assert.equal(text.split('← the culprit').length, 7);
  assert.match(text, /6 of 6 reports name the culprit\n$/);
  assert.match(text, /overrun of 'name' by 1 byte/);
  assert.match(text, /caught: RuntimeError: .*; the word is still 5/);
});

test('demo: one of them; there is no seventh', needsAddon, async () => {
  const one = await runCli(['guard', 'demo', '4']);
  assert.match(
    one.stdout.toString(),
    /^── 4 of 6: [^─]*─+\n.*\n1 of 1 reports name the culprit\n$/s,
  );
  const none = await runCli(['guard', 'demo', '7']);
  assert.deepEqual([none.code, none.stdout.length], [2, 0]);
});

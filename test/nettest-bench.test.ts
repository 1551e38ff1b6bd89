import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Namespaces } from '../src/nettest/bench/namespaces.ts';
import type { BenchResult } from '../src/nettest/bench/result.ts';
import { buildYardstick } from '../src/nettest/bench/yardstick.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';

const MAIN = join(import.meta.dirname, '../src/cli/main.js');
const needsAddon = { skip: addonSkipReason(), timeout: 200_000 };

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nettest-bench-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What sessions of the bench leave behind in their folder for temporary files, if they do. */
function leftovers(folder: string): string[] {
  return readdirSync(folder).filter((name) => name.startsWith('millrace-bench-'));
}

function run(folder: string, only: string): BenchResult {
  const parameters = ['--only', only, '--rounds', '1', '--seconds-per-cell', '0.02', '--pin'];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [MAIN, 'nettest', 'bench', ...parameters, 'none', '--out', folder, '--json'],
    { encoding: 'utf8', timeout: 180_000, env: { ...process.env, TMPDIR: folder } },
  );
  assert.equal(status, 0, stderr);
  const text = readFileSync(join(folder, 'nettest-bench.json'), 'utf8');
  const result = JSON.parse(text) as BenchResult;
  assert.deepEqual(JSON.parse(stdout), result);
  return result;
}

test('one small cell: everybody has figures, or a reason for none', needsAddon, (t) => {
  const folder = folderOf(t);
  const result = run(folder, 'unix,64K,x1');
  assert.equal(result.cells.length, 1);
  const { results, refusals } = result.cells[0]!;
  const names = results.map(({ name }) => name);
  for (const name of ['node-net', 'copy', 'splice', 'file', 'tee']) {
    assert.ok(names.includes(name), `${name}: ${JSON.stringify(refusals)}`);
  }
  for (const one of results) {
    assert.ok(one.gbPerSecond.value > 0, one.name);
    assert.ok(one.senderUsrMs.value + one.senderSysMs.value > 0, one.name);
  }
  if (buildYardstick().program !== null) assert.ok(names.includes('c-splice'));
  assert.ok(readFileSync(join(folder, result.chart), 'utf8').startsWith('<svg'));
  assert.deepEqual(leftovers(folder), []);
});

test('eight connections over TCP, with what the kernel notifies', needsAddon, (t) => {
  const result = run(folderOf(t), 'tcp,256K,x8,tee,msgZerocopy');
  const { results, refusals } = result.cells[0]!;
  const names = [...results, ...refusals].map(({ name }) => name);
  for (const name of ['tee', 'msgZerocopy']) assert.ok(names.includes(name));
});

test('a veth pair is made, used and removed', needsAddon, (t) => {
  const offered = Namespaces.create();
  if (typeof offered === 'string') {
    t.skip(offered);
    return;
  }
  offered.close();
  const result = run(folderOf(t), 'veth,64K,x1,copy');
  assert.ok(result.cells[0]!.results.some(({ name }) => name === 'copy'));
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  assert.ok(!/millrace-bench-/.test(stdout), stdout);
});

test('without a compiler the bench goes on, and says so', needsAddon, (t) => {
  const folder = folderOf(t);
  const missing = buildYardstick(folder);
  assert.equal(missing.program, null);
  assert.match(missing.reason, /there is no .*xmit\.c/);
});

test('SIGINT: one error, exit 1, nothing left behind', needsAddon, async (t) => {
  const folder = folderOf(t);
  const parameters = ['--only', 'tcp,64K,x1', '--seconds-per-cell', '5', '--out', folder];
  const child = spawn(process.execPath, [MAIN, 'nettest', 'bench', ...parameters], {
    env: { ...process.env, TMPDIR: folder },
  });
  let complaint = '';
  child.stderr.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  while (leftovers(folder).length === 0) await new Promise((done) => setTimeout(done, 20));
  child.kill('SIGINT');
  const code = await new Promise((done) => child.once('close', done));
  assert.equal(code, 1, complaint);
  assert.match(complaint, /MR_INTERRUPTED/);
  assert.deepEqual(leftovers(folder), []);
});

test('a word of --only that nobody knows is a wrong usage', needsAddon, () => {
  const { status, stderr } = spawnSync(
    process.execPath,
    [MAIN, 'nettest', 'bench', '--only', 'tpc'],
    { encoding: 'utf8' },
  );
  assert.equal(status, 2);
  assert.match(stderr, /MR_USAGE.*"tpc"/);
});

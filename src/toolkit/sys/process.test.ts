import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { EINVAL } from './errno.ts';
import { addonSkipReason } from './load.ts';
import {
  currentCpu,
  processCpuUs,
  schedGetAffinity,
  schedSetAffinity,
  setThreadName,
  threadCpuUs,
  threadId,
  yieldCpu,
} from './process.ts';

const needsAddon = { skip: addonSkipReason() };

test('CPU times grow with work; the process has at least what its thread has', needsAddon, () => {
  const [thread, process] = [threadCpuUs(), processCpuUs()];
  let sum = 0;
  for (let i = 0; i < 30_000_000; i += 1) sum = (sum + i * 7) | 0;
  assert.ok(Number.isInteger(sum));
  const threadGrew = threadCpuUs() - thread;
  const processGrew = processCpuUs() - process;
  assert.ok(threadGrew > 0, `${threadGrew}`);
  assert.ok(processGrew > 0 && processCpuUs() >= threadCpuUs());
});

test('the thread has an id and takes a name', needsAddon, () => {
  const path = `/proc/self/task/${threadId()}/comm`;
  const before = readFileSync(path, 'utf8').trim();
  assert.equal(setThreadName('fifteen-bytes-x'), 0);
  assert.equal(readFileSync(path, 'utf8'), 'fifteen-bytes-x\n');
  setThreadName(before);
});

test('affinity can be read, set and set back', needsAddon, () => {
  const allowed = schedGetAffinity();
  assert.ok(allowed.length > 0);
  assert.equal(schedSetAffinity(0, [allowed[0]!]), 0);
  assert.deepEqual(schedGetAffinity(threadId()), [allowed[0]]);
  assert.equal(schedSetAffinity(0, allowed), 0);
  assert.deepEqual(schedGetAffinity(), allowed);
  assert.equal(schedSetAffinity(0, [8191]), -EINVAL);
  assert.equal(schedSetAffinity(0, [8192]), -EINVAL);
  assert.equal(schedSetAffinity(0, [-1]), -EINVAL);
  assert.throws(() => schedSetAffinity(0, []), RangeError);
  assert.throws(() => schedGetAffinity(4_194_303), /ESRCH/);
});

test('the current CPU is the one that the thread is pinned to', needsAddon, () => {
  const allowed = schedGetAffinity();
  for (const cpu of [allowed[0]!, allowed.at(-1)!]) {
    assert.equal(schedSetAffinity(0, [cpu]), 0);
    assert.equal(currentCpu(), cpu);
  }
  schedSetAffinity(0, allowed);
  assert.ok(allowed.includes(currentCpu()));
});

test('who yields its CPU comes back', needsAddon, () => {
  for (let times = 0; times < 3; times++) assert.equal(yieldCpu(), undefined);
});

test('exitNow ends the process at once, without its exit handlers', needsAddon, () => {
  const url = new URL('./index.js', import.meta.url).href;
  const code = `
    const { exitNow } = await import(${JSON.stringify(url)});
    process.on('exit', () => process.stdout.write('handler'));
    exitNow(7);
  `;
  const child = spawnSync(process.execPath, ['--input-type=module', '-e', code]);
  assert.equal(child.status, 7);
  assert.equal(child.stdout.toString(), '');
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { threadId as nodeId, type Worker } from 'node:worker_threads';
import {
  addonSkipReason,
  currentCpu,
  EINVAL,
  EPERM,
  ESRCH,
  failCall,
  native,
  schedGetAffinity,
  schedSetAffinity,
  threadId,
} from '../sys/index.ts';
import { formatCpuList, parseCpuList } from './cpu-list.ts';
import { pin, release, threadIdOf } from './pin.ts';
import { registeredThreads, registerThread } from './register.ts';
import { topology } from './topology.ts';
import { startWorker } from './workers.test-data.ts';

const needsAddon = { skip: addonSkipReason() };
const usable = topology().usable;
const first = usable[0]!;
const last = usable.at(-1)!;

const workers: Worker[] = [];
async function worker(role: string | null): Promise<Worker> {
  const started = await startWorker(role);
  workers.push(started);
  return started;
}
afterEach(async () => {
  await Promise.all(workers.splice(0).map((started) => started.terminate()));
});

const isCode = (pattern: RegExp) => (error: Error & { code?: string; remedy?: string }) => {
  assert.equal(error.code, 'MR_CPU');
  assert.match(`${error.message}\n${error.remedy}`, pattern);
  return true;
};

test('a registered worker is pinned, seen by the kernel, and let go', needsAddon, async () => {
  const target = await worker('counter');
  const tid = threadIdOf(target);
  assert.notEqual(tid, process.pid);
  const before = schedGetAffinity(tid);
  const pinned = pin(target, `${last}`);
  assert.deepEqual(pinned, { threadId: tid, cpus: [last], before });
  assert.deepEqual(schedGetAffinity(tid), [last]);
  const status = readFileSync(`/proc/self/task/${tid}/status`, 'utf8');
  assert.match(status, new RegExp(`^Cpus_allowed_list:\\t${last}$`, 'm'));
  assert.deepEqual(schedGetAffinity(), before, 'the caller keeps its own');
  assert.equal(release(pinned), true);
  assert.deepEqual(schedGetAffinity(tid), before);
});

test('release leaves a mask that somebody else has set', needsAddon, async (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const target = await worker('counter');
  const pinned = pin(target, [first]);
  schedSetAffinity(pinned.threadId, [last]);
  assert.equal(release(pinned), false);
  assert.deepEqual(schedGetAffinity(pinned.threadId), [last]);
  await target.terminate();
  assert.equal(release(pinned), false, 'the thread has ended');
  return undefined;
});

test('self and a thread id; the thread runs where it is pinned', needsAddon, () => {
  for (const cpu of usable.slice(0, 4)) {
    const pinned = pin('self', [cpu]);
    assert.equal(currentCpu(), cpu);
    assert.equal(release(pinned), true);
  }
  const pinned = pin(threadId(), `last`);
  assert.equal(currentCpu(), last);
  release(pinned);
});

test('a thread that a pinned one starts has its mask', needsAddon, async () => {
  const pinned = pin('self', [first]);
  try {
    const tid = threadIdOf(await worker('child'));
    assert.deepEqual(schedGetAffinity(tid), [first]);
    const child = spawnSync('cat', ['/proc/self/status'], { encoding: 'utf8' });
    assert.match(child.stdout, new RegExp(`^Cpus_allowed_list:\\t${first}$`, 'm'));
  } finally {
    release(pinned);
  }
});

test('a worker that has not registered is told what to do', needsAddon, async () => {
  const target = await worker(null);
  assert.throws(() => pin(target, [first]), isCode(/registerThread/));
});

test('a CPU that is not there, a thread that is not there', needsAddon, () => {
  const before = schedGetAffinity();
  assert.throws(() => pin('self', [8191]), isCode(/there is no CPU 8191/));
  assert.throws(() => pin(4_194_303, [first]), isCode(/no thread 4194303/));
  assert.deepEqual(schedGetAffinity(), before);
});

test('refusals of the kernel are explained, and nothing is changed', needsAddon, () => {
  const before = schedGetAffinity();
  for (const [errno, text] of [
    [EPERM, /seccomp/],
    [EINVAL, /none of them is online/],
    [ESRCH, /ESRCH/],
  ] as const) {
    const fault = failCall({ call: 'schedSetAffinity', nth: 1, errno });
    assert.throws(() => pin('self', [first]), isCode(text));
    fault.restore();
    assert.deepEqual(schedGetAffinity(), before);
  }
});

test('a mask that the kernel cuts is an error, and put back', needsAddon, (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const before = schedGetAffinity();
  const addon = native();
  const genuine = addon.schedSetAffinity.bind(addon);
  let calls = 0;
  // As a cpuset that cannot be seen from inside cuts it.
  addon.schedSetAffinity = (tid, cpus, count) =>
    genuine(tid, cpus, calls++ === 0 ? count - 1 : count);
  try {
    assert.throws(
      () => pin('self', [first, last]),
      isCode(new RegExp(`gave only ${first}[^]*cpuset`)),
    );
  } finally {
    addon.schedSetAffinity = genuine;
  }
  assert.deepEqual(schedGetAffinity(), before);
  return undefined;
});

test(
  'the register: one entry a thread, the newest role, gone with the thread',
  needsAddon,
  async () => {
    registerThread('first');
    registerThread('ünïcode role, longer than the forty-eight bytes that fit');
    const own = registeredThreads().filter((entry) => entry.threadId === threadId());
    assert.equal(own.length, 1);
    assert.equal(own[0]!.nodeId, nodeId);
    assert.match(own[0]!.role, /^ünïcode role/);
    const target = await worker('short life');
    const isThere = () => registeredThreads().some(({ role }) => role === 'short life');
    assert.ok(isThere());
    await target.terminate();
    assert.ok(!isThere());
  },
);

test('the mask in the status file and that of the call are the same', needsAddon, () => {
  const status = readFileSync(`/proc/self/task/${threadId()}/status`, 'utf8');
  const list = /^Cpus_allowed_list:\t(.*)$/m.exec(status)![1]!;
  assert.deepEqual(parseCpuList(list), schedGetAffinity());
  assert.equal(formatCpuList(schedGetAffinity()), list);
});

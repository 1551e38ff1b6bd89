import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import {
  addonSkipReason,
  EPERM,
  failCall,
  schedGetAffinity,
  schedSetAffinity,
} from '../sys/index.ts';
import { untilTasksGone } from '../sys/tasks.test-data.ts';
import { type Confinement, confineHelperThreads } from './helpers.ts';
import { threadIdOf } from './pin.ts';
import { readThreads, threads } from './threads.ts';
import { topology } from './topology.ts';
import { filesOf, type Tree } from './trees.test-data.ts';
import { registerLate, startWorker } from './workers.test-data.ts';

const needsAddon = { skip: addonSkipReason() };
/** What this process was left; its group may allow more. */
const usable = topology().limits.affinity;
const first = usable[0]!;
const last = usable.at(-1)!;

const workers: Worker[] = [];
const confinements: Confinement[] = [];
async function worker(role: string | null): Promise<Worker> {
  const started = await startWorker(role);
  workers.push(started);
  return started;
}
function confine(cpus: readonly number[]): Confinement {
  const made = confineHelperThreads(cpus, { sweepMs: 0 });
  confinements.push(made);
  return made;
}
afterEach(async () => {
  for (const confinement of confinements.splice(0)) confinement.stop();
  await Promise.all(workers.splice(0).map((started) => started.terminate()));
  // Else the next test finds helpers that are gone when it looks at them.
  await untilTasksGone();
});

const helpers = () => threads().filter(({ kind }) => kind === 'helper');
const tasks = () => readdirSync('/proc/self/task').map(Number);

/** One "stat" line; the name has what names may have. */
function statLine(tid: number, name: string, cpu: number): string {
  const fields = Array.from({ length: 50 }, () => '0');
  fields[0] = 'S';
  fields[11] = '150';
  fields[12] = '50';
  fields[19] = '4711';
  fields[36] = `${cpu}`;
  return `${tid} (${name}) ${fields.join(' ')}`;
}

function taskTree(names: readonly string[]): Tree {
  const tree: Tree = new Map([['proc/7/stat', statLine(7, names[0]!, 0)]]);
  names.forEach((name, index) => {
    const folder = `proc/7/task/${7 + index}`;
    tree.set(`${folder}/stat`, statLine(7 + index, name, index));
    tree.set(
      `${folder}/status`,
      `Name:\t${name}\nCpus_allowed_list:\t0-${index}\n` +
        'voluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3',
    );
  });
  return tree;
}

test('a recorded process: names, roles, times, and null for what the kernel does not say', () => {
  const tree = taskTree(['node', 'V8Worker', 'libuv-worker', 'a) (b', 'node']);
  tree.set('proc/7/task/8/schedstat', '5000000 2000000 9');
  tree.set('proc/7/task/8/sched', 'node (8, #threads: 5)\nse.nr_migrations   :   17');
  const found = readThreads(filesOf(tree), '7', new Map([[11, 'collect']]));
  assert.deepEqual(
    found.map(({ kind, role, name }) => [kind, role, name]),
    [
      ['main', 'main', 'node'],
      ['helper', 'v8 pool', 'V8Worker'],
      ['helper', 'libuv pool', 'libuv-worker'],
      ['helper', 'a) (b', 'a) (b'],
      ['worker', 'collect', 'node'],
    ],
  );
  assert.deepEqual(found[1], {
    threadId: 8,
    name: 'V8Worker',
    kind: 'helper',
    role: 'v8 pool',
    cpus: [0, 1],
    lastCpu: 1,
    cpuMs: 5,
    waitedMs: 2,
    migrations: 17,
    voluntarySwitches: 12,
    involuntarySwitches: 3,
    startTicks: 4711,
  });
  assert.deepEqual([found[0]!.cpuMs, found[0]!.waitedMs, found[0]!.migrations], [2000, null, null]);
});

test(
  'this process: every task once, the main thread, a worker by its role',
  needsAddon,
  async () => {
    const tid = threadIdOf(await worker('reader'));
    const found = threads();
    assert.deepEqual(
      found.map(({ threadId }) => threadId),
      tasks().sort((a, b) => a - b),
    );
    assert.equal(found.find(({ kind }) => kind === 'main')!.threadId, process.pid);
    const reader = found.find(({ threadId }) => threadId === tid)!;
    assert.deepEqual([reader.kind, reader.role, reader.cpus], ['worker', 'reader', usable]);
    assert.ok(reader.cpuMs > 0 && usable.includes(reader.lastCpu));
    assert.ok(found.filter(({ kind }) => kind === 'helper').length >= 3);
    assert.deepEqual(
      threads({ pid: process.pid })
        .map(({ role }) => role)
        .filter((role) => role === 'reader'),
      ['reader'],
    );
  },
);

test('helpers are confined; the main thread and workers are not', needsAddon, async (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const tid = threadIdOf(await worker('kept'));
  const before = schedGetAffinity();
  const confinement = confine([last]);
  assert.ok(confinement.changed > 0);
  for (const { threadId } of helpers()) assert.deepEqual(schedGetAffinity(threadId), [last]);
  assert.deepEqual(schedGetAffinity(), before);
  assert.deepEqual(schedGetAffinity(tid), usable);
  assert.equal(confinement.sweep(), 0, 'a second sweep finds nothing to do');
  assert.ok(confinement.stop() > 0);
  for (const { threadId } of helpers()) assert.deepEqual(schedGetAffinity(threadId), before);
  return undefined;
});

/** Loaded without import(), which reads files through the pool. */
const LATE_POOL = `
  const { readdirSync, stat } = require('node:fs');
  const cpu = require(process.argv[1]);
  const tasks = () => readdirSync('/proc/self/task').map(Number);
  const maskOf = (tid) => cpu.threads().find((thread) => thread.threadId === tid).cpus;
  const confinement = cpu.confineHelperThreads([Number(process.argv[2])], { sweepMs: 0 });
  const old = new Set(tasks());
  stat('/proc/self', () => {
    const born = tasks().filter((tid) => !old.has(tid));
    const before = born.map(maskOf);
    const changed = confinement.sweep();
    const after = born.map(maskOf);
    confinement.stop();
    process.stdout.write(JSON.stringify({ before, changed, after, end: born.map(maskOf) }));
  });`;

test("libuv's pool, born at its first use, is caught by the next sweep", needsAddon, (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const door = fileURLToPath(new URL('./index.js', import.meta.url));
  const child = spawnSync(process.execPath, ['-e', LATE_POOL, door, `${first}`], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '4' },
  });
  assert.equal(child.status, 0, child.stderr);
  const found = JSON.parse(child.stdout) as {
    readonly before: readonly number[][];
    readonly changed: number;
    readonly after: readonly number[][];
    readonly end: readonly number[][];
  };
  const four = (mask: readonly number[]) => [mask, mask, mask, mask];
  assert.deepEqual(found.before, four(usable), 'inherited from the main thread');
  assert.equal(found.changed, 4);
  assert.deepEqual(found.after, four([first]));
  assert.deepEqual(found.end, four(usable));
  return undefined;
});

/** As auto does it: the main thread goes to the CPUs of the helpers, then comes back. */
const LATE_OF_PINNED = `
  const { readdirSync, stat } = require('node:fs');
  const cpu = require(process.argv[1]);
  const tasks = () => readdirSync('/proc/self/task').map(Number);
  const maskOf = (tid) => cpu.threads().find((thread) => thread.threadId === tid).cpus;
  const target = [Number(process.argv[2])];
  const confinement = cpu.confineHelperThreads(target, { sweepMs: 0 });
  const main = cpu.pin('self', target);
  const old = new Set(tasks());
  stat('/proc/self', () => {
    const born = tasks().filter((tid) => !old.has(tid));
    const before = born.map(maskOf);
    const changed = confinement.sweep();
    cpu.release(main);
    confinement.stop();
    process.stdout.write(JSON.stringify({ before, changed, end: born.map(maskOf) }));
  });`;

test('a helper born of a pinned main thread does not keep that mask', needsAddon, (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const door = fileURLToPath(new URL('./index.js', import.meta.url));
  const child = spawnSync(process.execPath, ['-e', LATE_OF_PINNED, door, `${first}`], {
    encoding: 'utf8',
    env: { ...process.env, UV_THREADPOOL_SIZE: '2' },
  });
  assert.equal(child.status, 0, child.stderr);
  const found = JSON.parse(child.stdout) as unknown;
  const before = [[first], [first]];
  assert.deepEqual(found, { before, changed: 0, end: [usable, usable] });
  return undefined;
});

test('a worker swept before it registered gets its mask back', needsAddon, async (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const late = await worker(null);
  const confinement = confine([last]);
  await registerLate(late, 'late');
  const tid = threadIdOf(late);
  assert.deepEqual(schedGetAffinity(tid), [last]);
  confinement.sweep();
  assert.deepEqual(schedGetAffinity(tid), usable);
  return undefined;
});

test('stop leaves a helper whose mask somebody else has set', needsAddon, (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  const confinement = confine([last]);
  const { threadId } = helpers()[0]!;
  schedSetAffinity(threadId, [first]);
  confinement.stop();
  assert.deepEqual(schedGetAffinity(threadId), [first]);
  schedSetAffinity(threadId, usable);
  return undefined;
});

test('a refusal is counted, and the others go on', needsAddon, (context) => {
  if (usable.length < 2) return context.skip('needs two CPUs');
  let fault = failCall({ call: 'schedSetAffinity', nth: 1, errno: EPERM });
  const confinement = confine([last]);
  fault.restore();
  fault = failCall({ call: 'schedSetAffinity', nth: 1, errno: EPERM });
  confinement.sweep();
  fault.restore();
  assert.equal(confinement.refused, 1, 'each thread once');
  assert.ok(confinement.changed >= 2);
  assert.equal(confinement.sweep(), 1);
  return undefined;
});

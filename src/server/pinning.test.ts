/**
 * Pinning with an advice, threads and a machine of the test; the masks are the kernel's own.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import { SharedWasmMemory } from '../toolkit/base/webassembly.ts';
import {
  type Advice,
  pin,
  type ThreadInfo,
  threadIdOf,
  threads,
  topology,
} from '../toolkit/cpu/index.ts';
import { startWorker } from '../toolkit/cpu/workers.test-data.ts';
import {
  addonSkipReason,
  EPERM,
  failCall,
  native,
  schedGetAffinity,
} from '../toolkit/sys/index.ts';
import { type ConfigInput, makeConfig } from './config.ts';
import { makeLog } from './log.ts';
import { Pinning, type PinningOptions } from './pinning.ts';
import { makePlan } from './plan.ts';

const skip = addonSkipReason() ?? (topology().usable.length < 2 && 'needs two CPUs');
const { usable } = topology();
const first = usable[0]!;
const last = usable.at(-1)!;
const started: Worker[] = [];
const running: Pinning[] = [];

afterEach(async () => {
  for (const pinning of running.splice(0)) pinning.stop();
  await Promise.all(started.splice(0).map((worker) => worker.terminate()));
});

const PLACED: Advice = {
  shouldPin: true,
  reasons: [],
  placements: [
    { name: 'collect-0', cpus: [last], isAlone: true },
    { name: 'journal-0', cpus: [first], isAlone: false },
    { name: 'keeper-0', cpus: [first], isAlone: false },
    { name: 'store-0', cpus: [first], isAlone: false },
  ],
  otherCpus: [first],
  audit: null,
  tunings: [],
  texts: [],
};

type Pin = NonNullable<ConfigInput['cpu']>['pin'];

/** A pinning over real threads under the names of the workers. */
async function begin(
  wish: Pin,
  options: PinningOptions,
): Promise<{ pinning: Pinning; worker: Worker }> {
  const config = makeConfig({ cpu: { pin: wish } });
  const plan = makePlan(config);
  const pinning = new Pinning(config, plan, makeLog('fatal'), { lookMs: 5, ...options });
  running.push(pinning);
  for (const planned of plan.workers) {
    started.push(await startWorker(`${planned.role}-${planned.index}`));
    pinning.workerStarted(planned, started.at(-1)!);
  }
  pinning.started();
  return { pinning, worker: started.at(-plan.workers.length)! };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; !condition(); i++) {
    assert.ok(i < 2_000, 'not reached');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const maskOf = (worker: Worker): readonly number[] => schedGetAffinity(threadIdOf(worker));

/** The threads as they are, those of `worker` changed. */
function changed(worker: () => Worker | undefined, change: (thread: ThreadInfo) => ThreadInfo) {
  return (): readonly ThreadInfo[] => {
    const target = worker();
    const tid = target === undefined ? -1 : threadIdOf(target);
    return threads().map((thread) => (thread.threadId === tid ? change(thread) : thread));
  };
}

test('auto pins as advised: workers, helpers, the main thread; stop gives all back', {
  skip,
}, async () => {
  const before = schedGetAffinity();
  const { pinning, worker } = await begin('auto', { advise: () => Promise.resolve(PLACED) });
  await until(() => pinning.status().state === 'pinned');
  assert.deepEqual(maskOf(worker), [last]);
  assert.deepEqual(schedGetAffinity(), [first]);
  for (const thread of threads()) {
    if (thread.kind === 'helper') assert.deepEqual(thread.cpus, [first]);
  }
  assert.equal(pinning.status().pins, 5);
  pinning.stop();
  for (const thread of threads()) assert.deepEqual(thread.cpus, before, thread.role);
});

test('auto does not pin when advised not to, or when watching fails', { skip }, async () => {
  const before = schedGetAffinity();
  const no = { ...PLACED, shouldPin: false, reasons: ['other tasks used 40.0 % of CPU 1'] };
  const { pinning, worker } = await begin('auto', { advise: () => Promise.resolve(no) });
  await until(() => pinning.status().state === 'notPinned');
  assert.deepEqual(pinning.status().reasons, no.reasons);
  assert.equal(pinning.status().fallbacks.shared, 1);
  assert.deepEqual(maskOf(worker), before);
  const failing = await begin('auto', { advise: () => Promise.reject(new Error('no /proc')) });
  await until(() => failing.pinning.status().state === 'notPinned');
  assert.match(failing.pinning.status().reasons[0]!, /no \/proc/);
  assert.equal(failing.pinning.status().fallbacks.error, 1);
});

test('auto does not pin where waiting cannot be seen', { skip }, async () => {
  const blind = () => threads().map((thread) => ({ ...thread, waitedMs: null }));
  const { pinning } = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    threads: blind,
  });
  await until(() => pinning.status().state === 'notPinned');
  assert.match(pinning.status().reasons.join(), /schedstat/);
});

test('auto lets all go when a worker waits for the CPU of its own', { skip }, async () => {
  const before = schedGetAffinity();
  let nowMs = 0;
  const found = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    nowMs: () => nowMs,
    threads: changed(
      () => started[0],
      (thread) => ({ ...thread, waitedMs: nowMs * 0.06 }),
    ),
  });
  const { pinning, worker } = found;
  await until(() => pinning.status().state === 'pinned');
  nowMs = 1;
  await new Promise((resolve) => setTimeout(resolve, 50));
  nowMs = 9_000;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(pinning.status().state, 'pinned', 'not before a window is full');
  nowMs = 20_000;
  await until(() => pinning.status().state === 'letGo');
  assert.match(pinning.status().reasons[0]!, /collect-0 waited 6\.0 % of 10 s for CPU/);
  assert.equal(pinning.status().fallbacks.waiting, 1);
  assert.deepEqual(maskOf(worker), before);
  assert.deepEqual(schedGetAffinity(), before);
  assert.ok(pinning.status().threads.every(({ cpus }) => cpus === ''));
});

test('a worker that started again is let go to all CPUs, not to those of the main thread', {
  skip,
}, async () => {
  const before = schedGetAffinity();
  const { pinning } = await begin('auto', { advise: () => Promise.resolve(PLACED) });
  await until(() => pinning.status().state === 'pinned');
  const again = await startWorker('collect-0');
  started.push(again);
  assert.deepEqual(maskOf(again), [first], 'inherited');
  pinning.workerStarted({ role: 'collect', index: 0, loop: 'blocking', purpose: '' }, again);
  assert.deepEqual(maskOf(again), [last]);
  pinning.stop();
  assert.deepEqual(maskOf(again), before);
});

test('a worker that shares its CPUs by the plan may wait', { skip }, async () => {
  let nowMs = 1;
  const { pinning } = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    nowMs: () => nowMs,
    threads: changed(
      () => started[1],
      (thread) => ({ ...thread, waitedMs: nowMs * 0.5 }),
    ),
  });
  await until(() => pinning.status().state === 'pinned');
  await new Promise((resolve) => setTimeout(resolve, 50));
  nowMs = 20_000;
  const waitOf = () => pinning.status().threads.find(({ name }) => name === 'journal-0')!;
  await until(() => waitOf().waitFraction !== null);
  assert.equal(pinning.status().state, 'pinned');
  assert.ok(Math.abs(waitOf().waitFraction! - 0.5) < 0.01);
});

test('a mask that somebody else has set is left alone, also at the end', { skip }, async () => {
  const { pinning, worker } = await begin({ collect: last }, {});
  assert.deepEqual(maskOf(worker), [last]);
  pin(worker, [first]);
  await until(() => pinning.status().fallbacks.changed === 1);
  pinning.stop();
  assert.deepEqual(maskOf(worker), [first]);
});

/** The machine without its last CPU. */
function withoutLast(kind: 'offline' | 'outside') {
  const machine = topology();
  const rest = usable.slice(0, -1);
  return { ...machine, usable: rest, online: kind === 'offline' ? rest : machine.online };
}

test('a CPU that goes away is counted, and used again when it is back', { skip }, async () => {
  for (const kind of ['offline', 'outside'] as const) {
    let machine = topology();
    let isGone = false;
    const { pinning, worker } = await begin(
      { collect: last },
      {
        topology: () => machine,
        threads: () => {
          const tid = threadIdOf(started.at(-4)!);
          // The kernel runs the thread elsewhere.
          return threads().map((thread) =>
            isGone && thread.threadId === tid ? { ...thread, cpus: usable.slice(0, -1) } : thread,
          );
        },
      },
    );
    isGone = true;
    machine = withoutLast(kind);
    await until(() => pinning.status().fallbacks[kind] === 1);
    assert.equal(pinning.status().threads[0]!.cpus, '', 'it is not there');
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.equal(pinning.status().fallbacks[kind], 1, 'counted once');
    isGone = false;
    machine = topology();
    await until(() => pinning.status().pins === 2);
    assert.deepEqual(maskOf(worker), [last]);
    assert.equal(pinning.status().threads[0]!.cpus, `${last}`);
    pinning.stop();
    assert.deepEqual(maskOf(worker), usable, 'what it had at first');
  }
});

test('auto gives up when one of its CPUs goes away', { skip }, async () => {
  let machine = topology();
  let isGone = false;
  const { pinning } = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    topology: () => machine,
    threads: changed(
      () => started[0],
      (thread) => (isGone ? { ...thread, cpus: usable.slice(0, -1) } : thread),
    ),
  });
  await until(() => pinning.status().state === 'pinned');
  machine = withoutLast('offline');
  isGone = true;
  await until(() => pinning.status().state === 'letGo');
  assert.match(pinning.status().reasons[0]!, /CPU \d+ of collect-0 went offline/);
});

test('auto goes on when a CPU of all the others goes away', { skip }, async () => {
  let machine = topology();
  let isGone = false;
  const { pinning } = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    topology: () => machine,
    threads: changed(
      () => started[1],
      (thread) => (isGone ? { ...thread, cpus: usable.slice(1) } : thread),
    ),
  });
  await until(() => pinning.status().state === 'pinned');
  machine = { ...machine, usable: usable.slice(1), online: usable.slice(1) };
  isGone = true;
  await until(() => pinning.status().fallbacks.offline === 1);
  assert.equal(pinning.status().state, 'pinned');
});

test('the arena is near the workers with CPUs of their own, wherever the others are', {
  skip,
}, async (t) => {
  const addon = native();
  const genuine = addon.mbind.bind(addon);
  t.after(() => {
    addon.mbind = genuine;
  });
  const masks: number[] = [];
  addon.mbind = (_bytes, _offset, _length, _mode, mask) => {
    masks.push(mask[0]!);
    return 0;
  };
  const machine = topology();
  const nodeOf = (cpu: number): number => (cpu === last ? 1 : 0);
  const twoNodes = {
    ...machine,
    cpus: machine.cpus.map((cpu) => ({ ...cpu, node: nodeOf(cpu.cpuIndex) })),
    nodes: [0, 1].map((node) => ({
      node,
      cpus: usable.filter((cpu) => nodeOf(cpu) === node),
      memoryBytes: 1,
      distances: [10, 20],
    })),
    limits: { ...machine.limits, memoryNodes: [0, 1] },
  };
  const { pinning } = await begin('auto', {
    advise: () => Promise.resolve(PLACED),
    topology: () => twoNodes,
  });
  await until(() => pinning.status().state === 'pinned');
  const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
  pinning.placeArena(new Uint8Array(memory.buffer));
  assert.equal(pinning.status().memory, 'node 1 is preferred');
  assert.deepEqual(masks, [2]);
});

test('a helper that the kernel refuses to move is counted', { skip }, async () => {
  const fault = failCall({ call: 'schedSetAffinity', nth: 1, errno: EPERM });
  const { pinning } = await begin({ helpers: first }, {});
  fault.restore();
  assert.equal(pinning.status().fallbacks.refused, 1);
  pinning.stop();
  assert.equal(pinning.status().fallbacks.refused, 1, 'also after the end');
});

test('no permission: fatal at the start, counted at a restart', { skip }, async () => {
  const config = makeConfig({ cpu: { pin: { collect: last } } });
  const plan = makePlan(config);
  const refuse = () => failCall({ call: 'schedSetAffinity', nth: 1, errno: EPERM });
  const pinning = new Pinning(config, plan, makeLog('fatal'));
  running.push(pinning);
  const worker = await startWorker('collect-0');
  started.push(worker);
  let fault = refuse();
  assert.throws(() => pinning.workerStarted(plan.workers[0]!, worker), { code: 'MR_CPU' });
  fault.restore();
  pinning.workerStarted(plan.workers[0]!, worker);
  pinning.started();
  fault = refuse();
  pinning.workerStarted(plan.workers[0]!, worker);
  fault.restore();
  assert.equal(pinning.status().fallbacks.permission, 1);
  assert.equal(pinning.status().threads[0]!.cpus, '');
});

test('a worker without an entry does not get the mask of a pinned main thread', {
  skip,
}, async () => {
  const { pinning } = await begin({ main: first }, {});
  assert.deepEqual(schedGetAffinity(), [first]);
  const again = await startWorker('store-0');
  started.push(again);
  assert.deepEqual(maskOf(again), [first], 'inherited');
  pinning.workerStarted({ role: 'store', index: 0, loop: 'event loop', purpose: '' }, again);
  assert.deepEqual(maskOf(again), usable);
});

/**
 * Example: two workers over an SPSC ring, each on a CPU of its own; on a machine with one CPU they
 * run unpinned, and it says so. With a quiet machine compare: node dist/examples/pinned-pair.js
 * --free leaves the placing to the kernel.
 *
 * The pair is placed by `place`: two cores that share an L3 cache where there are such, and the
 * main thread and the helper threads elsewhere, if that leaves a core.
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  CpuError,
  confineHelperThreads,
  formatCpuList,
  pin,
  place,
  registerThread,
  release,
  threads,
  topology,
} from '../src/toolkit/cpu/index.ts';
import { SpscRing, type SpscRingHandle } from '../src/toolkit/ring/index.ts';

const ITEMS = 2_000_000;
const BATCH = 64;
const IDLE_TURNS = 1_000;

interface Job {
  readonly role: 'writer' | 'reader';
  readonly ring: SpscRingHandle;
}

const pillow = new Int32Array(new SharedArrayBuffer(4));
let idleTurns = 0;

/** Looks again at once for a while, then sleeps: the other side may be on the same CPU. */
function progress(count: number): number {
  if (count > 0) idleTurns = 0;
  else if (++idleTurns > IDLE_TURNS) Atomics.wait(pillow, 0, 0, 0.05);
  return count;
}

function write(handle: SpscRingHandle): void {
  const ring = SpscRing.producer(handle);
  const items = new Int32Array(BATCH);
  for (let sent = 0; sent < ITEMS; ) {
    const count = Math.min(BATCH, ITEMS - sent);
    for (let i = 0; i < count; i++) items[i] = sent + i;
    let done = 0;
    while (done < count) done += progress(ring.pushBatch(items, done, count));
    sent += count;
  }
  ring.flush();
}

/** The sum of what arrived: 0 + 1 + ... when every item came once. */
function read(handle: SpscRingHandle): number {
  const ring = SpscRing.consumer(handle);
  const items = new Int32Array(BATCH);
  let sum = 0;
  for (let got = 0; got < ITEMS; ) {
    const count = progress(ring.popBatch(items, 0, BATCH));
    for (let i = 0; i < count; i++) sum += items[i]!;
    got += count;
  }
  return sum;
}

async function work({ role, ring }: Job): Promise<void> {
  // Before this, nobody knows which thread this worker is.
  registerThread(role);
  parentPort!.postMessage('ready');
  await once(parentPort!, 'message');
  const sum = role === 'writer' ? write(ring) : read(ring);
  parentPort!.postMessage(sum ?? 0);
  // A thread that has ended has no figures any more.
  await once(parentPort!, 'message');
  parentPort!.close();
}

/** Where the two go: a core each, or why not. */
function placesOfTwo(): { readonly cpus: readonly number[]; readonly reason: string } {
  if (process.argv.includes('--free')) return { cpus: [], reason: 'asked for by --free' };
  const machine = topology();
  const both = ['writer', 'reader'].map((name) => ({ name, isBusy: true }));
  const { placements, problem } = place(both, machine);
  if (problem === '') return { cpus: placements.map(({ cpus }) => cpus[0]!), reason: '' };
  // No core remains for the others: a demonstration may take the last two, a server should not.
  const allowed = machine.usable.filter((cpu) => machine.limits.affinity.includes(cpu));
  if (allowed.length >= 2) return { cpus: allowed.slice(-2), reason: '' };
  return { cpus: [], reason: problem };
}

async function main(): Promise<void> {
  const ring = SpscRing.create({ capacity: 4096 }).handle;
  const url = new URL(import.meta.url);
  const pair = (['writer', 'reader'] as const).map(
    (role) => new Worker(url, { workerData: { role, ring } satisfies Job }),
  );
  await Promise.all(pair.map(async (worker) => await once(worker, 'message')));
  const { cpus, reason } = placesOfTwo();
  const others = topology().usable.filter((cpu) => !cpus.includes(cpu));
  const isApart = cpus.length > 0 && others.length > 0;
  const helpers = isApart ? confineHelperThreads(others) : null;
  const pinned = cpus.map((cpu, index) => pin(pair[index]!, [cpu]));
  if (isApart) pinned.push(pin('self', others));
  if (reason === '') console.log(`writer on CPU ${cpus[0]}, reader on CPU ${cpus[1]}`);
  else console.log(`not pinned: ${reason}`);
  const startNs = process.hrtime.bigint();
  const answers = pair.map(async (worker) => await once(worker, 'message'));
  for (const worker of pair) worker.postMessage('go');
  const [, [sum]] = (await Promise.all(answers)) as [number[], number[]];
  const ms = Number(process.hrtime.bigint() - startNs) / 1e6;
  const isWhole = sum === (ITEMS * (ITEMS - 1)) / 2;
  console.log(
    `${ITEMS} items ${isWhole ? 'came once each' : 'DID NOT ARRIVE'}, in ${ms.toFixed(0)} ms`,
  );
  for (const { role, kind, cpus: allowed, waitedMs, migrations } of threads()) {
    if (kind !== 'worker') continue;
    const list = formatCpuList(allowed);
    console.log(`${role}: CPUs ${list}, waited ${waitedMs?.toFixed(1)} ms, ${migrations} moves`);
  }
  for (const one of pinned) release(one);
  for (const worker of pair) worker.postMessage('end');
  helpers?.stop();
  if (!isWhole) process.exitCode = 1;
}

if (!isMainThread) await work(workerData as Job);
else {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof CpuError)) throw error;
    console.log(`not pinned: ${error.message}; ${error.remedy}`);
    process.exitCode = 1;
  }
}

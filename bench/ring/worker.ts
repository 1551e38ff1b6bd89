/**
 * A thread of the JavaScript side: pinned, it does one part of one case whenever it is told to.
 */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { pin } from '../../src/toolkit/cpu/index.ts';
import { threadId } from '../../src/toolkit/sys/index.ts';
import { CASES } from './cases.ts';
import type { Seat, SectionOrder, SectionReport } from './section.ts';

const { name, index, cpu, barrier, isCrowded, data } = workerData as Seat;
const arrived = new Int32Array(barrier);

/** Of this thread, since it began. */
function involuntarySwitches(): number {
  const status = readFileSync('/proc/thread-self/status', 'latin1');
  return Number(/^nonvoluntary_ctxt_switches:\s*(\d+)/m.exec(status)?.[1] ?? 0);
}

/** Returns when all threads of the section are here. */
function meet(arrivals: number): void {
  Atomics.add(arrived, 0, 1);
  if (isCrowded) Atomics.notify(arrived, 0);
  for (let now = Atomics.load(arrived, 0); now < arrivals; now = Atomics.load(arrived, 0)) {
    if (isCrowded) Atomics.wait(arrived, 0, now);
  }
}

pin('self', [cpu]);
const run = CASES[name]!.start(index, data);

async function measure({ items, arrivals }: SectionOrder): Promise<SectionReport> {
  const before = involuntarySwitches();
  meet(arrivals);
  const started = process.hrtime.bigint();
  const result = run(items);
  const sum = typeof result === 'number' ? result : await result;
  const ended = process.hrtime.bigint();
  const switches = involuntarySwitches() - before;
  return { startedNs: Number(started), endedNs: Number(ended), switches, sum };
}

parentPort!.on('message', (order: SectionOrder) => {
  // An error ends this worker, and reaches the main thread as its `error` event.
  void measure(order).then((report) => parentPort!.postMessage(report));
});
parentPort!.postMessage(threadId());

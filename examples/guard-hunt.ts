/**
 * Example: a table that nobody may change changes now and then. Who writes into it?
 *
 * Three workers rate calls: they read tariffs and add to counters, both in one shared buffer. One
 * of them computes an index below its own counters. The first run shows the symptom, the second
 * the culprit: function, file and line.
 *
 * node dist/examples/guard-hunt.js             the symptom
 * node dist/examples/guard-hunt.js --guard     the culprit
 */
import { once } from 'node:events';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { culpritOf, protect, reports } from '../src/toolkit/guard/index.ts';

const WORKERS = 3;
const TARIFFS = 8_192;
const SUBSCRIBERS = 8_192;
const CALLS = 20_000;
const TARIFF = 0.5;

interface Job {
  readonly memory: SharedArrayBuffer;
  readonly worker: number;
}

/** Tariffs first, then the counters of each worker. */
function tariffsOf(memory: SharedArrayBuffer): Float64Array {
  return new Float64Array(memory, 0, TARIFFS);
}

function rate({ memory, worker }: Job): void {
  const tariffs = tariffsOf(memory);
  const all = new Float64Array(memory);
  const first = TARIFFS + worker * SUBSCRIBERS;
  const charge = (subscriber: number, amount: number): void => {
    all[first + subscriber] = all[first + subscriber]! + amount;
  };
  const refund = (call: number): void => {
    // The bug: one subscriber too few are wrapped.
    charge(call > 7_000 ? (call % SUBSCRIBERS) - SUBSCRIBERS : call, -TARIFF);
  };
  for (let call = 0; call < CALLS; call++) {
    charge(call % SUBSCRIBERS, tariffs[call % TARIFFS]!);
    if (worker === 0 && call % 1_111 === 0) refund(call);
  }
}

async function main(): Promise<void> {
  const memory = new SharedArrayBuffer((TARIFFS + WORKERS * SUBSCRIBERS) * 8);
  const tariffs = tariffsOf(memory).fill(TARIFF);
  const isGuarded = process.argv.includes('--guard');
  const guard = isGuarded
    ? protect(tariffs, { label: 'tariffs', mode: 'continue', once: true })
    : null;
  const workers = Array.from({ length: WORKERS }, (_, worker) => {
    const workerData: Job = { memory, worker };
    return new Worker(new URL(import.meta.url), { workerData });
  });
  await Promise.all(workers.map((worker) => once(worker, 'exit')));
  const wrong = [...tariffs.entries()].filter(([, tariff]) => tariff !== TARIFF);
  for (const [index, tariff] of wrong) console.log(`tariff ${index} is ${tariff}, not ${TARIFF}`);
  for (const report of reports()) {
    const culprit = culpritOf(report);
    console.log(`written by ${culprit?.function} (${culprit?.file}:${culprit?.line})`);
  }
  guard?.end();
}

if (isMainThread) await main();
else rate(workerData as Job);

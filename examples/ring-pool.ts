/**
 * Example: a work pool over two MPMC rings: tasks from the main thread to any worker, results from
 * any worker to the main thread, whose event loop stays free while it waits.
 *
 * node dist/examples/ring-pool.js
 */
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import {
  type IdleHandle,
  IdleStrategy,
  MpmcRing,
  type MpmcRingHandle,
} from '../src/toolkit/ring/index.ts';

const WORKERS = 3;
/** A task: how many primes are there among so many numbers, from task * TASK_NUMBERS on? */
const TASKS = 400;
const TASK_NUMBERS = 500;
const WAIT_MS = 1_000;
const NO_TASK = -1;
const STOP = -2;

interface Job {
  readonly tasks: MpmcRingHandle;
  readonly results: MpmcRingHandle;
  readonly idle: IdleHandle;
  readonly main: IdleHandle;
}

function isPrime(number: number): boolean {
  for (let divisor = 2; divisor * divisor <= number; divisor++) {
    if (number % divisor === 0) return false;
  }
  return number > 1;
}

function countPrimes(task: number): number {
  let count = 0;
  const from = task * TASK_NUMBERS;
  for (let number = from; number < from + TASK_NUMBERS; number++) if (isPrime(number)) count++;
  return count;
}

function work({ tasks, results, idle, main }: Job): void {
  const tasksEnd = MpmcRing.member(tasks);
  const resultsEnd = MpmcRing.member(results);
  const sleeper = IdleStrategy.sleeper(idle);
  const collector = IdleStrategy.waker(main);
  for (;;) {
    const task = tasksEnd.tryPop(NO_TASK);
    if (task === STOP) break;
    if (task !== NO_TASK) {
      const count = countPrimes(task);
      while (!resultsEnd.tryPush(count)) sleeper.idle(0);
      collector.wake();
    }
    sleeper.idle(task === NO_TASK ? 0 : 1);
  }
  tasksEnd.close();
  resultsEnd.close();
}

async function main(): Promise<void> {
  const tasks = MpmcRing.create({ capacity: 64 });
  const results = MpmcRing.create({ capacity: 64 });
  const idle = IdleStrategy.create();
  // A sleeper has a strategy of its own: one wake-up is for one thread.
  const idles = Array.from({ length: WORKERS }, () => IdleStrategy.create({ yieldCount: 2 }));
  const wakers = idles.map(({ handle }) => IdleStrategy.waker(handle));
  for (const { handle } of idles) {
    const job = { tasks: tasks.handle, results: results.handle, idle: handle, main: idle.handle };
    new Worker(new URL(import.meta.url), { workerData: job satisfies Job });
  }
  const [taskEnd, resultEnd] = [MpmcRing.member(tasks.handle), MpmcRing.member(results.handle)];
  const sleeper = IdleStrategy.sleeper(idle.handle);
  let [sent, done, primes, waits] = [0, 0, 0, 0];
  while (done < TASKS) {
    while (sent < TASKS && taskEnd.tryPush(sent)) sent++;
    for (let count = resultEnd.tryPop(-1); count >= 0; count = resultEnd.tryPop(-1)) {
      primes += count;
      done++;
    }
    // There are tasks, and there is room for results.
    for (const waker of wakers) waker.wake();
    if (done === TASKS) break;
    await sleeper.waitAsync(WAIT_MS, () => results.used() > 0);
    waits++;
  }
  for (let i = 0; i < WORKERS; i++) while (!taskEnd.tryPush(STOP)) sleeper.doze(1);
  for (const waker of wakers) waker.wake();
  const below = TASKS * TASK_NUMBERS;
  console.log(`${primes} primes below ${below}: ${TASKS} tasks, ${WORKERS} workers;`);
  console.log(`  the main thread waited ${waits} times, with its event loop free`);
}

if (isMainThread) await main();
else work(workerData as Job);

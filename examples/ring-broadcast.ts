/**
 * Example: a broadcast to two readers. One keeps up; the other goes away until the writer, who
 * never waits, has overtaken it: it learns that it was evicted and where, and joins again.
 *
 * node dist/examples/ring-broadcast.js
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import {
  BroadcastRing,
  type BroadcastRingHandle,
  IdleStrategy,
  READ_EVICTED,
  READ_OK,
} from '../src/toolkit/ring/index.ts';

const ITEMS = 20_000;
const CAPACITY = 1024;
/** The writer writes so many, then lets a millisecond go by. */
const BURST = 200;
const AWAY_AT = [2_000, 9_000];

interface Job {
  readonly name: string;
  readonly ring: BroadcastRingHandle;
  readonly index: number;
  readonly isSlow: boolean;
}

interface Report {
  readonly seen: number;
  readonly missed: number;
  readonly story: readonly string[];
}

function read({ ring, index, isSlow }: Job): Report {
  const reader = BroadcastRing.reader(ring, index);
  // The writer wakes nobody: its readers look again, less and less often.
  const sleeper = IdleStrategy.sleeper(IdleStrategy.create({ kind: 'backoff' }).handle);
  const story: string[] = [];
  const away = isSlow ? [...AWAY_AT] : [];
  let [seen, missed, isBack] = [0, 0, false];
  reader.join();
  for (;;) {
    const isOver = reader.isPeerGone();
    const answer = reader.tryRead();
    sleeper.idle(answer === READ_OK ? 1 : 0);
    if (answer === READ_OK) {
      seen++;
      if (isBack) {
        missed += reader.missedCount;
        story.push(`evicted at ${reader.lostSeq}, back ${reader.missedCount} items later`);
        isBack = false;
      }
      if (away.length === 0 || reader.slot[0]! < away[0]!) continue;
      away.shift();
      reader.finish();
      while (reader.joined) sleeper.doze(1);
    } else if (answer === READ_EVICTED && !isOver) {
      reader.join();
      isBack = true;
    } else if (isOver) return { seen, missed, story };
  }
}

async function main(): Promise<void> {
  const ring = BroadcastRing.create({ capacity: CAPACITY, readerCount: 2 });
  const writer = BroadcastRing.writer(ring.handle);
  const jobs: Job[] = [
    { name: 'quick', ring: ring.handle, index: 0, isSlow: false },
    { name: 'slow', ring: ring.handle, index: 1, isSlow: true },
  ];
  const reports = jobs.map(async (job) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: job });
    return ((await once(worker, 'message')) as [Report])[0];
  });
  /** The writer looks after its readers in each poll: who asks for a place gets it. */
  const settled = async (): Promise<void> => {
    while (!jobs.every(({ index }) => ring.readerPlace(index) === 'joined' && !ring.lag(index))) {
      writer.poll();
      await sleep(1);
    }
  };
  await settled();
  const item = new Int32Array(1);
  for (let number = 0; number < ITEMS; number++) {
    // Before the last item all are back, so that each learns what it has missed.
    if (number === ITEMS - 1) await settled();
    item[0] = number;
    writer.push(item);
    if (number % BURST !== 0) continue;
    writer.poll();
    await sleep(1);
  }
  await settled();
  writer.close();
  for (const [index, { seen, missed, story }] of (await Promise.all(reports)).entries()) {
    const { name } = jobs[index]!;
    console.log(`${name}: read ${seen}, missed ${missed} of ${ITEMS} items`);
    for (const line of story) console.log(`  ${line}`);
    if (seen + missed !== ITEMS) process.exitCode = 1;
  }
}

if (isMainThread) await main();
else parentPort!.postMessage(read(workerData as Job));

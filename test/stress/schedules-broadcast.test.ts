import { test } from 'node:test';
import {
  BROADCAST,
  type BroadcastCase,
  broadcast,
  readerDies,
  writerDies,
} from '../schedule/broadcast-scenarios.ts';
import { explore, exploreDeaths } from '../schedule/explore.ts';
import { loadKernels } from '../schedule/rewrite.ts';
import { records, SEQLOCK, writerDies as seqlockDies } from '../schedule/seqlock-scenarios.ts';
import { assertHolds } from '../schedule/verdict.ts';

const kernels = await loadKernels(BROADCAST);
const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

test('BroadcastRing, all schedules of larger cases', (t) => {
  const cases: readonly BroadcastCase[] = [
    { capacity: 2, items: 3, readers: 1 },
    { capacity: 2, items: 3, readers: 1, pages: 1 },
  ];
  for (const spec of cases) assertHolds(t, explore(broadcast(kernels, spec)));
});

test('BroadcastRing, all schedules of the deaths of a reader', (t) => {
  const spec = { capacity: 1, items: 2, readers: 1 };
  assertHolds(t, exploreDeaths(readerDies(kernels, spec), [1]));
});

test('BroadcastRing, schedules by chance of long runs', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = { runs: 3000, seed: SEED };
  const cases: readonly BroadcastCase[] = [
    { capacity: 4, items: 20, readers: 3, rejoins: true, startSeq: -10 },
    { capacity: 4, items: 20, readers: 2, pages: 2, rejoins: true, joinsLate: true },
  ];
  for (const spec of cases) assertHolds(t, explore(broadcast(kernels, spec), { random }));
  const dying = { capacity: 2, items: 4, readers: 1 };
  const few = { random: { runs: 50, seed: SEED } };
  assertHolds(t, exploreDeaths(writerDies(kernels, dying), [0], few));
});

test('SeqlockCell, all schedules of larger cases', async (t) => {
  const seqlock = await loadKernels(SEQLOCK);
  assertHolds(t, explore(records(seqlock, { records: 2, reads: [1, 2] })));
  assertHolds(t, exploreDeaths(seqlockDies(seqlock, 2), [0]));
});

import { test } from 'node:test';
import { explore, exploreDeaths } from '../schedule/explore.ts';
import {
  bothDie,
  crowd,
  MPMC,
  type MpmcCase,
  popperDies,
  pusherDies,
} from '../schedule/mpmc-scenarios.ts';
import { loadKernels } from '../schedule/rewrite.ts';
import { assertHolds } from '../schedule/verdict.ts';

const kernels = await loadKernels(MPMC);
const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

test('MpmcRing, all schedules of larger cases', (t) => {
  const cases: readonly MpmcCase[] = [
    {
      filled: 2,
      pushers: [
        [3, 5],
        [6, 7],
      ],
      poppers: [4],
      batch: 3,
      startSeq: -3,
    },
    {
      pushers: [
        [1, 2],
        [3, 4],
      ],
      poppers: [2, 2],
      batch: 2,
    },
  ];
  for (const spec of cases) assertHolds(t, explore(crowd(kernels, spec)));
});

test('MpmcRing, all schedules of all deaths', (t) => {
  const pushers = [
    [1, 1],
    [11, 11],
  ] as const;
  assertHolds(t, exploreDeaths(pusherDies(kernels, { pushers, poppers: [1] }), [0]));
  const full: MpmcCase = { filled: 4, pushers: [[5, 5]], poppers: [1, 1] };
  assertHolds(t, exploreDeaths(popperDies(kernels, full), [0]));
  const batches: MpmcCase = { ...full, poppers: [2, 1], batch: 2 };
  assertHolds(t, exploreDeaths(popperDies(kernels, batches), [0]));
  assertHolds(t, exploreDeaths(bothDie(kernels, { pushers, poppers: [] }), [0, 1]));
});

test('MpmcRing, schedules by chance of long runs', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = { runs: 3000, seed: SEED };
  for (const batch of [1, 2, 4]) {
    const pushers = [
      [1, 10],
      [11, 20],
      [21, 30],
    ] as const;
    const spec = { pushers, poppers: [10, 9, 11], batch, startSeq: -15 };
    assertHolds(t, explore(crowd(kernels, spec), { random }));
  }
});

import { test } from 'node:test';
import { explore, exploreDeaths } from '../schedule/explore.ts';
import { loadKernels } from '../schedule/rewrite.ts';
import {
  batches,
  consumerDies,
  messages,
  producerDies,
  SPSC_MODULES,
  SPSC_SHARED,
  singles,
} from '../schedule/spsc-scenarios.ts';
import { assertHolds } from '../schedule/verdict.ts';

const kernels = await loadKernels({ modules: SPSC_MODULES, shared: SPSC_SHARED });
const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

test('SpscRing, all schedules of larger cases', (t) => {
  assertHolds(t, explore(singles(kernels, { capacity: 2, items: 6 })));
  assertHolds(t, explore(singles(kernels, { capacity: 4, items: 6, startSeq: -2 })));
  const lazy = { capacity: 4, items: 9, publishEvery: 3, creditEvery: 2 };
  assertHolds(t, explore(batches(kernels, lazy, 3)));
});

test('SpscRing, deaths in larger cases', (t) => {
  const lazy = { capacity: 2, items: 3, publishEvery: 2, creditEvery: 2 };
  assertHolds(t, exploreDeaths(producerDies(kernels, lazy), [0]));
  assertHolds(t, exploreDeaths(consumerDies(kernels, { ...lazy, items: 4 }), [0]));
});

test('SpscByteRing, all schedules of larger cases', (t) => {
  const small = { capacity: 32, items: 0 };
  assertHolds(t, explore(messages(kernels, small, [0, 4, 8, 4, 0])));
  const lazy = { capacity: 64, items: 0, publishEvery: 24, creditEvery: 32 };
  assertHolds(t, explore(messages(kernels, lazy, [12, 20, 4, 24, 8])));
});

test('SPSC rings, schedules by chance of long runs', (t) => {
  const random = { runs: 5000, seed: SEED };
  t.diagnostic(`seed ${SEED}`);
  const spec = { capacity: 4, items: 40, publishEvery: 3, creditEvery: 2, startSeq: -20 };
  assertHolds(t, explore(singles(kernels, spec), { random }));
  const lengths = Array.from({ length: 24 }, (_, i) => ((i * 7) % 7) * 4);
  const bytes = { capacity: 64, items: 0, publishEvery: 20, startSeq: -64 };
  assertHolds(t, explore(messages(kernels, bytes, lengths), { random }));
});

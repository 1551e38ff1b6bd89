import { test } from 'node:test';
import { explore, exploreDeaths } from './explore.ts';
import type { Mutation } from './mutate.ts';
import { loadKernels } from './rewrite.ts';
import {
  COUNTERS,
  counting,
  records,
  SEQLOCK,
  type SeqlockCase,
  writerDies,
} from './seqlock-scenarios.ts';
import { assertFound, assertHolds } from './verdict.ts';

const kernels = await loadKernels(SEQLOCK);

const CASES: readonly SeqlockCase[] = [
  { records: 3, reads: [2] },
  { records: 1, reads: [1, 1] },
  { records: 3, reads: [2], startVersion: 0x7ffffffe },
  { records: 3, reads: [2], startVersion: -4 },
];

for (const spec of CASES) {
  test(`SeqlockCell: ${JSON.stringify(spec)}`, (t) => {
    assertHolds(t, explore(records(kernels, spec)));
  });
}

test('SeqlockCell: the writer dies at any step, another one goes on', (t) => {
  assertHolds(t, exploreDeaths(writerDies(kernels, 1), [0]));
});

const SEEDS: readonly (Omit<Mutation, 'module'> & { readonly found: RegExp })[] = [
  {
    name: 'the version is not odd while the record changes',
    from: 'Atomics.store(words, base, version | 1);',
    to: '',
    found: /torn|the version/,
  },
  {
    name: 'the version says "whole" before the last word is written',
    inside: 'seqlockWrite',
    from: `for (let index = 0; index < count; index++) {
      const value = values[from + index];
      Atomics.store(words, base + RECORD + index, value); } seqlockEnd(words, base);`,
    to: `seqlockEnd(words, base); for (let index = 0; index < count; index++) {
      const value = values[from + index];
      Atomics.store(words, base + RECORD + index, value); }`,
    found: /torn|the version/,
  },
  {
    name: 'the version is even again without having moved',
    from: '(version + 1) | 0',
    to: '(version - 1) | 0',
    found: /torn|the version/,
  },
  {
    name: 'a reader does not look whether the record is being written',
    from: 'if ((before & 1) !== 0) return SEQLOCK_BUSY;',
    to: '',
    found: /torn|the version/,
  },
  {
    name: 'a reader does not look at the version again',
    from: 'return before === after ? before : SEQLOCK_BUSY;',
    to: 'return before;',
    found: /torn/,
  },
  {
    name: 'a reader looks at the version again before it has copied',
    from: `for (let index = 0; index < count; index++) {
      const value = Atomics.load(words, base + RECORD + index); into[from + index] = value; }
      const after = Atomics.load(words, base);`,
    to: `const after = Atomics.load(words, base); for (let index = 0; index < count; index++) {
      const value = Atomics.load(words, base + RECORD + index); into[from + index] = value; }`,
    found: /torn/,
  },
  {
    name: 'the words of the record are stored plainly',
    inside: 'seqlockWrite',
    from: 'Atomics.store(words, base + RECORD + index, value);',
    to: 'words[base + RECORD + index] = value;',
    found: /^race/,
  },
  {
    name: 'the words of the record are loaded plainly',
    inside: 'seqlockRead',
    from: 'Atomics.load(words, base + RECORD + index)',
    to: 'words[base + RECORD + index]',
    found: /^race/,
  },
];

for (const seed of SEEDS) {
  test(`planted in seqlock-kernel: ${seed.name}`, async (t) => {
    const mutation = { ...seed, module: 'seqlock-kernel' };
    const seeded = await loadKernels({ ...SEQLOCK, mutation });
    assertFound(t, explore(records(seeded, { records: 2, reads: [2] })), seed.found);
  });
}

test('planted in seqlock-kernel: odd becomes even after a death', async (t) => {
  const mutation = {
    name: 'begin adds one',
    module: 'seqlock-kernel',
    from: 'version | 1',
    to: '(version + 1) | 0',
  };
  const seeded = await loadKernels({ ...SEQLOCK, mutation });
  assertFound(t, exploreDeaths(writerDies(seeded, 1), [0]), /torn|whole in the end/);
});

test('Counters: what belongs together is published together, by who buries as well', async (t) => {
  const counters = await loadKernels(COUNTERS);
  assertHolds(t, explore(counting(counters, 2, 2)));
  const random = { runs: 40, seed: 1 };
  assertHolds(t, exploreDeaths(counting(counters, 2, 1, true), [0], { random }));
});

interface CounterSeed extends Omit<Mutation, 'module'> {
  readonly found: RegExp;
  readonly dies?: boolean;
}

const COUNTER_SEEDS: readonly CounterSeed[] = [
  {
    name: 'published words are changed before the version is odd',
    from: 'if (!isOpen) seqlockBegin(words, base);',
    to: '',
    found: /torn|whole in the end/,
  },
  {
    name: 'a copy that was left open is not closed',
    from: 'let isOpen = (words[base] & 1) !== 0;',
    to: 'let isOpen = false;',
    dies: true,
    found: /whole in the end/,
  },
  {
    name: 'each word is a record of its own',
    from: 'seqlockPut(words, base, index, value);',
    to: 'seqlockPut(words, base, index, value); seqlockEnd(words, base); isOpen = false;',
    found: /torn/,
  },
];

for (const seed of COUNTER_SEEDS) {
  test(`planted in counters-kernel: ${seed.name}`, async (t) => {
    const mutation = { ...seed, module: '../counters/counters-kernel' };
    const seeded = await loadKernels({ ...COUNTERS, mutation });
    const found =
      seed.dies === true
        ? exploreDeaths(counting(seeded, 2, 1, true), [0])
        : explore(counting(seeded, 2, 2));
    assertFound(t, found, seed.found);
  });
}

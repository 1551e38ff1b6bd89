import { test } from 'node:test';
import {
  BROADCAST,
  type BroadcastCase,
  broadcast,
  readerDies,
  writerDies,
} from './broadcast-scenarios.ts';
import { explore, exploreDeaths, type Findings } from './explore.ts';
import type { Mutation } from './mutate.ts';
import { type Kernels, loadKernels } from './rewrite.ts';
import { assertFound, assertHolds } from './verdict.ts';

const kernels = await loadKernels(BROADCAST);

/** The second slot passes from 2^31 - 1 to -2^31, or from -1 to 0. */
const AT_SIGN = 0x7fffffff;
const AT_ZERO = -1;

const FULL: readonly BroadcastCase[] = [
  { capacity: 1, items: 2, readers: 1, startSeq: AT_SIGN },
  { capacity: 1, items: 3, readers: 1, startSeq: AT_ZERO },
];

for (const spec of FULL) {
  test(`BroadcastRing, all schedules: ${JSON.stringify(spec)}`, (t) => {
    assertHolds(t, explore(broadcast(kernels, spec)));
  });
}

const BY_CHANCE: readonly BroadcastCase[] = [
  { capacity: 2, items: 6, readers: 2, startSeq: AT_SIGN },
  { capacity: 2, items: 5, readers: 2, rejoins: true, startSeq: AT_ZERO },
  { capacity: 4, items: 6, readers: 2, pages: 2, rejoins: true },
  { capacity: 2, items: 5, readers: 2, joinsLate: true, rejoins: true },
  { capacity: 2, items: 5, readers: 2, leaves: true },
];

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

for (const spec of BY_CHANCE) {
  test(`BroadcastRing, schedules by chance: ${JSON.stringify(spec)}`, (t) => {
    t.diagnostic(`seed ${SEED}`);
    assertHolds(t, explore(broadcast(kernels, spec), { random: { runs: 250, seed: SEED } }));
  });
}

const RANDOM = { random: { runs: 25, seed: SEED } };

test('BroadcastRing: a reader dies at any step', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const spec = { capacity: 1, items: 3, readers: 1 };
  assertHolds(t, exploreDeaths(readerDies(kernels, spec), [1], RANDOM));
});

test('BroadcastRing: the writer dies at any step, another one goes on', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const spec = { capacity: 1, items: 2, readers: 1 };
  assertHolds(t, exploreDeaths(writerDies(kernels, spec), [0], RANDOM));
});

type Find = (seeded: Kernels) => Findings;

interface Seed extends Omit<Mutation, 'module'> {
  readonly found?: RegExp;
  readonly in?: Find;
}

const inFull: Find = (seeded) => explore(broadcast(seeded, FULL[1]!));
const chances = { random: { runs: 3000, seed: 7 } };
const byChance: Find = (seeded) => explore(broadcast(seeded, BY_CHANCE[1]!), chances);
const whenLate: Find = (seeded) => explore(broadcast(seeded, BY_CHANCE[3]!), chances);
const inWriterDeath: Find = (seeded) =>
  exploreDeaths(writerDies(seeded, { capacity: 1, items: 2, readers: 1 }), [0], {
    random: { runs: 60, seed: 7 },
  });

const SEEDS: readonly Seed[] = [
  {
    name: 'claimSeq is not told',
    from: 'Atomics.store(words, CLAIM, (writeSeq + 1) | 0);',
    to: '',
  },
  {
    name: 'claimSeq is not looked at',
    from: 'const isWhole = (claimSeq - seq) >>> 0 <= words[CAPACITY];',
    to: 'const isWhole = true;',
  },
  {
    name: 'claimSeq is looked at for one slot too many',
    from: 'const isWhole = (claimSeq - seq) >>> 0 <= words[CAPACITY];',
    to: 'const isWhole = (claimSeq - seq) >>> 0 <= words[CAPACITY] + 1;',
  },
  {
    name: 'the words of a slot are stored plainly',
    inside: 'broadcastWriteSlot',
    from: 'Atomics.store(words, to + i, from[at + i]);',
    to: 'words[to + i] = from[at + i];',
    found: /^race/,
  },
  {
    name: 'published by a plain write',
    inside: 'broadcastPublish',
    from: 'Atomics.store(words, WRITE, (writeSeq + 1) | 0);',
    to: 'words[WRITE] = (writeSeq + 1) | 0;',
    found: /^race/,
  },
  {
    name: 'who reads is taken for passed',
    inside: 'broadcastPassed',
    from: 'state === READER_IDLE || state === READER_READING',
    to: 'state === READER_IDLE',
    found: /^race|the page/,
  },
  {
    name: 'what a lapped reader reads is not kept aside',
    inside: 'broadcastEvict',
    from: 'if (state === READER_READING) broadcastSetAside(words, reader, seq);',
    to: '',
    found: /^race|the page/,
  },
  {
    name: 'what is kept aside is released all the same',
    inside: 'broadcastTakePassed',
    from: 'if (!isAside) return',
    to: 'return',
    found: /^race|the page|released once/,
  },
  {
    name: 'what is kept aside is released while it is read',
    from: 'if ((word & STATE_MASK) === READER_LAPPED) continue;',
    to: '',
    found: /^race|the page|released once/,
  },
  {
    name: 'what was kept aside is never released',
    from: 'if (!isAside) return aside + ASIDE_SLOT;',
    to: '',
    found: /not released|waits for ever/,
  },
  {
    name: 'what was aside and is not passed yet is released twice',
    from: 'if (ahead < words[CAPACITY]) continue;',
    to: '',
    in: byChance,
    found: /released once|not released/,
  },
  {
    name: 'evicted by a store, not by compare-and-swap',
    inside: 'broadcastEvict',
    from: 'const seen = Atomics.compareExchange(words, line, word, to);',
    to: 'Atomics.store(words, line, to); const seen = word;',
  },
  {
    name: 'the place is kept although it was taken',
    inside: 'broadcastFinish',
    from: 'const seen = Atomics.compareExchange(words, line, reading, idle);',
    to: 'Atomics.store(words, line, idle); const seen = reading;',
  },
  {
    name: 'reading begins although the place was taken',
    inside: 'broadcastBegin',
    from: 'const seen = Atomics.compareExchange(words, line, word, reading);',
    to: 'Atomics.store(words, line, reading); const seen = word;',
  },
  {
    name: 'the holder of the oldest slot is not evicted',
    inside: 'broadcastEvict',
    from: 'seqDistance(seq, upTo) > 0',
    to: 'seqDistance(seq, upTo) >= 0',
    found: /eviction frees the oldest slot/,
  },
  {
    name: 'a reader is not told where it begins',
    from: 'words[line + READER_ADMITTED] = writeSeq;',
    to: '',
    in: whenLate,
  },
  {
    name: 'what a reader has missed is counted from where it begins',
    from: 'words[line + READER_MISSED] = (admittedSeq - lostSeq) | 0;',
    to: 'words[line + READER_MISSED] = 0;',
    in: whenLate,
    found: /what was missed was told/,
  },
  {
    name: 'a new writer does not keep aside what the dead one had to',
    inside: 'broadcastRecover',
    from: 'broadcastSetAside(words, reader, readerSeq(word));',
    to: '',
    in: inWriterDeath,
  },
];

for (const seed of SEEDS) {
  test(`planted in broadcast-kernel: ${seed.name}`, async (t) => {
    const mutation = { ...seed, module: 'broadcast-kernel' };
    const seeded = await loadKernels({ ...BROADCAST, mutation });
    assertFound(t, (seed.in ?? inFull)(seeded), seed.found ?? /./);
  });
}

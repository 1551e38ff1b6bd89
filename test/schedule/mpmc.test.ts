import { test } from 'node:test';
import { explore, exploreDeaths, type Findings } from './explore.ts';
import { bothDie, crowd, MPMC, type MpmcCase, popperDies, pusherDies } from './mpmc-scenarios.ts';
import type { Mutation } from './mutate.ts';
import { type Kernels, loadKernels } from './rewrite.ts';
import { assertFound, assertHolds } from './verdict.ts';

const kernels = await loadKernels(MPMC);

/** The second ticket passes from 2^31 - 1 to -2^31, or from -1 to 0. */
const AT_SIGN = 0x7fffffff;
const AT_ZERO = -1;

const CROWDS: readonly MpmcCase[] = [
  { pushers: [[1, 2]], poppers: [1, 1] },
  {
    pushers: [
      [1, 1],
      [2, 2],
    ],
    poppers: [1, 1],
    startSeq: AT_ZERO,
  },
  {
    pushers: [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
    poppers: [1],
    startSeq: AT_SIGN,
  },
  {
    filled: 3,
    pushers: [
      [4, 4],
      [5, 5],
    ],
    poppers: [1, 1],
    startSeq: AT_SIGN - 1,
  },
  { filled: 4, pushers: [[5, 6]], poppers: [2, 1] },
  {
    pushers: [
      [1, 2],
      [3, 4],
    ],
    poppers: [4],
    batch: 2,
    startSeq: AT_SIGN,
  },
  {
    filled: 2,
    pushers: [
      [3, 4],
      [5, 6],
    ],
    poppers: [3],
    batch: 3,
  },
];

for (const spec of CROWDS) {
  test(`MpmcRing: ${JSON.stringify(spec)}`, (t) => {
    assertHolds(t, explore(crowd(kernels, spec)));
  });
}

const ALONE: MpmcCase = {
  pushers: [
    [1, 1],
    [11, 11],
  ],
  poppers: [],
  startSeq: AT_SIGN,
};
const IN_BATCHES: MpmcCase = {
  pushers: [
    [1, 2],
    [11, 11],
  ],
  poppers: [],
  batch: 2,
};
const NEARLY_FULL: MpmcCase = {
  filled: 3,
  pushers: [
    [4, 4],
    [11, 11],
  ],
  poppers: [],
  takesFull: true,
};
const FULL: MpmcCase = { filled: 4, pushers: [[5, 5]], poppers: [1, 1], startSeq: AT_ZERO };

test('MpmcRing: a pusher dies at any step', (t) => {
  for (const spec of [ALONE, IN_BATCHES, NEARLY_FULL]) {
    assertHolds(t, exploreDeaths(pusherDies(kernels, spec), [0]));
  }
});

test('MpmcRing: a popper dies at any step', (t) => {
  const random = { runs: 25, seed: 1 };
  assertHolds(t, exploreDeaths(popperDies(kernels, FULL), [0], { random }));
  const batches: MpmcCase = { ...FULL, poppers: [2, 1], batch: 2 };
  assertHolds(t, exploreDeaths(popperDies(kernels, batches), [0], { random }));
});

test('MpmcRing: two pushers die at one ticket', (t) => {
  const spec: MpmcCase = {
    pushers: [
      [1, 2],
      [3, 4],
    ],
    poppers: [],
    batch: 2,
  };
  assertHolds(t, exploreDeaths(bothDie(kernels, spec), [0]));
  const random = { runs: 2, seed: 1 };
  assertHolds(t, exploreDeaths(bothDie(kernels, spec), [0, 1], { random }));
});

test('MpmcRing: schedules by chance of many members, in both kinds of claims', (t) => {
  const seed = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);
  t.diagnostic(`seed ${seed}`);
  for (const batch of [1, 3]) {
    const pushers = [
      [1, 6],
      [7, 12],
      [13, 18],
    ] as const;
    const spec = { pushers, poppers: [6, 5, 7], batch, startSeq: -9 };
    assertHolds(t, explore(crowd(kernels, spec), { random: { runs: 400, seed } }));
  }
});

type Find = (seeded: Kernels) => Findings;

interface Seed extends Omit<Mutation, 'module'> {
  readonly found: RegExp;
  readonly in: Find;
}

const inCrowd: Find = (seeded) =>
  explore(
    crowd(seeded, {
      pushers: [
        [1, 1],
        [2, 2],
      ],
      poppers: [1, 1],
    }),
  );
const atSign: Find = (seeded) =>
  explore(crowd(seeded, { filled: 2, pushers: [[3, 5]], poppers: [5], startSeq: AT_SIGN - 1 }));
const inFull: Find = (seeded) => explore(crowd(seeded, CROWDS[3]!));
const inLittleRoom: Find = (seeded) =>
  explore(crowd(seeded, { filled: 3, pushers: [[4, 5]], poppers: [1], batch: 2 }));
const inPusherDeath: Find = (seeded) => exploreDeaths(pusherDies(seeded, ALONE), [0]);
const inBatchDeath: Find = (seeded) => exploreDeaths(pusherDies(seeded, IN_BATCHES), [0]);
const whenNearlyFull: Find = (seeded) => exploreDeaths(pusherDies(seeded, NEARLY_FULL), [0]);
const inPopperDeath: Find = (seeded) => exploreDeaths(popperDies(seeded, FULL), [0]);
const inBothDeaths: Find = (seeded) =>
  exploreDeaths(
    bothDie(seeded, {
      pushers: [
        [1, 1],
        [2, 2],
      ],
      poppers: [],
    }),
    [0, 1],
  );

const SEEDS: readonly Seed[] = [
  {
    name: 'an item is published before it is written',
    inside: 'mpmcPushInt',
    from: 'words[slot + INT_ITEM_WORD] = value; mpmcPublish(words, line);',
    to: 'mpmcPublish(words, line); words[slot + INT_ITEM_WORD] = value;',
    found: /^race/,
    in: inCrowd,
  },
  {
    name: 'a slot is given up before it is read',
    inside: 'mpmcPopInt',
    from: 'const value = words[slot + INT_ITEM_WORD]; mpmcRelease(words, line);',
    to: 'mpmcRelease(words, line); const value = words[slot + INT_ITEM_WORD];',
    found: /^race/,
    in: inFull,
  },
  {
    name: 'a ticket is taken by a store, not by compare-and-swap',
    from: 'const seen = Atomics.compareExchange(words, PUSH, ticket, end);',
    to: 'Atomics.store(words, PUSH, end); const seen = ticket;',
    found: /./,
    in: inCrowd,
  },
  {
    name: 'a ticket to pop is taken by a store',
    from: 'const seen = Atomics.compareExchange(words, POP, ticket, end);',
    to: 'Atomics.store(words, POP, end); const seen = ticket;',
    found: /./,
    in: inCrowd,
  },
  {
    name: 'a ticket is taken before there is room',
    from: 'const count = mpmcReady(words, ticket, wanted, 0);',
    to: 'const count = wanted;',
    found: /./,
    in: inFull,
  },
  {
    name: 'a ticket is taken before there is an item',
    from: 'const ready = mpmcReady(words, ticket, wanted, HAS_ITEM);',
    to: 'const ready = wanted;',
    found: /./,
    in: inCrowd,
  },
  {
    name: 'later slots of a batch are not looked at',
    from: 'if (count > 0) return count;',
    to: 'if (count > 0) return wanted;',
    found: /./,
    in: inLittleRoom,
  },
  {
    name: 'the seq of a slot is compared without wrapping',
    from: '(seq - ticket - count - above) | 0',
    to: 'seq - ticket - count - above',
    found: /./,
    in: atSign,
  },
  {
    name: 'published by a plain write',
    inside: 'mpmcPublish',
    from: 'Atomics.store(words, slot, seq);',
    to: 'words[slot] = seq;',
    found: /^race/,
    in: inCrowd,
  },
  {
    name: 'the seq of a slot is read plainly',
    inside: 'mpmcReady',
    from: 'Atomics.load(words, slot)',
    to: 'words[slot]',
    found: /^race/,
    in: inCrowd,
  },
  {
    name: 'a slot is released for the same lap',
    inside: 'mpmcRelease',
    from: '(ticket + at + capacity) | 0',
    to: '(ticket + at + capacity - 1) | 0',
    found: /./,
    in: inCrowd,
  },
  {
    name: 'a hole is not passed',
    from: 'distance === HAS_HOLE - HAS_ITEM ? HOLE : AHEAD',
    to: 'distance === HAS_HOLE ? HOLE : AHEAD',
    found: /no end in sight/,
    in: inPusherDeath,
  },
  {
    name: 'the slot of a hole is not given up',
    inside: 'mpmcClaimPop',
    from: 'mpmcRelease(words, line);',
    to: '',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'the note is written after the ticket is taken',
    inside: 'mpmcClaimPush',
    from: `mpmcNote(words, line, NOTE_PUSH, ticket, count);
      const end = (ticket + count) | 0;
      const seen = Atomics.compareExchange(words, PUSH, ticket, end);`,
    to: `const end = (ticket + count) | 0;
      const seen = Atomics.compareExchange(words, PUSH, ticket, end);
      mpmcNote(words, line, NOTE_PUSH, ticket, count);`,
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'the note of a popper is written after the ticket is taken',
    inside: 'mpmcClaimPop',
    from: `mpmcNote(words, line, NOTE_POP, ticket, count);
      const end = (ticket + count) | 0;
      const seen = Atomics.compareExchange(words, POP, ticket, end);`,
    to: `const end = (ticket + count) | 0;
      const seen = Atomics.compareExchange(words, POP, ticket, end);
      mpmcNote(words, line, NOTE_POP, ticket, count);`,
    found: /./,
    in: inPopperDeath,
  },
  {
    name: 'the note does not say what its member does',
    from: 'if (words[line + KIND] !== kind) Atomics.store(words, line + KIND, kind);',
    to: '',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'the note does not say how many tickets',
    from: 'if (words[line + COUNT] !== count) Atomics.store(words, line + COUNT, count);',
    to: '',
    found: /./,
    in: inBatchDeath,
  },
  {
    name: 'who has lost the race for a ticket leaves its note when it goes',
    inside: 'mpmcClaimPush',
    from: 'if (hasLost) Atomics.store(words, line + KIND, NOTE_NONE);',
    to: '',
    found: /waits for ever: supervisor/,
    in: whenNearlyFull,
  },
  {
    name: 'settled without a look whether the ticket was taken at all',
    from: 'const taken = Math.min(count, (passed - first) | 0);',
    to: 'const taken = count;',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'settled although a running member names the ticket',
    from: 'if (isLeft && isNoted) return SETTLE_AGAIN;',
    to: '',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'settled although the slot has moved on',
    from: 'if (!isLeft) continue;',
    to: '',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'what a dead pusher left passes for an item',
    from: 'kind === NOTE_PUSH ? HAS_HOLE : words[CAPACITY]',
    to: 'kind === NOTE_PUSH ? HAS_ITEM : words[CAPACITY]',
    found: /./,
    in: inPusherDeath,
  },
  {
    name: 'what a dead popper held becomes a hole',
    from: 'kind === NOTE_PUSH ? HAS_HOLE : words[CAPACITY]',
    to: 'HAS_HOLE',
    found: /./,
    in: inPopperDeath,
  },
  {
    name: 'notes of the dead count as those of the running',
    from: 'if (hasEnded !== 0) continue;',
    to: '',
    found: /waits for ever: supervisor/,
    in: inBothDeaths,
  },
];

for (const seed of SEEDS) {
  test(`planted in mpmc-kernel: ${seed.name}`, async (t) => {
    const mutation = { ...seed, module: 'mpmc-kernel' };
    const seeded = await loadKernels({ ...MPMC, mutation });
    assertFound(t, seed.in(seeded), seed.found);
  });
}

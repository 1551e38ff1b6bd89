import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explore, exploreDeaths } from './explore.ts';
import type { Scenario } from './machine.ts';
import type { Mutation } from './mutate.ts';
import { type Kernels, loadKernels } from './rewrite.ts';
import {
  batches,
  consumerDies,
  messages,
  producerDies,
  SPSC_MODULES,
  SPSC_SHARED,
  type SpscCase,
  singles,
} from './spsc-scenarios.ts';
import { assertFound, assertHolds } from './verdict.ts';

const kernels = await loadKernels({ modules: SPSC_MODULES, shared: SPSC_SHARED });

/** The next push passes from 2^31 - 1 to -2^31, the next but one from -1 to 0. */
const AT_SIGN = 0x7fffffff;
const AT_ZERO = -1;

const SINGLES: readonly SpscCase[] = [
  { capacity: 1, items: 4 },
  { capacity: 2, items: 4, startSeq: AT_SIGN },
  { capacity: 2, items: 4, startSeq: AT_ZERO, kind: 'Float' },
  { capacity: 4, items: 6, publishEvery: 2, creditEvery: 2 },
  { capacity: 4, items: 7, publishEvery: 3, creditEvery: 4, startSeq: AT_ZERO },
];

for (const spec of SINGLES) {
  test(`SpscRing, single items: ${JSON.stringify(spec)}`, (t) => {
    assertHolds(t, explore(singles(kernels, spec)));
  });
}

for (const [spec, batch] of [
  [{ capacity: 2, items: 5 }, 2],
  [{ capacity: 4, items: 8, publishEvery: 3, creditEvery: 2 }, 3],
  [{ capacity: 4, items: 8, startSeq: AT_SIGN }, 4],
] as const) {
  test(`SpscRing, claims of ${batch}: ${JSON.stringify(spec)}`, (t) => {
    assertHolds(t, explore(batches(kernels, spec, batch)));
  });
}

test('SpscRing: the producer dies at any step, another one goes on', (t) => {
  for (const spec of [
    { capacity: 1, items: 2 },
    { capacity: 2, items: 2, publishEvery: 2 },
  ]) {
    assertHolds(t, exploreDeaths(producerDies(kernels, spec), [0]));
  }
});

test('SpscRing: the consumer dies at any step, another one goes on', (t) => {
  for (const spec of [
    { capacity: 1, items: 2 },
    { capacity: 2, items: 2, creditEvery: 2 },
  ]) {
    assertHolds(t, exploreDeaths(consumerDies(kernels, spec), [0]));
  }
});

for (const [spec, lengths] of [
  [{ capacity: 32, items: 0 }, [0, 4, 8]],
  [{ capacity: 32, items: 0, startSeq: 0x7ffffff8 }, [8, 8, 0]],
  [{ capacity: 64, items: 0, publishEvery: 24, creditEvery: 32 }, [12, 20, 4, 24]],
  [{ capacity: 64, items: 0, startSeq: -40 }, [20, 24, 20, 24]],
] as const) {
  test(`SpscByteRing: ${JSON.stringify(spec)}, lengths ${lengths.join()}`, (t) => {
    assertHolds(t, explore(messages(kernels, spec, lengths)));
  });
}

interface Seed extends Mutation {
  readonly found: RegExp;
  /** Where the bug shows; single items in a ring of two otherwise. */
  readonly scenario?: (seeded: Kernels) => Scenario;
}

const inBatches = (seeded: Kernels) => batches(seeded, { capacity: 4, items: 8 }, 3);
const lazily = (seeded: Kernels) =>
  singles(seeded, { capacity: 4, items: 7, publishEvery: 3, creditEvery: 3 });
const inMessages = (seeded: Kernels) =>
  messages(seeded, { capacity: 32, items: 0 }, [0, 4, 8, 4, 8]);

const KERNEL = { module: 'spsc-kernel' };
const BYTES = { module: 'spsc-byte-kernel', scenario: inMessages };

const SEEDS: readonly Seed[] = [
  {
    ...KERNEL,
    name: 'an item is published before it is written',
    inside: 'spscPushInt',
    from: `slots[nextWriteSeq & (slots.length - 1)] = value;
      const endSeq = (nextWriteSeq + 1) | 0; words[NEXT_WRITE] = endSeq;
      if (endSeq === words[PUBLISH_AT]) spscPublish(words);`,
    to: `const endSeq = (nextWriteSeq + 1) | 0; words[NEXT_WRITE] = endSeq;
      if (endSeq === words[PUBLISH_AT]) spscPublish(words);
      slots[nextWriteSeq & (slots.length - 1)] = value;`,
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'a slot is given back before it is read',
    inside: 'spscPopInt',
    from: `const value = slots[nextReadSeq & (slots.length - 1)];
      const endSeq = (nextReadSeq + 1) | 0; words[NEXT_READ] = endSeq;
      if (endSeq === words[CREDIT_AT]) spscCredit(words);`,
    to: `const endSeq = (nextReadSeq + 1) | 0; words[NEXT_READ] = endSeq;
      if (endSeq === words[CREDIT_AT]) spscCredit(words);
      const value = slots[nextReadSeq & (slots.length - 1)];`,
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'published by a plain write',
    from: 'Atomics.store(words, WRITE, nextWriteSeq);',
    to: 'words[WRITE] = nextWriteSeq;',
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'given back by a plain write',
    from: 'Atomics.store(words, READ, nextReadSeq);',
    to: 'words[READ] = nextReadSeq;',
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'readSeq is read plain',
    from: 'Atomics.load(words, READ)',
    to: 'words[READ]',
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'writeSeq is read plain',
    from: 'Atomics.load(words, WRITE)',
    to: 'words[WRITE]',
    found: /^race/,
  },
  {
    ...KERNEL,
    name: 'room for one too many',
    from: '(readSeq + words[SPSC_WRITER_CAPACITY_WORD]) | 0',
    to: '(readSeq + words[SPSC_WRITER_CAPACITY_WORD] + 1) | 0',
    found: /^race|^consumer/,
  },
  {
    ...KERNEL,
    name: 'full is not looked at',
    inside: 'spscPushInt',
    from: 'if (room < 1) return false;',
    to: '',
    found: /^race|^consumer/,
  },
  {
    ...KERNEL,
    name: 'empty is not looked at',
    inside: 'spscPopInt',
    from: 'if (available < 1) return whenEmpty;',
    to: '',
    found: /^race|^consumer/,
  },
  {
    ...KERNEL,
    name: 'who finds the ring full publishes nothing',
    from: 'if (room < wanted) spscPublish(words);',
    to: '',
    found: /waits for ever: producer, consumer/,
    scenario: (seeded) => singles(seeded, { capacity: 2, items: 5, publishEvery: 4 }),
  },
  {
    ...KERNEL,
    name: 'who finds the ring empty gives nothing back',
    from: 'if (available === 0) spscCredit(words);',
    to: '',
    found: /waits for ever: producer, consumer/,
    scenario: (seeded) => singles(seeded, { capacity: 2, items: 5, creditEvery: 4 }),
  },
  {
    ...KERNEL,
    name: 'the place of the next publication is not moved on',
    from: 'words[PUBLISH_AT] = nextWriteSeq + words[SPSC_PUBLISH_EVERY_WORD];',
    to: '',
    found: /waits for ever: consumer/,
    scenario: (seeded) => singles(seeded, { capacity: 4, items: 3 }),
  },
  {
    ...KERNEL,
    name: 'the place of the next credit is not moved on',
    from: 'words[CREDIT_AT] = nextReadSeq + words[SPSC_CREDIT_EVERY_WORD];',
    to: '',
    found: /sequences at the end/,
    scenario: (seeded) => singles(seeded, { capacity: 4, items: 3 }),
  },
  {
    ...KERNEL,
    name: 'a batch is committed by one slot',
    from: 'const nextWriteSeq = (words[NEXT_WRITE] + count) | 0;',
    to: 'const nextWriteSeq = (words[NEXT_WRITE] + 1) | 0;',
    found: /^race|^consumer|waits for ever/,
    scenario: inBatches,
  },
  {
    ...KERNEL,
    name: 'a batch is released before it is read whole',
    from: 'const nextReadSeq = (words[NEXT_READ] + count) | 0;',
    to: 'const nextReadSeq = (words[NEXT_READ] + count + 1) | 0;',
    found: /^race|^consumer|waits for ever/,
    scenario: inBatches,
  },
  {
    ...KERNEL,
    name: 'sequences are compared without wrapping',
    from: '((nextWriteSeq - words[PUBLISH_AT]) | 0) >= 0',
    to: 'nextWriteSeq >= words[PUBLISH_AT]',
    found: /waits for ever: consumer/,
    scenario: (seeded) => batches(seeded, { capacity: 4, items: 4, startSeq: AT_SIGN - 1 }, 3),
  },
  {
    ...KERNEL,
    name: 'the note of what may be read runs ahead',
    from: 'words[READ_LIMIT] = writeSeq;',
    to: 'words[READ_LIMIT] = writeSeq + 1;',
    found: /^race|^consumer/,
    scenario: lazily,
  },
  {
    ...BYTES,
    name: 'the room of the padding is not asked for',
    from: 'needed <= toEnd ? needed : toEnd + needed',
    to: 'needed',
    found: /^race|^consumer/,
  },
  {
    ...BYTES,
    name: 'the padding is committed before it is marked',
    from: 'ints[(at >> 2) + MESSAGE_LENGTH_WORD] = MESSAGE_PADDING; spscCommit(words, toEnd);',
    to: 'spscCommit(words, toEnd); ints[(at >> 2) + MESSAGE_LENGTH_WORD] = MESSAGE_PADDING;',
    found: /^race/,
  },
  {
    ...BYTES,
    name: 'a message is committed before its header is written',
    inside: 'spscCommitMessage',
    from: `ints[(at >> 2) + MESSAGE_LENGTH_WORD] = length;
      ints[(at >> 2) + MESSAGE_TYPE_WORD] = type; spscCommit(words, messageBytes(length));`,
    to: `spscCommit(words, messageBytes(length)); ints[(at >> 2) + MESSAGE_LENGTH_WORD] = length;
      ints[(at >> 2) + MESSAGE_TYPE_WORD] = type;`,
    found: /^race/,
  },
  {
    ...BYTES,
    name: 'padding is taken for a message',
    from: '!== MESSAGE_PADDING) return at;',
    to: '!== MESSAGE_PADDING + 1) return at;',
    found: /^consumer: the length/,
  },
  {
    ...BYTES,
    name: 'padding is skipped without its room',
    from: 'spscRelease(words, capacity - at);',
    to: '',
    found: /./,
  },
  {
    ...BYTES,
    name: 'behind padding nobody looks whether there is a message',
    from: 'return behind < 1 ? NONE : 0;',
    to: 'return 0;',
    found: /^race|^consumer/,
  },
];

for (const seed of SEEDS) {
  test(`planted in ${seed.module}: ${seed.name}`, async (t) => {
    const seeded = await loadKernels({
      modules: SPSC_MODULES,
      shared: SPSC_SHARED,
      mutation: seed,
    });
    const scenario = seed.scenario?.(seeded) ?? singles(seeded, { capacity: 2, items: 5 });
    const trace = assertFound(t, explore(scenario), seed.found);
    assert.match(trace, /producer .*spsc/);
  });
}

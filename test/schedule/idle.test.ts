import { test } from 'node:test';
import { explore } from './explore.ts';
import { IDLE, type IdleCase, parking } from './idle-scenarios.ts';
import type { Mutation } from './mutate.ts';
import { loadKernels } from './rewrite.ts';
import { assertFound, assertHolds } from './verdict.ts';

const kernels = await loadKernels(IDLE);

for (const items of [[2], [1, 1]]) {
  test(`IdleStrategy: no wake-up is lost, items ${items.join(' and ')}`, (t) => {
    assertHolds(t, explore(parking(kernels, { items })));
  });
}

const CALLER_BUGS: Readonly<Record<string, IdleCase>> = {
  'the look for work comes before the flag': { items: [1], looksFirst: true },
  'woken before the item is published': { items: [1], wakesFirst: true },
};

for (const [name, spec] of Object.entries(CALLER_BUGS)) {
  test(`planted in the caller: ${name}`, (t) => {
    assertFound(t, explore(parking(kernels, spec)), /waits for ever: sleeper/);
  });
}

const SEEDS: readonly (Omit<Mutation, 'module'> & { readonly found: RegExp })[] = [
  {
    name: 'the flag is not taken back by the waker',
    from: 'const taken = Atomics.exchange(words, IDLE_ASLEEP_WORD, IDLE_AWAKE);',
    to: 'const taken = seen;',
    found: /waits for ever: sleeper/,
  },
  {
    name: 'the flag is not set',
    inside: 'idleArm',
    from: 'IDLE_ASLEEP);',
    to: 'IDLE_AWAKE);',
    found: /no end in sight/,
  },
  {
    name: 'the flag is set plainly',
    inside: 'idleArm',
    from: 'Atomics.store(words, IDLE_ASLEEP_WORD, IDLE_ASLEEP);',
    to: 'words[IDLE_ASLEEP_WORD] = IDLE_ASLEEP;',
    found: /^race/,
  },
  {
    name: 'the flag is read plainly',
    inside: 'idleClaimWake',
    from: 'Atomics.load(words, IDLE_ASLEEP_WORD)',
    to: 'words[IDLE_ASLEEP_WORD]',
    found: /^race/,
  },
  {
    name: 'who has to notify thinks that another one does',
    from: 'return taken === IDLE_ASLEEP;',
    to: 'return taken !== IDLE_ASLEEP;',
    found: /waits for ever: sleeper/,
  },
];

for (const seed of SEEDS) {
  test(`planted in idle-kernel: ${seed.name}`, async (t) => {
    const mutation = { ...seed, module: 'idle-kernel' };
    const seeded = await loadKernels({ ...IDLE, mutation });
    assertFound(t, explore(parking(seeded, { items: [1] })), seed.found);
  });
}

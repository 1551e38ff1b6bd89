import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { assertNone } from '../tidy/assert-none.ts';
import { CELLS } from './matrix-cells.ts';
import { type Exactness, problemsOf, runRow, THREADS, TIERS, type Tier } from './matrix-run.ts';

const options = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64',
};

const EXACTNESS: Readonly<Record<Tier, Exactness>> = {
  interpreted: 'line',
  baseline: 'line',
  optimised: 'line',
  inlined: 'line',
};

for (const tier of TIERS) {
  for (const thread of THREADS) {
    test(`${tier} in ${thread}: every culprit by name, file and line`, options, async () => {
      const { outcomes } = await runRow({ tier, thread });
      assert.equal(outcomes.length, CELLS.length);
      assertNone(outcomes.flatMap((one) => problemsOf(one, { tier, thread }, EXACTNESS[tier])));
    });
  }
}

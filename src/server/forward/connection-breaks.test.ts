/** What peers get when connections break at random bytes, against the model of `resend`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runBreaks } from '../../../test/support/forward-breaks.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';

const needsAddon = { skip: addonSkipReason() };
const SEED = Number(process.env.MILLRACE_SEED ?? 20_261);
const ROUNDS = 6;

for (const resend of ['none', 'unacked'] as const) {
  for (const mechanism of ['auto', 'copy'] as const) {
    test(`connections that break at random bytes: ${resend}, ${mechanism}`, needsAddon, (t) => {
      const sum = { breaks: 0, cuts: 0 };
      for (let round = 0; round < ROUNDS; round++) {
        const seed = SEED + round;
        t.diagnostic(`seed ${seed}`);
        const run = { resend, mechanism, parcels: 40, breakChance: 0.03 };
        const { breaks, cuts } = runBreaks(run, new Prng(seed));
        sum.breaks += breaks;
        sum.cuts += cuts;
      }
      t.diagnostic(`${sum.breaks} breaks, ${sum.cuts} in a record`);
      assert.ok(sum.cuts >= ROUNDS, 'enough to mean something');
    });
  }
}

/**
 * Output: 10,000 connections that end in every way, and every system call of every writer failing
 * at every place where it is made.
 */
import { test } from 'node:test';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { failEverywhere } from '../support/fail-everywhere.ts';
import { runMany } from '../support/many-connections.ts';
import { offersOn } from '../support/output-offers.ts';

const needsAddon = { skip: addonSkipReason() };

test('10,000 connections leave no fd, no pipe and no page', needsAddon, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const { pieces, renewed } = await runMany(10_000, new Prng(seed));
  t.diagnostic(`${pieces} pages read, ${renewed} got new memory, seed ${seed}`);
});

for (const path of ['tcp4', 'unix'] as const) {
  test(`${path}: every call of every writer fails everywhere`, needsAddon, async (t) => {
    for (const offer of offersOn(path)) {
      t.diagnostic(`${offer.name}: ${await failEverywhere(offer, path, true)}`);
    }
  });
}

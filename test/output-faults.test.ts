/**
 * Every system call of every writer fails: the end is a clean error or a dearer way, the bytes that
 * left are right, and nothing leaks. A sample of the places; all of them in test/stress.
 */
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { failEverywhere } from './support/fail-everywhere.ts';
import { offersOn } from './support/output-offers.ts';

const needsAddon = { skip: addonSkipReason() };

for (const path of ['tcp4', 'unix'] as const) {
  test(`${path}: the failure of any call of any writer is survived`, needsAddon, async (t) => {
    const offers = offersOn(path).filter(({ name }) => !/uncorked|changing/.test(name));
    for (const offer of offers) {
      t.diagnostic(`${offer.name}: ${await failEverywhere(offer, path, false)}`);
    }
  });
}

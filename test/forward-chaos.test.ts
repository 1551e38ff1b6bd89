/**
 * Forwarding, everything at once, for some seconds; test/stress/forward-chaos.test.ts takes
 * minutes.
 */
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { runChaos } from './support/forward-chaos.ts';
import { chooseSeed } from './support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;

for (const resend of ['unacked', 'none'] as const) {
  test(`8 exporters, 7 destinations, misfortunes, ${resend}`, { skip }, async (context) => {
    await runChaos(context, {
      seed: chooseSeed(context),
      seconds: 5,
      exporters: 8,
      bytesPerSecond: 100_000,
      serverKills: 1,
      everyMs: 50,
      resend,
    });
  });
}

/**
 * Forwarding, everything at once, for minutes: 8 exporters, 2 destinations by multicast, 2 in
 * redundancy, 2 by hash; destinations, connections and the server die. MILLRACE_CHAOS_SECONDS sets
 * how long, MILLRACE_TEST_SEED makes a run again.
 */
import { test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { runChaos } from '../support/forward-chaos.ts';
import { chooseSeed } from '../support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;
const SECONDS = Number(process.env.MILLRACE_CHAOS_SECONDS ?? 180);
const SECONDS_PER_SERVER_KILL = 12;

for (const resend of ['unacked', 'none'] as const) {
  test(`8 exporters, 6 destinations, ${SECONDS} s, ${resend}`, { skip }, async (context) => {
    await runChaos(context, {
      seed: chooseSeed(context),
      seconds: SECONDS,
      exporters: 8,
      bytesPerSecond: 150_000,
      serverKills: Math.floor(SECONDS / SECONDS_PER_SERVER_KILL),
      everyMs: 80,
      resend,
    });
  });
}

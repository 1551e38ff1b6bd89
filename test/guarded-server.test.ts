/**
 * A server under its guard: nobody who may write is stopped. A false alarm would end this process.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { checkCounters, checkJournal, checkStore } from './support/mixed-checks.ts';
import { checkLedgers, runMixed } from './support/mixed-run.ts';

const SEED_MAX = 2 ** 31;
const skip = addonSkipReason() ?? (process.arch === 'x64' ? undefined : 'needs x86-64');

test('100,000 mixed records pass a guarded server, and are counted exactly', {
  skip,
}, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await runMixed(
    {
      stream: { seed, malformedRatio: 0.2 },
      send: { records: 100_000, connections: 8, exporters: 4, chunk: 'random' },
      config: { guard: { mode: 'report' } },
    },
    async (run) => {
      const { mode, faults, refused } = run.snapshot.guard;
      assert.deepEqual({ mode, faults, refused }, { mode: 'report', faults: 0, refused: 0 });
      checkLedgers(run);
      checkCounters(run);
      checkJournal(run);
      await checkStore(run);
    },
  );
});

/**
 * Mixed records with every kind of bad input, cut at random bytes: the server's counts, its journal
 * and its store give exactly the generator's totals. test/stress has the long form.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import {
  checkCounters,
  checkJournal,
  checkStore,
  checkStoredSums,
} from './support/mixed-checks.ts';
import { checkLedgers, readJournal, runMixed } from './support/mixed-run.ts';

const SEED_MAX = 2 ** 31;
const skip = addonSkipReason();

test('100,000 mixed records over 8 connections of 4 exporters are counted exactly', {
  skip,
}, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await runMixed(
    {
      stream: { seed, malformedRatio: 0.2 },
      send: { records: 100_000, connections: 8, exporters: 4, chunk: 'random' },
    },
    async (run) => {
      checkLedgers(run);
      checkCounters(run);
      checkJournal(run);
      await checkStore(run);
    },
  );
});

test('with lengths that lie nothing is exact, but both ledgers close', { skip }, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await runMixed(
    {
      stream: { seed, malformedRatio: 0.1, liesRatio: 0.02 },
      send: { records: 50_000, connections: 8, exporters: 4, chunk: 'random' },
    },
    async (run) => {
      checkLedgers(run);
      assert.ok(run.sent.lies > 500);
      assert.ok(run.snapshot.recordsTotal > 10_000, 'the server finds its place again and again');
      readJournal(run.dataFolder);
      await checkStoredSums(run);
    },
  );
});

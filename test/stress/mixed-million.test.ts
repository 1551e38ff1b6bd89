/**
 * A million mixed records, as test/e2e-mixed.test.ts has them, with every kind of bad input at
 * least a thousand times; and a thousand disconnects in the middle of a record.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConfig, startServer } from '../../src/server/index.ts';
import { namedMix, SubscriberPool, sendStreams } from '../../src/simulator/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/load.ts';
import { checkCounters, checkJournal, checkStore } from '../support/mixed-checks.ts';
import { checkLedgers, type MixedRun, runMixed, withDataFolder } from '../support/mixed-run.ts';

const SEED_MAX = 2 ** 31;
const WAIT_MS_MAX = 60_000;
const skip = addonSkipReason();

test('1,000,000 mixed records over 8 connections of 4 exporters', { skip }, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await runMixed(
    {
      stream: { seed, malformedRatio: 0.2 },
      send: { records: 1_000_000, connections: 8, exporters: 4, chunk: 'random' },
      // All malformed records are kept, so that they can be counted.
      config: { store: { malformedRowsPerHour: 1_000_000 } },
    },
    async (run) => {
      checkEachRow(run);
      checkLedgers(run);
      checkCounters(run);
      checkJournal(run);
      await checkStore(run);
    },
  );
});

function checkEachRow({ sent }: MixedRun): void {
  const rows = {
    ...sent.malformed,
    ...sent.other,
    ...sent.hostileText,
    ...sent.resync.kinds,
    longest: sent.longestRecords,
  };
  for (const [name, count] of Object.entries(rows)) assert.ok(count >= 1000, `${name}: ${count}`);
}

test('1,000 disconnects in the middle of a record', { skip }, async () => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await withDataFolder(async (data) => {
    const config = { listen: ['127.0.0.1:0'], http: null, data, log: { level: 'warn' } };
    const server = await startServer(makeConfig(config));
    const port = Number(server.ports.listen[0]!.split(':').at(-1));
    let bytes = 0;
    let truncated = 0;
    let runs = 0;
    let records = 0;
    for (let round = 0; round < 20; round++) {
      const sent = await sendStreams({
        host: '127.0.0.1',
        port,
        records: 500,
        connections: 50,
        exporters: 5,
        halfRecordAtEnd: true,
        stream: {
          seed: seed + round,
          mix: namedMix('all'),
          subscribers: new SubscriberPool(1000),
        },
      });
      bytes += sent.bytes;
      truncated += sent.truncated.bytes;
      runs += sent.truncated.runs;
      records += sent.records;
    }
    // A drain reads for a second what has not been accepted yet; here all of it must be read.
    const endMs = performance.now() + WAIT_MS_MAX;
    while (server.snapshot().intake.read < bytes && performance.now() < endMs) await sleep(100);
    const { intake, recordsTotal, connections } = await server.drain();
    assert.equal(runs, 1000);
    assert.equal(connections.accepted, 1000);
    assert.equal(intake.read, bytes);
    assert.equal(intake.truncated, truncated);
    assert.equal(intake.difference, 0);
    assert.equal(recordsTotal, records);
  });
});

/**
 * Ten minutes of everything that the pipeline meets, under its guard: not one false alarm. With
 * guard.mode `report` one would end the server. MILLRACE_STRESS_MS shortens it.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  namedMix,
  type SendOptions,
  type SendResult,
  SubscriberPool,
  sendStreams,
} from '../../src/simulator/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/load.ts';
import { withDataFolder } from '../support/mixed-run.ts';
import { ServerProcess } from '../support/server-process.ts';

const STRESS_MS = Number(process.env.MILLRACE_STRESS_MS ?? 600_000);
const SEED_MAX = 2 ** 31;
const MIB = 2 ** 20;
const CATCH_UP_MS_MAX = 300_000;
const skip = addonSkipReason() ?? (process.arch === 'x64' ? undefined : 'needs x86-64');

/** Little of everything, so that pages are short, readers are evicted and segments go. */
const CONFIG = {
  guard: { mode: 'report' },
  pages: { arenaBytes: 32 * MIB },
  collect: { workers: 2, lingerMs: 5 },
  journal: { segmentBytes: 16 * MIB, retentionBytes: 64 * MIB, capBytes: 1024 * MIB },
  store: { flushMs: 1_000, retentionMs: 60_000 },
  log: { level: 'warn' },
} as const;

type Round = Pick<
  SendOptions,
  'records' | 'rate' | 'connections' | 'exporters' | 'chunk' | 'halfRecordAtEnd'
> & {
  readonly malformedRatio?: number;
  readonly liesRatio?: number;
};

/** What a round sends; they come in turn. One collector may get all connections of two rounds. */
const ROUNDS: readonly Round[] = [
  { records: 100_000, connections: 8, exporters: 4, chunk: 'random', malformedRatio: 0.2 },
  // Flat out: pages run short, connections stall with tails that wait for a page.
  { records: 200_000, connections: 16, exporters: 8 },
  // Small blocks of slow connections are packed.
  { records: 20_000, connections: 16, rate: 5_000, malformedRatio: 0.05 },
  // Resynchronizing all the time: bytes move within the page that is being filled.
  { records: 50_000, connections: 8, chunk: 'random', malformedRatio: 0.2, liesRatio: 0.02 },
  { records: 2_000, connections: 16, halfRecordAtEnd: true },
];

function send(port: number, round: Round, seed: number): Promise<SendResult> {
  const { malformedRatio = 0, liesRatio = 0, ...options } = round;
  return sendStreams({
    ...options,
    host: '127.0.0.1',
    port,
    hash: false,
    stream: {
      seed,
      mix: namedMix('all'),
      subscribers: new SubscriberPool(10_000),
      malformedRatio,
      liesRatio,
    },
  });
}

test('the pipeline runs guarded without a false alarm', { skip }, async (t) => {
  const seed = randomInt(SEED_MAX);
  console.info(`# seed ${seed}`);
  await withDataFolder(async (folder) => {
    const data = join(folder, 'data');
    const server = await ServerProcess.start(data, CONFIG);
    const totals = { bytes: 0, records: 0, rounds: 0 };
    const endMs = performance.now() + STRESS_MS;
    try {
      for (let n = 0; n < ROUNDS.length || performance.now() < endMs; n++) {
        const sent = await send(server.port, ROUNDS[n % ROUNDS.length]!, seed + n);
        totals.bytes += sent.bytes;
        totals.records += sent.records;
        totals.rounds++;
      }
      const isDone = ({ intake, sinks }: Awaited<ReturnType<typeof server.status>>): boolean =>
        intake.read === totals.bytes && sinks.every(({ pending }) => pending === 0);
      const status = await server.until(isDone, CATCH_UP_MS_MAX);
      assert.equal(status.guard.mode, 'report');
      assert.equal(status.guard.faults, 0);
      assert.equal(status.guard.refused, 0);
      assert.equal(status.intake.difference, 0);
      assert.equal(status.workerDeaths, 0);
      for (const { difference } of status.sinks) assert.equal(difference, 0);
      const { stalls, sinks } = status;
      t.diagnostic(JSON.stringify({ ...totals, stalls, evictions: sinks[0]!.evictions }));
      assert.equal(await server.drain(), 0, server.stderr);
    } finally {
      await server.kill();
      t.diagnostic(`the server's log: ${server.stderr.slice(-2_000)}`);
    }
    const reports = join(data, 'guard-reports.jsonl');
    assert.equal(existsSync(reports) ? readFileSync(reports, 'utf8') : '', '');
  });
});

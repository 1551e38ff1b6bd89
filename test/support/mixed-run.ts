/**
 * Mixed run: a server with a data folder of its own, fed by simulated SCEs, drained; and what its
 * journal and its store then hold, read without the server.
 */
import assert from 'node:assert/strict';
import { createHash, type Hash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { frameLength } from '../../src/rdr/index.ts';
import { formatAddress } from '../../src/server/address.ts';
import {
  type ConfigInput,
  makeConfig,
  type Server,
  type Snapshot,
  startServer,
} from '../../src/server/index.ts';
import { SegmentBlockSource } from '../../src/server/journal/block-source.ts';
import {
  ITEM_BYTES_MAX,
  namedMix,
  RecordStream,
  type RecordStreamOptions,
  type SendOptions,
  type SendResult,
  SubscriberPool,
  sendStreams,
} from '../../src/simulator/index.ts';
import { monotonicMs } from '../../src/toolkit/base/clock.ts';
import { runCli } from './run-cli.ts';

/** The server samples its counters once a second. */
const SAMPLE_MS = 1000;

const CATCH_UP_MS_MAX = 300_000;

export interface MixedRunOptions {
  readonly stream: Partial<RecordStreamOptions> & { readonly seed: number };
  readonly send: Omit<SendOptions, 'host' | 'port' | 'stream'>;
  readonly config?: ConfigInput;
}

export interface MixedRun {
  readonly sent: SendResult;
  /** After the drain. */
  readonly snapshot: Snapshot;
  readonly dataFolder: string;
  readonly stream: RecordStreamOptions;
}

/** A data folder for one test, removed behind it. */
export async function withDataFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-mixed-'));
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Starts, sends, drains, hands the outcome to `check`, and removes the folder. */
export function runMixed(
  options: MixedRunOptions,
  check: (run: MixedRun) => Promise<void>,
): Promise<void> {
  return withDataFolder(async (dataFolder) => {
    await check(await run(options, dataFolder));
  });
}

async function run(options: MixedRunOptions, dataFolder: string): Promise<MixedRun> {
  const stream: RecordStreamOptions = {
    mix: namedMix('all'),
    subscribers: new SubscriberPool(10_000),
    ...options.stream,
  };
  const server = await startServer(
    makeConfig({
      listen: ['127.0.0.1:0'],
      http: null,
      data: dataFolder,
      log: { level: 'warn' },
      ...options.config,
    }),
  );
  const port = Number(server.ports.listen[0]!.split(':').at(-1));
  let sent: SendResult;
  let snapshot: Snapshot;
  try {
    sent = await sendStreams({ ...options.send, host: '127.0.0.1', port, stream });
    await caughtUp(server);
  } finally {
    snapshot = await server.drain();
  }
  return { sent, snapshot, dataFolder, stream };
}

/**
 * Waits until all that was sent is committed: a drain waits for the store only so long, and leaves
 * the rest pending in the journal.
 */
async function caughtUp(server: Server): Promise<void> {
  const endMs = monotonicMs() + CATCH_UP_MS_MAX;
  const isBehind = (): boolean => {
    const { connections, intake, sinks } = server.snapshot();
    return connections.open > 0 || intake.inPages > 0 || sinks.some(({ pending }) => pending > 0);
  };
  // The first snapshots may be older than the last bytes.
  for (let still = 0; still < 3 && monotonicMs() < endMs; ) {
    await sleep(SAMPLE_MS);
    still = isBehind() ? 0 : still + 1;
  }
}

/** Both ledgers close, nothing was dropped, and nothing is left over after the drain. */
export function checkLedgers({ sent, snapshot }: MixedRun): void {
  const { intake, sinks } = snapshot;
  const about = JSON.stringify({ intake, sinks });
  assert.equal(intake.difference, 0, about);
  assert.equal(intake.read, sent.bytes, 'all bytes were read');
  assert.equal(intake.inPages, 0, about);
  assert.equal(sum(intake.dropped), 0, about);
  assert.equal(intake.read, intake.journaled + intake.resync + intake.truncated, about);
  assert.ok(sinks.length > 0, 'there is a sink');
  for (const sink of sinks) {
    assert.equal(sink.difference, 0, about);
    assert.equal(sink.pending, 0, about);
    assert.equal(sum(sink.dropped), 0, about);
    assert.equal(sink.received, sink.delivered + sink.filtered + sink.malformed, about);
    assert.equal(sink.received, snapshot.journal.nextOrdinal, about);
  }
}

export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}

/** What the journal holds of one connection. */
export interface JournaledConnection {
  readonly exporter: string;
  readonly port: number;
  readonly sha256: string;
  readonly records: number;
  readonly bytes: number;
}

/**
 * Reads the journal of a data folder, connection by connection. Asserts on the way that ordinals
 * have no hole and that blocks hold whole records.
 */
export function readJournal(dataFolder: string): readonly JournaledConnection[] {
  const source = new SegmentBlockSource(join(dataFolder, 'journal'));
  const found = new Map<
    number,
    { exporter: string; port: number; hash: Hash; records: number; bytes: number }
  >();
  let nextOrdinal = 0;
  let nextBlockOrdinal = 0;
  for (let block = source.tryNext(); block !== null; block = source.tryNext()) {
    const { header, bytes, offset, length } = block;
    assert.equal(header.firstOrdinal, nextOrdinal, 'no hole in the ordinals');
    nextOrdinal += header.recordCount;
    assert.equal(header.blockOrdinal, nextBlockOrdinal++, 'no hole in the count of blocks');
    const { connectionId } = header;
    const connection = found.get(connectionId) ?? {
      exporter: formatAddress(header.exporter),
      port: header.exporterPort,
      hash: createHash('sha256'),
      records: 0,
      bytes: 0,
    };
    found.set(connectionId, connection);
    assert.equal(header.connectionOrdinal, connection.records, 'no hole in a connection');
    connection.hash.update(bytes.subarray(offset, offset + length));
    connection.records += header.recordCount;
    connection.bytes += length;
    let at = offset;
    let records = 0;
    for (; at < offset + length; records++) at += frameLength(bytes, at);
    assert.equal(at, offset + length, 'a block holds whole records');
    assert.equal(records, header.recordCount);
    source.release();
  }
  assert.equal(source.skippedBytes, 0);
  source.close();
  return [...found.values()].map(({ hash, ...rest }) => ({ ...rest, sha256: hash.digest('hex') }));
}

/** The records that a connection sent, without the garbage between them. */
export function expectedRecords(
  options: RecordStreamOptions,
  connection: number,
  records: number,
): { readonly sha256: string; readonly bytes: number } {
  const stream = new RecordStream({ ...options, connection });
  const buffer = new Uint8Array(ITEM_BYTES_MAX);
  const hash = createHash('sha256');
  let bytes = 0;
  for (let i = 0; i < records; i++) {
    const before = stream.totals.garbageBytes;
    const end = stream.fill(buffer, 0, buffer.length, 1);
    // An item is one record, behind the garbage if there is any.
    const garbage = stream.totals.garbageBytes - before;
    hash.update(buffer.subarray(garbage, end));
    bytes += end - garbage;
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** Rows of a query over a data folder, asked through the command line as a user does. */
export async function queryRows(
  dataFolder: string,
  sql: string,
): Promise<readonly Record<string, unknown>[]> {
  const result = await runCli(['query', sql, '--data', dataFolder, '--format', 'json']);
  assert.equal(result.code, 0, `${sql}\n${result.stderr}`);
  const lines = result.stdout.toString().split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line));
}

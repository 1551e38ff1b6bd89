/**
 * Crashes: what is stored of every connection is a prefix of what it sent, whatever died when.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { JournalReader } from '../src/server/journal/reader.ts';
import { countRows } from '../src/server/store/count-rows.ts';
import { PAGE_BYTES } from '../src/toolkit/base/limits.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { ExporterSocket } from './support/exporter-socket.ts';
import { ServerProcess, sleepMs } from './support/server-process.ts';
import {
  type MarkedStream,
  makeMarkedStream,
  type StoredRecord,
  storedByMarker,
} from './support/stored-records.ts';

const KILLS = 20;
const CONNECTIONS = 2;
const STREAM_BYTES = 3_000_000;
const SOCKET_BUFFER_BYTES = 262_144;
/** What the server sets is doubled by the kernel; the sender's figure is asked from its socket. */
const RECEIVE_BUFFER_BYTES = 2 * SOCKET_BUFFER_BYTES;
const RECOVERY_MS_MAX = 300_000;
const CONFIG = {
  collect: { receiveBufferBytes: SOCKET_BUFFER_BYTES, inFlightBlockCountMax: 1 },
  journal: { segmentBytes: 8 * 1024 * 1024 },
  store: { flushMs: 300, flushRows: 4_000 },
  pages: { arenaBytes: 32 * 1024 * 1024 },
};

interface Sent {
  readonly stream: MarkedStream;
  /** Bytes that the sender's kernel took. */
  readonly bytes: number;
  readonly sendBufferBytes: number;
}

const skip = addonSkipReason() ?? false;

test('kill -9 at 20 moments leaves a prefix of every connection', { skip }, async () => {
  const seed = (Date.now() % 1_000_000) + 1;
  console.error(`seed ${seed}`);
  const folder = mkdtempSync(join(tmpdir(), 'millrace-crash-'));
  const data = join(folder, 'data');
  try {
    const sent: Sent[] = [];
    for (let kill = 0; kill < KILLS; kill++) {
      const fraction = (kill + 0.5) / KILLS;
      const markers = Array.from({ length: CONNECTIONS }, (_, i) => 1 + kill * CONNECTIONS + i);
      sent.push(...(await runAndKill(data, seed, markers, fraction)));
    }
    await recover(data);
    checkCounts(join(data, 'journal'));
    const stored = await storedByMarker(data);
    for (const each of sent) checkPrefix(each, stored.get(each.stream.marker) ?? []);
    assert.equal((await countRows(data)).difference, 0, 'the files hold what was delivered');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Sends on every connection at once and kills the server when `fraction` of all bytes is taken. */
async function runAndKill(
  data: string,
  seed: number,
  markers: readonly number[],
  fraction: number,
): Promise<Sent[]> {
  const server = await ServerProcess.start(data, CONFIG);
  const streams = markers.map((marker) => makeMarkedStream(seed + marker, marker, STREAM_BYTES));
  const sockets = streams.map(() => new ExporterSocket(server.port, SOCKET_BUFFER_BYTES));
  const killAt = streams.reduce((sum, stream) => sum + stream.bytes.length, 0) * fraction;
  const sendBufferBytes = sockets[0]!.sendBufferBytes;
  let total = 0;
  while (total < killAt) {
    let taken = 0;
    sockets.forEach((socket, index) => {
      const { bytes } = streams[index]!;
      const piece = Math.min(20_000, bytes.length - socket.sent);
      if (piece > 0) taken += socket.offer(bytes, socket.sent, piece);
    });
    total += taken;
    if (taken === 0) await sleepMs(1);
  }
  await server.kill();
  for (const socket of sockets) socket.close();
  return streams.map((stream, i) => ({ stream, bytes: sockets[i]!.sent, sendBufferBytes }));
}

/** One more start, until everything in the journal is stored. */
async function recover(data: string): Promise<void> {
  const server = await ServerProcess.start(data, CONFIG);
  await server.until(({ sinks }) => sinks[0]?.pending === 0, RECOVERY_MS_MAX);
  assert.equal(await server.drain(), 0, server.stderr);
  const closed = server.stdout.match(/closes: nothing is unaccounted for/g) ?? [];
  assert.equal(closed.length, 2, server.stdout);
}

/** Starts after kills have gone on with the numbers of records and blocks. */
function checkCounts(journal: string): void {
  const reader = new JournalReader(journal);
  let last: { readonly ordinal: number; readonly blockOrdinal: number } | null = null;
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    const { firstOrdinal, blockOrdinal, recordCount } = block.header;
    if (last !== null)
      assert.deepEqual([firstOrdinal, blockOrdinal], [last.ordinal, last.blockOrdinal]);
    last = { ordinal: firstOrdinal + recordCount, blockOrdinal: blockOrdinal + 1 };
  }
  reader.close();
  assert.ok(last !== null);
}

function checkPrefix({ stream, bytes, sendBufferBytes }: Sent, stored: StoredRecord[]): void {
  const about = `connection ${stream.marker}`;
  const flowIds = stored.map(({ flowId }) => flowId);
  assert.deepEqual(flowIds, stream.flowIds.slice(0, stored.length), `${about}: a prefix, in order`);
  const ordinals = stored.map(({ ordinal }) => ordinal);
  assert.deepEqual(ordinals, [...ordinals.keys()], `${about}: no hole, nothing twice`);
  assert.ok(new Set(stored.map(({ connectionId }) => connectionId)).size <= 1, `${about}: one id`);
  const storedBytes = stored.length === 0 ? 0 : stream.ends[stored.length - 1]!;
  assert.ok(storedBytes <= bytes, `${about}: nothing that was not sent`);
  const missing = bytes - storedBytes;
  const most = sendBufferBytes + RECEIVE_BUFFER_BYTES + PAGE_BYTES;
  assert.ok(missing <= most, `${about}: ${missing} of ${bytes} bytes are missing, at most ${most}`);
}

/**
 * Faults behind the journal: a worker that throws, an interrupted flush, a flipped bit, a reader
 * that stands still. Nothing is lost that the journal has, and what is damaged is named.
 */
import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ConfigInput, makeConfig, type Server, startServer } from '../src/server/index.ts';
import { BLOCK_HEADER_BYTES } from '../src/server/journal/format.ts';
import { JournalReader, listSegments } from '../src/server/journal/reader.ts';
import { type Fault, GATE_CLOSED, GATE_OPEN, GATE_WORD } from '../src/server/setup.ts';
import type { Snapshot } from '../src/server/snapshot.ts';
import { countRows } from '../src/server/store/count-rows.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { ExporterSocket } from './support/exporter-socket.ts';
import { runCli } from './support/run-cli.ts';
import { sleepMs } from './support/server-process.ts';
import { makeMarkedStream, storedByMarker } from './support/stored-records.ts';

const skip = addonSkipReason() ?? false;
const MARKER = 7;
const WAIT_MS_MAX = 300_000;
const BASE: ConfigInput = {
  listen: ['127.0.0.1:0'],
  http: null,
  log: { level: 'fatal' },
  pages: { arenaBytes: 32 * 1024 * 1024 },
  journal: { segmentBytes: 4 * 1024 * 1024 },
  store: { flushMs: 200, flushRows: 2_000 },
};

async function withFolder(run: (data: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-faults-'));
  try {
    await run(join(folder, 'data'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startWith(
  data: string,
  faults: readonly Fault[],
  more: ConfigInput = {},
): Promise<Server> {
  return startServer(makeConfig({ ...BASE, ...more, data }), faults);
}

function portOf(server: Server): number {
  return Number(server.ports.listen[0]!.split(':').at(-1));
}

async function sendAll(server: Server, bytes: Uint8Array): Promise<void> {
  const socket = new ExporterSocket(portOf(server), 262_144);
  await socket.sendUpTo(bytes, bytes.length);
  socket.close();
}

async function drained(server: Server): Promise<Snapshot> {
  const last = await server.drain();
  await server.closed;
  return last;
}

async function until(server: Server, isTrue: (snapshot: Snapshot) => boolean): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (!isTrue(server.snapshot())) {
    assert.ok(performance.now() < endMs, `not reached: ${JSON.stringify(server.snapshot())}`);
    await sleepMs(50);
  }
}

async function untilStored(server: Server, records: number): Promise<void> {
  await until(server, ({ sinks: [sink] }) => sink?.received === records && sink.pending === 0);
}

async function untilJournaled(server: Server, bytes: number): Promise<void> {
  await until(server, ({ intake }) => intake.journaled === bytes);
}

/** Every record once, in order. */
async function checkWhole(data: string, flowIds: readonly number[]): Promise<void> {
  const stored = (await storedByMarker(data)).get(MARKER) ?? [];
  assert.deepEqual(
    stored.map(({ flowId }) => flowId),
    flowIds,
  );
  assert.equal((await countRows(data)).difference, 0);
}

const FAULTS: readonly (Fault & { readonly name: string })[] = [
  { name: 'a store worker that throws in mid-block', step: 'block-decoded', time: 4 },
  { name: 'a flush interrupted between two file writes', step: 'written:', time: 2 },
  { name: 'a flush interrupted between two renames', step: 'renamed:', time: 2 },
  { name: 'a flush interrupted before its commit', step: 'journal-synced', time: 1 },
  { name: 'a failure behind the commit', step: 'committed', time: 1 },
];

for (const fault of FAULTS) {
  test(`${fault.name} loses and doubles nothing`, { skip }, async () => {
    await withFolder(async (data) => {
      const stream = makeMarkedStream(fault.time * 31 + fault.step.length, MARKER, 2_000_000);
      const server = await startWith(data, [fault]);
      await sendAll(server, stream.bytes);
      await untilStored(server, stream.flowIds.length);
      const last = await drained(server);
      assert.ok(last.workerDeaths + last.store.errors > 0, 'the fault has happened');
      assert.ok(last.store.errors === 0 || last.log.lines > 0, 'and was logged by the worker');
      assert.deepEqual(last.log.dropped, { ring_full: 0, too_long: 0 });
      assert.equal(last.intake.difference, 0);
      assert.equal(last.sinks[0]!.difference, 0);
      await checkWhole(data, stream.flowIds);
    });
  });
}

/** Sends a little at a time until the store reads from the ring; what is behind it is returned. */
async function sendUntilInRing(server: Server, bytes: Uint8Array): Promise<ExporterSocket> {
  const socket = new ExporterSocket(portOf(server), 262_144);
  const isInRing = (): boolean => server.snapshot().sinks[0]?.source === 'ring';
  while (!isInRing()) {
    assert.ok(socket.sent < bytes.length / 4, 'the store asks for a place, and is given one');
    await socket.sendUpTo(bytes, socket.sent + 20_000);
    await sleepMs(50);
  }
  return socket;
}

test('a reader that stands still falls back to the segments and catches up', { skip }, async () => {
  await withFolder(async (data) => {
    // More than the arena holds: when all of it is journaled, the reader has lost its place.
    const stream = makeMarkedStream(99, MARKER, 48_000_000);
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const still: Fault = { step: 'block-decoded', time: 1, gate };
    const server = await startWith(data, [still], { store: { flushMs: 500, flushRows: 50_000 } });
    const socket = await sendUntilInRing(server, stream.bytes);
    Atomics.store(gate, GATE_WORD, GATE_CLOSED);
    await socket.sendUpTo(stream.bytes, stream.bytes.length);
    await untilJournaled(server, stream.bytes.length);
    Atomics.store(gate, GATE_WORD, GATE_OPEN);
    Atomics.notify(gate, GATE_WORD);
    socket.close();
    await untilStored(server, stream.flowIds.length);
    const last = await drained(server);
    assert.ok(last.sinks[0]!.evictions > 0, 'the reader lost its place in the ring');
    assert.equal(last.sinks[0]!.difference, 0);
    await checkWhole(data, stream.flowIds);
  });
});

/** Flips one bit in the middle of the payload of the n-th block; its position and records. */
function flipPayloadBit(journal: string, nth: number): { position: number; records: number } {
  const files = listSegments(journal);
  const reader = new JournalReader(files);
  for (let n = 0; n < nth; n++) assert.ok(reader.tryNext());
  const { header } = reader.tryNext()!;
  const place = { position: header.position, records: header.recordCount };
  const file = files.findLast(({ position }) => position <= header.position)!;
  const offset = header.position - file.position + BLOCK_HEADER_BYTES + (header.payloadLength >> 1);
  reader.close();
  const fd = openSync(file.path, 'r+');
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, offset);
  byte[0] = byte[0]! ^ 0x10;
  writeSync(fd, byte, 0, 1, offset);
  closeSync(fd);
  return place;
}

test('a flipped payload bit costs its block, is counted and named by verify', {
  skip,
}, async () => {
  await withFolder(async (data) => {
    const stream = makeMarkedStream(5, MARKER, 3_000_000);
    const journalOnly = await startWith(data, [], { sink: 'null' });
    await sendAll(journalOnly, stream.bytes);
    await untilJournaled(journalOnly, stream.bytes.length);
    await drained(journalOnly);
    const { position, records } = flipPayloadBit(join(data, 'journal'), 3);
    const verify = await runCli(['journal', 'verify', join(data, 'journal'), '--json']);
    assert.equal(verify.code, 1);
    assert.match(verify.stdout.toString(), new RegExp(`"position":\\s*${position}\\b`));
    const server = await startWith(data, []);
    await untilStored(server, stream.flowIds.length);
    const last = await drained(server);
    assert.deepEqual(last.sinks[0]!.dropped, { damaged: records });
    assert.equal(last.sinks[0]!.delivered, stream.flowIds.length - records);
    assert.equal(last.sinks[0]!.difference, 0);
  });
});

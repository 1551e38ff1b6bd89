import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';
import { frameOf } from '../../test/support/streams.ts';
import { Sink, type SinkOptions } from './index.ts';

const DEFAULTS: SinkOptions = {
  host: '127.0.0.1',
  port: 0,
  verify: 'exact',
  isMarked: true,
  slow: null,
  stopAfterRecords: Number.POSITIVE_INFINITY,
  resetAfterRecords: Number.POSITIVE_INFINITY,
  isTalkingBack: false,
  outFolder: null,
};

/** Bytes of `records` marked records of connection `mark`. */
function markedBytes(mark: number, records: number): Buffer {
  const stream = new RecordStream({
    seed: 5,
    connection: mark,
    mix: namedMix('all'),
    subscribers: new SubscriberPool(100),
    hasMarks: true,
  });
  const buffer = Buffer.alloc(records * 2_000 + 20_000);
  return buffer.subarray(0, stream.fill(buffer, 0, buffer.length, records));
}

async function open(context: TestContext, options: Partial<SinkOptions> = {}) {
  const sink = new Sink({ ...DEFAULTS, ...options });
  const port = await sink.start();
  context.after(() => sink.stop());
  const dial = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    context.after(() => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  };
  return { sink, dial };
}

async function until(condition: () => boolean): Promise<void> {
  const endMs = Date.now() + 60_000;
  while (!condition()) {
    assert.ok(Date.now() < endMs, 'the condition is reached');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('two streams, cut into pieces and mixed, are whole', async (context) => {
  const { sink, dial } = await open(context);
  const streams = [markedBytes(0x0100, 300), markedBytes(1, 300)];
  const sockets = [await dial(), await dial()];
  for (let at = 0; at < Math.max(streams[0]!.length, streams[1]!.length); at += 7_777) {
    for (const [i, socket] of sockets.entries()) {
      socket.write(streams[i]!.subarray(at, at + 7_777));
    }
  }
  for (const socket of sockets) socket.end();
  await until(() => sink.summary().connections.accepted === 2 && sink.openConnections === 0);
  const summary = sink.summary();
  assert.ok(summary.byConnection.every(({ end }) => end === 'closed'));
  assert.equal(summary.records, 600);
  assert.equal(summary.bytes, streams[0]!.length + streams[1]!.length);
  assert.deepEqual(summary.findings, []);
  assert.deepEqual(summary.connections, { accepted: 2, open: 0 });
  assert.equal(summary.sequences?.streams, 2);
  assert.equal(
    Object.values(summary.tags).reduce((sum, count) => sum + count, 0),
    600,
  );
});

test('half a record at the end is a cut record, and no finding', async (context) => {
  const { sink, dial } = await open(context);
  const bytes = markedBytes(1, 10);
  const socket = await dial();
  socket.end(bytes.subarray(0, bytes.length - 3));
  await until(() => sink.summary().cut.records === 1);
  const summary = sink.summary();
  assert.equal(summary.records, 9);
  assert.ok(summary.cut.bytes > 0);
  assert.deepEqual(summary.findings, []);
});

test('bytes that are no records are a finding', async (context) => {
  const { sink, dial } = await open(context);
  const socket = await dial();
  socket.end(Buffer.concat([frameOf(60), Buffer.from('garbage'), frameOf(60)]));
  await until(() => sink.openConnections === 0 && sink.summary().connections.accepted === 1);
  const summary = sink.summary();
  assert.deepEqual(summary.resync, { runs: 1, bytes: 7 });
  assert.match(summary.findings[0]!, /7 bytes that are no records/);
});

test('a connection is reset behind so many records', async (context) => {
  const { sink, dial } = await open(context, { resetAfterRecords: 5 });
  const socket = await dial();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const bytes = markedBytes(1, 10);
  socket.write(bytes.subarray(0, bytes.length - 1));
  await closed;
  const [connection] = sink.summary().byConnection;
  assert.equal(connection?.end, 'reset');
  assert.ok(connection!.records >= 5 && connection!.records < 10);
});

test('it is full after so many records', async (context) => {
  const { sink, dial } = await open(context, { stopAfterRecords: 20 });
  const socket = await dial();
  socket.write(markedBytes(1, 20));
  await sink.full;
  assert.equal(sink.records, 20);
});

test('a sink that reads nothing makes its sender stand still', async (context) => {
  const { sink, dial } = await open(context, { slow: { unit: 'records', perSecond: 0 } });
  const socket = await dial();
  await until(() => sink.summary().connections.accepted === 1);
  const piece = Buffer.alloc(1 << 20, markedBytes(1, 100));
  // Loopback's buffers are some megabytes: what is written beyond stays with the sender.
  for (let i = 0; i < 64; i++) socket.write(piece);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(socket.writableLength > 0);
  assert.equal(sink.summary().bytes, 0);
});

test('a slow sink waits between its reads', async (context) => {
  const { sink, dial } = await open(context, { slow: { unit: 'bytes', perSecond: 1 } });
  const socket = await dial();
  const bytes = markedBytes(1, 2_000);
  socket.write(bytes);
  await until(() => sink.records > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(sink.summary().bytes < bytes.length, 'the first read is paid for hours');
});

test('it talks back, and keeps the bytes of each connection', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sink-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const outFolder = join(folder, 'out');
  const { sink, dial } = await open(context, { isTalkingBack: true, outFolder });
  const socket = await dial();
  const answer = new Promise<Buffer>((resolve) => socket.once('data', resolve));
  const bytes = markedBytes(3, 50);
  socket.end(bytes);
  assert.match(String(await answer), /got it/);
  await until(() => sink.summary().connections.accepted === 1 && sink.openConnections === 0);
  const files = readdirSync(outFolder);
  assert.equal(files.length, 1);
  assert.deepEqual(readFileSync(join(outFolder, files[0]!)), bytes);
});

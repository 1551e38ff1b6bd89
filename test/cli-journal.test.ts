import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { SegmentBuilder, temporaryFolder } from './support/journal-files.ts';
import { VECTOR } from './support/records.ts';
import { runCli } from './support/run-cli.ts';

/** A data folder with two segments of three blocks each, ten records a block. */
function dataFolder(t: { after(fn: () => void): void }): {
  data: string;
  segments: SegmentBuilder[];
  paths: string[];
} {
  const data = temporaryFolder(t);
  const journal = join(data, 'journal');
  mkdirSync(journal);
  const payload = Buffer.concat(Array.from({ length: 10 }, () => VECTOR));
  const first = new SegmentBuilder(0);
  for (let i = 0; i < 3; i++) first.add(payload, { recordCount: 10 });
  const { endPosition, nextOrdinal, nextBlockOrdinal } = first;
  const second = new SegmentBuilder(endPosition + 1000, nextOrdinal, nextBlockOrdinal);
  for (let i = 0; i < 3; i++) second.add(payload, { recordCount: 10 });
  const segments = [first, second];
  return { data, segments, paths: segments.map((segment) => segment.writeTo(journal)) };
}

async function verify(data: string) {
  const { code, stdout } = await runCli(['journal', 'verify', data, '--json']);
  return { code, report: JSON.parse(stdout.toString()) };
}

test('journal ls shows every segment, for people and as JSON', async (t) => {
  const { data, segments } = dataFolder(t);
  const text = await runCli(['journal', 'ls', data]);
  assert.equal(text.code, 0);
  assert.match(text.stdout.toString(), /^2 segments, /m);
  const { stdout } = await runCli(['journal', 'ls', data, '--json']);
  const listed = JSON.parse(stdout.toString());
  assert.deepEqual(
    listed.map((segment: { position: number }) => segment.position),
    segments.map((segment) => segment.position),
  );
  assert.deepEqual([listed[1].firstOrdinal, listed[1].firstBlockOrdinal], [30, 3]);
});

test('journal verify: a sound journal', async (t) => {
  const { data } = dataFolder(t);
  const { code, report } = await verify(data);
  assert.equal(code, 0);
  assert.equal(report.blocks, 6);
  assert.equal(report.records, 60);
  assert.deepEqual(report.findings, []);
});

test('journal verify names a flipped bit, a broken header and missing blocks', async (t) => {
  const { data, segments, paths } = dataFolder(t);
  const [first, second] = segments as [SegmentBuilder, SegmentBuilder];
  const payload = first.blocks[1]!;
  const flipped = first.bytes.slice();
  flipped[payload.position + 200]! ^= 4;
  writeFileSync(paths[0]!, flipped);
  const one = await verify(data);
  assert.equal(one.code, 1);
  assert.equal(one.report.damaged, 1);
  assert.equal(one.report.findings[0].position, payload.position);
  assert.equal(one.report.findings[0].records, 10);
  assert.match(one.report.findings[0].what, /payload checksum/);
  const text = await runCli(['journal', 'verify', data]);
  assert.ok(text.stdout.toString().includes(paths[0]!));

  const broken = second.bytes.slice();
  broken[second.blocks[0]!.position - second.position + 10]! ^= 1;
  writeFileSync(paths[1]!, broken);
  const two = await verify(data);
  assert.equal(two.report.damaged, 2);
  assert.match(two.report.findings[1].what, /no valid block header/);

  const missing = new SegmentBuilder(second.position, first.nextOrdinal + 7);
  missing.add(VECTOR);
  writeFileSync(paths[0]!, first.bytes);
  writeFileSync(paths[1]!, missing.bytes);
  const three = await verify(data);
  assert.equal(three.code, 1);
  assert.equal(three.report.findings[0].records, 7);
  assert.match(three.report.findings[0].what, /missing/);
});

test('journal verify: block numbers that go back; blocks of before there were any', async (t) => {
  const data = temporaryFolder(t);
  const journal = join(data, 'journal');
  mkdirSync(journal);
  const old = new SegmentBuilder();
  for (let i = 0; i < 3; i++) old.add(VECTOR, { isCounted: false });
  const counted = new SegmentBuilder(old.endPosition, old.nextOrdinal, 1);
  for (let i = 0; i < 3; i++) counted.add(VECTOR);
  old.writeTo(journal);
  counted.writeTo(journal);
  assert.deepEqual((await verify(data)).report.findings, []);

  const begunAnew = new SegmentBuilder(counted.endPosition, counted.nextOrdinal, 0);
  for (let i = 0; i < 3; i++) begunAnew.add(VECTOR);
  begunAnew.writeTo(journal);
  const { code, report } = await verify(data);
  assert.equal(code, 1);
  assert.equal(report.findings.length, 1);
  const { position, records, what } = report.findings[0];
  assert.deepEqual([position, records], [begunAnew.blocks[0]!.position, 0]);
  assert.match(what, /block numbers do not follow/);
});

test('journal verify: the torn end of the newest segment is told, but no damage', async (t) => {
  const { data, segments, paths } = dataFolder(t);
  const bytes = segments[1]!.bytes;
  writeFileSync(paths[1]!, bytes.subarray(0, bytes.length - 100));
  const { code, report } = await verify(data);
  assert.equal(code, 0);
  assert.equal(report.blocks, 5);
  assert.equal(report.findings.length, 1);
  assert.equal(report.findings[0].isDamage, false);
});

test('journal cat gives the raw records, also from a position', async (t) => {
  const { data, segments } = dataFolder(t);
  const all = await runCli(['journal', 'cat', data]);
  assert.equal(all.code, 0);
  assert.equal(all.stdout.length, 60 * VECTOR.length);
  assert.ok(all.stdout.subarray(0, VECTOR.length).equals(VECTOR));
  const from = String(segments[1]!.blocks[1]!.position);
  const part = await runCli(['journal', 'cat', data, '--from', from]);
  assert.equal(part.stdout.length, 20 * VECTOR.length);
});

/** A collector that keeps what it gets; ends a connection after `limit` bytes. */
async function collector(limit = Number.POSITIVE_INFINITY) {
  const pieces: Buffer[] = [];
  let bytes = 0;
  let onClosed = (): void => {};
  const closed = new Promise<void>((resolve) => {
    onClosed = resolve;
  });
  const server: Server = createServer((socket) => {
    socket.on('data', (piece) => {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes >= limit) socket.destroy();
    });
    socket.on('error', () => {});
    socket.on('close', () => onClosed());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return { target: `127.0.0.1:${port}`, received: () => Buffer.concat(pieces), closed, server };
}

test('replay sends whole records of segments and raw files, in order', async (t) => {
  const { data, paths } = dataFolder(t);
  const raw = join(data, 'raw.rdr');
  writeFileSync(raw, Buffer.concat([VECTOR, Buffer.from('garbage'), VECTOR, VECTOR.subarray(9)]));
  const { target, received, closed, server } = await collector();
  t.after(() => server.close());
  const sent = await runCli(['replay', paths[0]!, raw, target, '--json']);
  assert.equal(sent.code, 0, sent.stderr);
  const totals = JSON.parse(sent.stdout.toString());
  assert.equal(totals.records, 32);
  const expected = Buffer.concat(Array.from({ length: 32 }, () => VECTOR));
  await closed;
  assert.ok(received().equals(expected));
  assert.match(sent.stderr, /garbage/);
});

test('replay --rate is not faster than told', async (t) => {
  const { paths } = dataFolder(t);
  const { target, server } = await collector();
  t.after(() => server.close());
  const { stdout } = await runCli(['replay', paths[0]!, target, '--rate', '100', '--json']);
  const totals = JSON.parse(stdout.toString());
  assert.equal(totals.records, 30);
  assert.ok(totals.seconds >= 0.25, `${totals.seconds} s`);
});

test('replay fails with 1 when the collector goes away', async (t) => {
  const data = temporaryFolder(t);
  const raw = join(data, 'raw.rdr');
  writeFileSync(raw, Buffer.concat(Array.from({ length: 100_000 }, () => VECTOR)));
  const { target, server } = await collector(100_000);
  t.after(() => server.close());
  const { code, stderr } = await runCli(['replay', raw, target]);
  assert.equal(code, 1);
  assert.match(stderr, /MR_CONNECT/);
});

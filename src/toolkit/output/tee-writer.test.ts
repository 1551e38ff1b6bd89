import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PagePool } from '../pages/index.ts';
import { EAGAIN, EMFILE, EPERM } from '../sys/errno.ts';
import { failCall } from '../sys/faults.ts';
import { addonSkipReason } from '../sys/load.ts';
import { connected, fillPattern, openFdCount, readExactly } from './connections.test-data.ts';
import { type PayloadSource, pageSources, payloadSource } from './output-source.ts';
import { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 30_000 };

/** A payload that starts `skew` bytes behind the start of an OS page. */
function makePayload(length: number, skew = 0): PayloadSource {
  const pageBytes = Math.ceil((length + skew) / 4096) * 4096;
  const { bytes } = PagePool.create({ pageBytes, pageCount: 1 });
  fillPattern(bytes);
  return payloadSource(bytes, skew, length);
}

for (const skew of [0, 1, 4095]) {
  test(`chunks cover the payload, skew ${skew}`, needsAddon, () => {
    for (const length of [1, 4096, 4097, 65_536, 1 << 20, (1 << 20) + 1, 3 << 20]) {
      for (const chunkBytes of [4096, 65_536, 1 << 20]) {
        if (length / chunkBytes > 64) continue;
        const fdCount = openFdCount();
        const payload = TeePayload.fill(makePayload(length, skew), { chunkBytes });
        let end = 0;
        for (const chunk of payload.chunks) {
          assert.equal(chunk.start, end);
          assert.ok(chunk.end > chunk.start && chunk.end - chunk.start <= chunkBytes);
          assert.equal(payload.chunkAt(chunk.start), chunk);
          assert.equal(payload.chunkAt(chunk.end - 1), chunk);
          end = chunk.end;
        }
        assert.equal(end, length);
        if (chunkBytes < 1 << 20) {
          assert.equal(payload.chunks.length, Math.ceil(length / chunkBytes), 'no tiny chunks');
        }
        payload.close();
        payload.close();
        assert.equal(openFdCount(), fdCount);
      }
    }
  });
}

test('a payload goes out again and again without a copy', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  for (const [length, skew] of [
    [100, 0],
    [65_536, 0],
    [65_536, 9],
    [700_000, 5],
  ] as const) {
    const source = makePayload(length, skew);
    const payload = TeePayload.fill(source, { chunkBytes: 131_072 });
    const writer = new TeeWriter(fd, payload);
    const expected = source.bytes.subarray(skew, skew + length);
    for (let round = 0; round < 5; round++) {
      let arrived = 0;
      for (let offset = 0; offset < length; ) {
        const accepted = writer.write(source, offset, length - offset);
        assert.ok(accepted > 0 || accepted === -EAGAIN);
        offset += Math.max(0, accepted);
        writer.flush();
        const { sentBytes } = writer.counts;
        const part = readExactly(peer, sentBytes - round * length - arrived);
        assert.ok(Buffer.compare(part, expected.subarray(arrived, arrived + part.length)) === 0);
        arrived += part.length;
      }
      while (writer.flush() > 0) arrived += readExactly(peer, writer.pendingBytes).length;
      readExactly(peer, length - arrived);
    }
    assert.equal(writer.counts.sentBytes, 5 * length);
    assert.equal(writer.counts.copiedBytes, 0);
    assert.equal(writer.counts.degradedCount, 0);
    writer.close();
    payload.close();
  }
});

test('pieces in order need no copy; bytes from the middle do', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = makePayload(200_000);
  const payload = TeePayload.fill(source, { chunkBytes: 65_536 });
  t.after(() => payload.close());
  const writer = new TeeWriter(fd, payload);
  const write = (offset: number, length: number): void => {
    assert.equal(writer.write(source, offset, length), length);
    assert.equal(writer.flush(), 0);
    const expected = source.bytes.subarray(offset, offset + length);
    assert.ok(Buffer.compare(readExactly(peer, length), expected) === 0);
  };
  for (let offset = 0; offset < 200_000; offset += 10_000) write(offset, 10_000);
  assert.equal(writer.counts.copiedBytes, 0);
  write(10, 20);
  assert.equal(writer.counts.copiedBytes, 20);
  write(0, 1000);
  write(500, 1000);
  assert.equal(writer.counts.copiedBytes, 1020, 'what was ahead is dropped, not sent');
  write(65_536, 65_536);
  assert.equal(writer.counts.copiedBytes, 1020);
  writer.close();
});

test('a copy waits for what is pending before it', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = makePayload(10_000);
  const payload = TeePayload.fill(source);
  const writer = new TeeWriter(fd, payload);
  assert.equal(writer.write(source, 0, 10_000), 10_000);
  assert.equal(writer.pendingBytes, 10_000);
  assert.equal(writer.write(source, 1, 10), 10);
  const { bytes } = source;
  assert.ok(Buffer.compare(readExactly(peer, 10_000), bytes.subarray(0, 10_000)) === 0);
  assert.ok(Buffer.compare(readExactly(peer, 10), bytes.subarray(1, 11)) === 0);
  writer.close();
  payload.close();
});

test('an own pipe that cannot hold a chunk: copies, tried again after a while', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = makePayload(131_072);
  const payload = TeePayload.fill(source, { chunkBytes: 131_072 });
  t.after(() => payload.close());
  const writer = new TeeWriter(fd, payload);
  const fault = failCall({ call: 'setPipeCapacity', nth: 1, errno: EPERM, count: 1000 });
  const fdCount = openFdCount();
  for (let round = 0; round < 20; round++) {
    assert.equal(writer.write(source, 0, 131_072), 131_072);
    readExactly(peer, 131_072);
  }
  assert.equal(writer.counts.copiedBytes, 20 * 131_072);
  assert.ok(writer.counts.degradedCount >= 20);
  assert.equal(fault.calls, 1);
  assert.equal(openFdCount(), fdCount, 'a pipe of no use is not kept');
  fault.restore();
  for (let round = 0; round < 100; round++) {
    writer.write(source, 0, 131_072);
    assert.equal(writer.flush(), 0);
    readExactly(peer, 131_072);
  }
  assert.ok(writer.counts.copiedBytes < 100 * 131_072);
  writer.close();
});

test('small pipes for a payload: smaller chunks, the same bytes', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = makePayload(300_000, 3);
  const fault = failCall({ call: 'setPipeCapacity', nth: 1, errno: EPERM, count: 1000 });
  const payload = TeePayload.fill(source);
  assert.ok(payload.chunks.length >= 5);
  const writer = new TeeWriter(fd, payload);
  for (let offset = 0; offset < 300_000; ) {
    const accepted = Math.max(0, writer.write(source, offset, 300_000 - offset));
    readExactly(peer, accepted - writer.flush());
    readExactly(peer, writer.pendingBytes + writer.flush());
    offset += accepted;
  }
  assert.equal(writer.counts.copiedBytes, 0);
  fault.restore();
  writer.close();
  payload.close();
});

test('small payloads gather in the pipe', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix');
  const source = makePayload(100);
  const payload = TeePayload.fill(source);
  const writer = new TeeWriter(fd, payload);
  for (let i = 0; i < 64; i++) assert.equal(writer.write(source, 0, 100), 100);
  assert.equal(writer.counts.callCount, 64);
  for (let i = 0; i < 64; i++) assert.equal(writer.write(source, 0, 100), 100);
  assert.equal(writer.counts.callCount, 129, 'a full pipe is emptied by one splice');
  assert.equal(writer.flush(), 0);
  readExactly(peer, 12_800);
  assert.equal(writer.write(source, 0, 100), 100);
  assert.equal(writer.pendingBytes, 100);
  writer.close();
  payload.close();
});

test('a full socket never makes it copy', needsAddon, (t) => {
  const { fd, peer } = connected(t, 'unix', { sendBufferBytes: 4096 });
  const source = makePayload(100_000, 5);
  const payload = TeePayload.fill(source, { chunkBytes: 16_384 });
  const writer = new TeeWriter(fd, payload, { corkBytes: 100_000, pipeBytes: 65_536 });
  let offset = 0;
  let arrivedBytes = 0;
  while (arrivedBytes < 100_000) {
    while (offset < 100_000) {
      const accepted = writer.write(source, offset, 100_000 - offset);
      if (accepted === -EAGAIN) break;
      offset += accepted;
    }
    writer.flush();
    readExactly(peer, Math.min(1000, writer.counts.sentBytes - arrivedBytes));
    arrivedBytes = Math.min(arrivedBytes + 1000, writer.counts.sentBytes);
  }
  assert.equal(writer.counts.copiedBytes, 0);
  writer.close();
  payload.close();
});

test('a master pipe that takes nothing is an error, not a chunk', needsAddon, () => {
  const fdCount = openFdCount();
  const source = makePayload(10_000);
  const faults = [
    failCall({ call: 'vmsplice', nth: 1, errno: EAGAIN }),
    failCall({ call: 'setPipeCapacity', nth: 2, errno: EPERM }),
  ];
  assert.throws(() => TeePayload.fill(source), { errnoName: 'EAGAIN' });
  for (const fault of faults.reverse()) fault.restore();
  assert.equal(openFdCount(), fdCount);
});

test('what is refused says so, and leaves no pipe', needsAddon, (t) => {
  const { fd } = connected(t, 'unix');
  const udp = connected(t, 'udp');
  const fdCount = openFdCount();
  assert.throws(() => TeePayload.fill(payloadSource(new Uint8Array(0))), {
    code: 'MR_OUTPUT_SOURCE',
  });
  const source = makePayload(300_000);
  for (const chunkBytes of [0, 4095, 2 << 20]) {
    assert.throws(() => TeePayload.fill(source, { chunkBytes }), { code: 'MR_OUTPUT_SOURCE' });
  }
  const fault = failCall({ call: 'pipeCreate', nth: 3, errno: EMFILE });
  assert.throws(() => TeePayload.fill(source, { chunkBytes: 65_536 }), { errnoName: 'EMFILE' });
  fault.restore();
  assert.equal(openFdCount(), fdCount);
  const payload = TeePayload.fill(source);
  assert.throws(() => new TeeWriter(udp.fd, payload), { code: 'MR_OUTPUT_MECHANISM' });
  const writer = new TeeWriter(fd, payload);
  const page = pageSources(PagePool.create({ pageBytes: 4096, pageCount: 1 }))[0]!;
  for (const other of [payloadSource(source.bytes), page]) {
    assert.throws(() => writer.write(other, 0, 1), { code: 'MR_OUTPUT_SOURCE' });
  }
  for (const [offset, length] of [
    [0, 300_001],
    [-1, 1],
    [0, 0],
  ] as const) {
    assert.throws(() => writer.write(source, offset, length), { code: 'MR_ASSERT' });
  }
  writer.close();
  payload.close();
  assert.equal(openFdCount(), fdCount);
});

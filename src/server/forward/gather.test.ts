import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GATHER_BUFFER_BYTES, Gather, GatherPool } from './gather.ts';
import { SelectionCache } from './selection.ts';

const SOURCE = Uint8Array.from({ length: 5000 }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
const FROM = { bytes: SOURCE, view: new DataView(SOURCE.buffer) };

test('pieces of every length, at every alignment, stand next to each other as they were', () => {
  const buffer = new Gather(new GatherPool()).room(GATHER_BUFFER_BYTES)!;
  const wanted: number[] = [];
  for (let length = 0; length <= 430; length++) {
    const offset = (length * 7) % 97;
    buffer.append(FROM, offset, length);
    wanted.push(...SOURCE.subarray(offset, offset + length));
  }
  assert.equal(buffer.used, wanted.length);
  assert.deepEqual(buffer.bytes.subarray(0, buffer.used), Uint8Array.from(wanted));
  assert.ok(
    buffer.bytes.subarray(buffer.used).every((byte) => byte === 0),
    'nothing behind them',
  );
});

test('a buffer is filled to its last byte', () => {
  const gather = new Gather(new GatherPool());
  const buffer = gather.room(GATHER_BUFFER_BYTES)!;
  while (buffer.used < GATHER_BUFFER_BYTES) {
    buffer.append(FROM, 3, Math.min(397, GATHER_BUFFER_BYTES - buffer.used));
  }
  assert.deepEqual(buffer.bytes.subarray(0, 397), SOURCE.subarray(3, 400));
  buffer.retain();
  assert.notEqual(gather.room(1), buffer);
});

test('a cache keeps the newest, and few when buffers are scarce; each is let go once', () => {
  const released: number[] = [];
  const pool = { isRoomy: true };
  const cache = new SelectionCache<number>(pool, (answer) => released.push(answer));
  for (let i = 0; i < 200; i++) cache.add(i * 10, i);
  assert.equal(released.length, 72);
  assert.equal(cache.find(719), null);
  assert.equal(cache.find(710), null);
  assert.equal(cache.find(720), 72);
  assert.equal(cache.find(1990), 199);
  pool.isRoomy = false;
  cache.add(2000, 200);
  assert.equal(cache.find(1680), null);
  assert.equal(cache.find(1690), 169);
  cache.clear();
  cache.clear();
  assert.equal(cache.find(2000), null);
  cache.add(2010, 201);
  assert.equal(cache.find(2010), 201);
  assert.deepEqual(
    released,
    Array.from({ length: 201 }, (_, i) => i),
  );
});

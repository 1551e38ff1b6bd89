import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { EMSGSIZE } from './errno.ts';
import { closeFd } from './file.ts';
import { addonSkipReason } from './load.ts';
import { mapFile } from './memory.ts';
import { bind, connect, listen, localPort, recv, socketCreate } from './socket.ts';
import {
  URING_ENTRY_BYTES,
  URING_PARAMS_BYTES,
  uringEnter,
  uringPrepareSend,
  uringSetup,
} from './uring.ts';
import { acceptComing, waitUnread } from './wait.test-data.ts';

const needsAddon = { skip: addonSkipReason() };
const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);

/** Offsets of struct io_uring_params, u32 words; linux/io_uring.h. */
const FEATURES = 5;
const SQ_TAIL = 11;
const SQ_ARRAY = 16;
const CQ_HEAD = 20;
const CQ_CQES = 25;
const FEATURE_SINGLE_MMAP = 1;
const OFFSET_SQES = 0x1000_0000;
const CQE_WORDS = 4;

test('an entry is written in the layout of the kernel, nothing beside it', needsAddon, () => {
  const entries = new Uint8Array(3 * URING_ENTRY_BYTES).fill(0xee);
  const bytes = new Uint8Array(100);
  assert.equal(uringPrepareSend(entries, 1, 77, bytes, 10, 33, 0x40, 123_456), 0);
  const view = new DataView(entries.buffer, URING_ENTRY_BYTES, URING_ENTRY_BYTES);
  assert.equal(view.getUint8(0), 47, 'IORING_OP_SEND_ZC');
  assert.equal(view.getUint16(2, true), 8, 'IORING_SEND_ZC_REPORT_USAGE');
  assert.equal(view.getInt32(4, true), 77);
  assert.equal(view.getUint32(24, true), 33);
  assert.equal(view.getUint32(28, true), 0x40);
  assert.equal(view.getBigUint64(32, true), 123_456n);
  assert.ok(entries.subarray(0, URING_ENTRY_BYTES).every((byte) => byte === 0xee));
  assert.ok(entries.subarray(2 * URING_ENTRY_BYTES).every((byte) => byte === 0xee));
});

test('an entry of more than the kernel takes at once is refused', needsAddon, () => {
  const entries = new Uint8Array(URING_ENTRY_BYTES);
  const huge = new Uint8Array(new SharedArrayBuffer(2 ** 30 + 1));
  assert.equal(uringPrepareSend(entries, 0, 1, huge, 0, huge.length, 0, 0), -EMSGSIZE);
});

interface Ring {
  readonly fd: number;
  readonly words: Int32Array;
  readonly entries: Uint8Array;
  readonly parameters: Uint32Array;
}

function makeRing(t: TestContext): Ring | null {
  const bytes = new Uint8Array(URING_PARAMS_BYTES);
  const fd = uringSetup(4, bytes);
  if (fd < 0) {
    t.skip(`io_uring_setup answers ${fd}: refused by the kernel, its settings or the container`);
    return null;
  }
  t.after(() => closeFd(fd));
  const parameters = new Uint32Array(bytes.buffer);
  assert.ok((parameters[FEATURES]! & FEATURE_SINGLE_MMAP) !== 0);
  const entries = new Uint8Array(mapFile(fd, OFFSET_SQES, 4 * URING_ENTRY_BYTES));
  return { fd, words: new Int32Array(mapFile(fd, 0, 4096)), entries, parameters };
}

function connectedPair(t: TestContext): readonly [number, number] {
  const listener = socketCreate(4);
  assert.equal(bind(listener, 4, LOOPBACK, 0, 0), 0);
  assert.equal(listen(listener, 1), 0);
  const from = socketCreate(4);
  connect(from, 4, LOOPBACK, 0, localPort(listener));
  const to = acceptComing(listener);
  t.after(() => [listener, from, to].forEach(closeFd));
  return [from, to];
}

test('a send by reference: two completions, and the use that was made', needsAddon, (t) => {
  const ring = makeRing(t);
  if (ring === null) return;
  const { fd, words, entries, parameters } = ring;
  const [from, to] = connectedPair(t);
  const bytes = new Uint8Array(new SharedArrayBuffer(4096)).fill(5);
  assert.equal(uringPrepareSend(entries, 0, from, bytes, 0, 4096, 0, 9), 0);
  Atomics.store(words, parameters[SQ_ARRAY]! / 4, 0);
  Atomics.add(words, parameters[SQ_TAIL]! / 4, 1);
  assert.equal(uringEnter(fd, 1, 2, true), 1);
  const head = Atomics.load(words, parameters[CQ_HEAD]! / 4);
  assert.equal(head, 0);
  const first = parameters[CQ_CQES]! / 4;
  const completions = [0, 1].map((i) => {
    const at = first + i * CQE_WORDS;
    return { userData: words[at], result: words[at + 2], flags: words[at + 3] };
  });
  assert.deepEqual(completions[0], { userData: 9, result: 4096, flags: 2 }, 'more will follow');
  assert.equal(completions[1]!.userData, 9);
  assert.equal(completions[1]!.flags, 8, 'the notification');
  assert.equal(completions[1]!.result! | 0, -(2 ** 31), 'loopback copies, and says so');
  waitUnread(to, 4096);
  const got = new Uint8Array(4096);
  assert.equal(recv(to, got, 0, 4096), 4096);
  assert.ok(got.every((byte) => byte === 5));
});

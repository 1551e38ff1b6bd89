import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EMFILE, EPERM } from '../toolkit/sys/errno.ts';
import { failCall } from '../toolkit/sys/faults.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  EAGAIN,
  send,
  shutdown,
  socketPair,
} from '../toolkit/sys/index.ts';
import { RecvReader, type SocketReader, SpliceReader } from './socket-reader.ts';

const skip = addonSkipReason();
const MESSAGE_BYTES = 300_001;

interface Rig extends Disposable {
  readonly sender: number;
  readonly memory: Uint8Array;
  readonly reader: SocketReader;
}

function rig(make: (fd: number, memory: Uint8Array) => SocketReader): Rig {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  const memory = new Uint8Array(MESSAGE_BYTES);
  const reader = make(ends[1]!, memory);
  return {
    sender: ends[0]!,
    memory,
    reader,
    [Symbol.dispose]() {
      reader.close();
      closeFd(ends[0]!);
      closeFd(ends[1]!);
    },
  };
}

const spliceReader = (fd: number, memory: Uint8Array): SocketReader =>
  new SpliceReader(fd, memory, MESSAGE_BYTES);
const recvReader = (fd: number, memory: Uint8Array): SocketReader => new RecvReader(fd, memory);

/** Sends a message piece by piece while it is read; returns how often nothing was to be had. */
function passMessage({ sender, memory, reader }: Rig, pieceBytes: number): number {
  const message = Uint8Array.from({ length: MESSAGE_BYTES }, (_, index) => (index * 7) & 0xff);
  let sent = 0;
  let got = 0;
  let empty = 0;
  while (got < MESSAGE_BYTES) {
    if (sent < MESSAGE_BYTES) {
      const taken = send(sender, message, sent, Math.min(pieceBytes, MESSAGE_BYTES - sent));
      if (taken > 0) sent += taken;
    }
    const left = MESSAGE_BYTES - got;
    const taken = reader.take(got, left, left);
    if (taken === -EAGAIN) empty++;
    else got += checked('take', taken);
    assert.ok(empty < 10_000, 'it goes on');
  }
  assert.deepEqual(memory, message);
  return empty;
}

for (const [name, make] of [
  ['recv', recvReader],
  ['splice', spliceReader],
] as const) {
  test(`${name}: a message in pieces of any size, then the end`, { skip }, () => {
    for (const pieceBytes of [1001, 4096, 65_536, MESSAGE_BYTES]) {
      using pair = rig(make);
      passMessage(pair, pieceBytes);
      assert.equal(pair.reader.take(0, 10, 10), -EAGAIN);
      shutdown(pair.sender, 'write');
      assert.equal(pair.reader.take(0, 10, 10), 0);
    }
  });
}

test('splice: a pipe that may not grow is emptied in between, it never hangs', { skip }, () => {
  const fault = failCall({ call: 'setPipeCapacity', nth: 1, errno: EPERM, count: 100 });
  try {
    using pair = rig(spliceReader);
    assert.equal((pair.reader as SpliceReader).pipeBytes, 65_536);
    passMessage(pair, MESSAGE_BYTES);
    assert.ok(fault.calls > 0);
  } finally {
    fault.restore();
  }
});

test('splice: the last bytes of a stream are read although no message is whole', { skip }, () => {
  using pair = rig(spliceReader);
  send(pair.sender, Uint8Array.of(1, 2, 3), 0, 3);
  assert.equal(pair.reader.take(0, 100, 100), -EAGAIN);
  shutdown(pair.sender, 'write');
  assert.equal(pair.reader.take(0, 100, 100), 3);
  assert.equal(pair.reader.take(3, 97, 97), 0);
  assert.deepEqual([...pair.memory.subarray(0, 3)], [1, 2, 3]);
});

test('splice: no pipe is an error, not a hang', { skip }, () => {
  const fault = failCall({ call: 'pipeCreate', nth: 1, errno: EMFILE });
  try {
    assert.throws(() => rig(spliceReader), { code: 'MR_SYSCALL', errnoName: 'EMFILE' });
  } finally {
    fault.restore();
  }
});

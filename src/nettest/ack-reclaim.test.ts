import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason, checked, closeFd, send, socketPair } from '../toolkit/sys/index.ts';
import { SocketAckReclaim } from './ack-reclaim.ts';

const skip = addonSkipReason();

function numbers(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(values.length * 8));
  values.forEach((value, index) => {
    view.setBigUint64(index * 8, BigInt(value), true);
  });
  return new Uint8Array(view.buffer);
}

test('the last number counts, one that has not come whole waits, the peer cannot exceed', {
  skip,
}, () => {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  try {
    const [peer, own] = [ends[0]!, ends[1]!];
    const say = (bytes: Uint8Array): void => {
      assert.equal(send(peer, bytes, 0, bytes.length), bytes.length);
    };
    const policy = new SocketAckReclaim(own);
    assert.equal(policy.safeBytes(1000), 0);
    say(numbers(100, 200));
    assert.equal(policy.safeBytes(1000), 200);
    const next = numbers(700);
    say(next.subarray(0, 3));
    assert.equal(policy.safeBytes(1000), 200);
    say(next.subarray(3));
    assert.equal(policy.safeBytes(1000), 700);
    say(numbers(600));
    assert.equal(policy.safeBytes(1000), 700, 'it never decreases');
    say(numbers(2 ** 40));
    assert.equal(policy.safeBytes(1000), 1000);
    assert.equal(policy.safeBytes(2 ** 41), 2 ** 40);
    // More numbers than one read takes.
    say(numbers(...Array.from({ length: 1500 }, (_, index) => 2 ** 40 + index)));
    assert.equal(policy.safeBytes(2 ** 41), 2 ** 40 + 1499);
  } finally {
    closeFd(ends[0]!);
    closeFd(ends[1]!);
  }
});

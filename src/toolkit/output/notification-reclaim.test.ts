import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../base/prng.ts';
import { NotificationReclaim, OPEN_CALLS_MAX } from './notification-reclaim.ts';

test('safe is what lies before the oldest call that is not done', () => {
  const calls = new NotificationReclaim();
  assert.equal(calls.safeBytes(500), 500, 'no call is open: all was copied');
  assert.deepEqual([calls.add(500), calls.add(800), calls.add(900)], [0, 1, 2]);
  assert.equal(calls.safeBytes(1000), 500);
  assert.equal(calls.complete(1, 2, false), 2, 'out of order');
  assert.equal(calls.safeBytes(1000), 500);
  assert.equal(calls.openCount, 3);
  assert.equal(calls.complete(0, 0, false), 1);
  assert.equal(calls.openCount, 0);
  assert.equal(calls.safeBytes(1000), 1000);
  assert.equal(calls.safeBytes(1200), 1200, 'bytes copied behind the last call');
});

test('notices about calls that are not open change nothing', () => {
  const calls = new NotificationReclaim();
  for (const start of [0, 10, 20, 30]) calls.add(start);
  assert.equal(calls.complete(4, 9, true), 0, 'never made');
  assert.equal(calls.complete(0, 1, false), 2);
  assert.equal(calls.complete(0, 1, true), 0, 'twice');
  assert.equal(calls.complete(3, 2, true), 0, 'a range that is none');
  assert.equal(calls.copiedInRow, 0);
  assert.equal(calls.safeBytes(40), 20);
  assert.equal(calls.complete(0, 7, false), 2, 'those of it that are open');
  assert.equal(calls.safeBytes(40), 40);
});

test('the counter wraps at 2^32, in the ring and inside a range', () => {
  const calls = new NotificationReclaim(0xffff_fffd);
  const numbers = Array.from({ length: 40 }, (_, i) => (calls.hasRoom() ? calls.add(i * 10) : -1));
  assert.deepEqual(numbers.slice(0, 5), [0xffff_fffd, 0xffff_fffe, 0xffff_ffff, 0, 1]);
  assert.equal(calls.safeBytes(400), 0);
  assert.equal(calls.complete(0xffff_fffd, 0xffff_fffd, false), 1);
  assert.equal(calls.safeBytes(400), 10);
  assert.equal(calls.complete(-1, 1, false), 3, 'as the signed words of the addon');
  assert.equal(calls.safeBytes(400), 10);
  assert.equal(calls.complete(0xffff_fffe | 0, 0xffff_fffe | 0, false), 1);
  assert.equal(calls.safeBytes(400), 50);
  assert.equal(calls.complete(2, 36, false), 35);
  assert.equal(calls.safeBytes(400), 400);
});

test('copied calls are counted in a row and over all', () => {
  const calls = new NotificationReclaim();
  for (let i = 0; i < 10; i++) calls.add(i);
  calls.complete(0, 3, true);
  assert.equal(calls.copiedInRow, 4);
  calls.complete(4, 4, false);
  assert.equal(calls.copiedInRow, 0);
  calls.complete(5, 6, true);
  assert.deepEqual([calls.copiedInRow, calls.copiedCount], [2, 6]);
});

test('a call that took nothing is taken back, before and after its notice', () => {
  const calls = new NotificationReclaim();
  calls.add(0);
  calls.cancel(calls.add(100));
  assert.equal(calls.openCount, 1);
  const again = calls.add(100);
  assert.equal(again, 1);
  calls.complete(again, again, false);
  calls.cancel(again);
  assert.equal(calls.openCount, 1);
  calls.complete(0, 0, false);
  const last = calls.add(200);
  calls.complete(last, last, false);
  calls.cancel(last);
  assert.equal(calls.openCount, 0);
  assert.throws(() => calls.cancel(0), { code: 'MR_ASSERT' });
});

test('it is bounded: a full ledger is an answer', () => {
  const calls = new NotificationReclaim(0xffff_ff00);
  for (let i = 0; i < OPEN_CALLS_MAX; i++) {
    assert.ok(calls.hasRoom());
    calls.add(i);
  }
  assert.ok(!calls.hasRoom());
  assert.throws(() => calls.add(0), { code: 'MR_ASSERT' });
  assert.equal(calls.safeBytes(OPEN_CALLS_MAX), 0);
  calls.complete(0xffff_ff00, 0xffff_ff09, false);
  assert.equal(calls.safeBytes(OPEN_CALLS_MAX), 10);
  assert.ok(calls.hasRoom());
});

test('it agrees with a list of calls, in any order of notices', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  const below = (limit: number): number => prng.nextU32() % limit;
  const calls = new NotificationReclaim(0xffff_ffff - below(500));
  const open: { call: number; start: number; isDone: boolean }[] = [];
  let sent = 0;
  for (let turn = 0; turn < 20_000; turn++) {
    const wanted = below(3);
    if (wanted === 0 && calls.hasRoom()) {
      open.push({ call: calls.add(sent), start: sent, isDone: false });
      sent += 1 + below(5000);
    } else if (wanted === 1) {
      sent += below(100);
    } else if (open.length > 0) {
      const low = below(open.length);
      const high = Math.min(open.length - 1, low + below(6));
      const news = open.slice(low, high + 1).filter((one) => !one.isDone);
      const found = calls.complete(open[low]!.call, open[high]!.call, below(2) === 0);
      assert.equal(found, news.length);
      for (const one of news) one.isDone = true;
      while (open[0]?.isDone) open.shift();
    }
    assert.equal(calls.safeBytes(sent), open[0]?.start ?? sent);
    assert.equal(calls.openCount, open.length);
  }
});

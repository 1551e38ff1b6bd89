import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idleArm } from './idle-kernel.ts';
import type { IdleSleeper } from './idle-sleeper.ts';
import { type IdleKind, type IdleOptions, IdleStrategy } from './idle-strategy.ts';

/** Longer than any machine stops for: who sleeps so long was not woken. */
const LONG_MS = 60_000;
const never = (): boolean => false;

interface Pair {
  readonly strategy: IdleStrategy;
  readonly sleeper: IdleSleeper;
  readonly yields: () => number;
}

function make(options: IdleOptions): Pair {
  const strategy = IdleStrategy.create(options);
  let yields = 0;
  const yieldCpu = (): void => {
    yields++;
  };
  const sleeper = IdleStrategy.sleeper(strategy.handle, { yieldCpu });
  return { strategy, sleeper, yields: () => yields };
}

test('a waker finds nobody asleep: nothing is written', () => {
  const { strategy, sleeper } = make({});
  const waker = IdleStrategy.waker(strategy.handle);
  assert.equal(waker.wake(), false);
  sleeper.idle(1);
  assert.equal(waker.wake(), false);
  assert.equal(strategy.isAsleep(), false);
});

test('the ladder: look again, yield, then what the kind says; and down again with work', () => {
  const wanted: Readonly<Record<IdleKind, number>> = { spin: 0, yield: 17, park: 4, backoff: 4 };
  for (const [kind, yieldsWanted] of Object.entries(wanted) as [IdleKind, number][]) {
    const { strategy, sleeper, yields } = make({
      kind,
      spinCount: 3,
      yieldCount: 4,
      parkMs: 0.01,
      backoffMs: 0.01,
      backoffMsMax: 0.1,
    });
    for (let round = 1; round <= 2; round++) {
      for (let call = 0; call < 3; call++) sleeper.idle(0);
      assert.equal(yields(), (round - 1) * yieldsWanted, `${kind}: the first three look again`);
      for (let call = 0; call < 17; call++) sleeper.idle(0);
      assert.equal(yields(), round * yieldsWanted, kind);
      assert.equal(sleeper.idleCount, 20);
      sleeper.idle(5);
      assert.equal(sleeper.idleCount, 0);
      assert.equal(strategy.isAsleep(), false);
    }
  }
});

test('idle() parks in two calls: it says so, the caller looks, and then it sleeps', () => {
  const { strategy, sleeper } = make({ spinCount: 1, yieldCount: 1, parkMs: LONG_MS });
  const waker = IdleStrategy.waker(strategy.handle);
  sleeper.idle(0);
  sleeper.idle(0);
  assert.equal(strategy.isAsleep(), false);
  sleeper.idle(0);
  assert.equal(strategy.isAsleep(), true, 'wakers are told before the next look');
  // Work that comes after the look wakes it, and only one of the wakers needs to.
  assert.equal(waker.wake(), true);
  assert.equal(waker.wake(), false);
  sleeper.idle(0);
  // Work that the look finds: no sleep, and wakers are told again.
  sleeper.idle(0);
  assert.equal(strategy.isAsleep(), true);
  sleeper.idle(1);
  assert.equal(strategy.isAsleep(), false);
});

test('park: not at all with work, not when woken before the wait, else until the time', () => {
  const { strategy, sleeper } = make({ kind: 'spin' });
  const waker = IdleStrategy.waker(strategy.handle);
  const look = (): boolean => {
    assert.ok(strategy.isAsleep(), 'the look comes after the flag');
    return true;
  };
  assert.equal(sleeper.park(LONG_MS, look), true);
  assert.ok(!strategy.isAsleep());
  assert.equal(
    sleeper.park(LONG_MS, () => !waker.wake()),
    true,
  );
  assert.ok(!strategy.isAsleep());
  assert.equal(sleeper.park(1, never), false);
  assert.ok(!strategy.isAsleep());
});

test('doze is deaf: wakers pay nothing', () => {
  const { strategy, sleeper } = make({});
  const beganMs = performance.now();
  sleeper.doze(5);
  assert.ok(performance.now() - beganMs > 4);
  assert.equal(IdleStrategy.waker(strategy.handle).wake(), false);
});

test('back-off: doubled up to the most, and small again after work', () => {
  const { sleeper } = make({
    kind: 'backoff',
    spinCount: 0,
    yieldCount: 0,
    backoffMs: 1,
    backoffMsMax: 8,
  });
  const msOf = (calls: number): number => {
    const beganMs = performance.now();
    for (let call = 0; call < calls; call++) sleeper.idle(0);
    return performance.now() - beganMs;
  };
  // 1 + 2 + 4 + 8 + 8: a sleep is never shorter than asked, but for the clock's grain.
  assert.ok(msOf(5) > 22);
  sleeper.idle(1);
  assert.ok(msOf(3) > 6);
});

test('one sleeper at a time; the next one starts awake', () => {
  const { strategy, sleeper } = make({});
  const asserted = { code: 'MR_ASSERT' };
  assert.throws(() => IdleStrategy.sleeper(strategy.handle), asserted);
  assert.equal(strategy.sleeperState(), 'held');
  sleeper.close();
  assert.equal(strategy.sleeperState(), 'closed');
  IdleStrategy.sleeper(structuredClone(strategy.handle));
  idleArm(new Int32Array(strategy.handle.buffer));
  assert.ok(strategy.abandonSleeper(), 'its thread died asleep');
  assert.ok(!strategy.abandonSleeper());
  assert.equal(strategy.sleeperState(), 'abandoned');
  assert.ok(strategy.isAsleep());
  IdleStrategy.sleeper(strategy.handle);
  assert.ok(!strategy.isAsleep());
});

test('options out of bounds are asserted', () => {
  const wrong: IdleOptions[] = [
    { spinCount: -1 },
    { yieldCount: -1 },
    { parkMs: 0 },
    { parkMs: Infinity },
    { backoffMs: 0 },
    { backoffMs: 11 },
    { backoffMsMax: Infinity },
  ];
  for (const options of wrong) {
    assert.throws(() => IdleStrategy.create(options), { code: 'MR_ASSERT' });
  }
});

test('waitAsync: woken, work at once, woken before the wait, time over', async () => {
  const { strategy, sleeper } = make({});
  const waker = IdleStrategy.waker(strategy.handle);
  const waiting = sleeper.waitAsync(LONG_MS, never);
  assert.ok(strategy.isAsleep());
  assert.ok(waker.wake());
  assert.equal(await waiting, true);
  assert.ok(!strategy.isAsleep());
  assert.equal(await sleeper.waitAsync(LONG_MS, () => true), true);
  assert.ok(!strategy.isAsleep());
  assert.equal(await sleeper.waitAsync(LONG_MS, () => !waker.wake()), true);
  assert.equal(await sleeper.waitAsync(1, never), false);
  assert.ok(!strategy.isAsleep());
});

test('waitAsync leaves no waiter behind when the time is over', async () => {
  const { strategy, sleeper } = make({});
  const words = new Int32Array(strategy.handle.buffer);
  for (let round = 0; round < 20; round++) await sleeper.waitAsync(0.1, never);
  assert.equal(Atomics.notify(words, 0), 0, 'nobody waits');
  const waiting = sleeper.waitAsync(LONG_MS, never);
  assert.equal(Atomics.notify(words, 0), 1, 'and one while it waits');
  assert.equal(await waiting, true);
});

test('waitAsync: one way of waiting at a time, and close ends it', async () => {
  const { strategy, sleeper } = make({});
  const waiting = sleeper.waitAsync(LONG_MS, never);
  await assert.rejects(sleeper.waitAsync(LONG_MS, never), { code: 'MR_ASSERT' });
  assert.throws(() => sleeper.park(1, never), { code: 'MR_ASSERT' });
  sleeper.close();
  assert.equal(await waiting, false);
  assert.ok(!strategy.isAsleep());
  await assert.rejects(sleeper.waitAsync(1, never), { code: 'MR_ASSERT' });
  assert.equal(strategy.sleeperState(), 'closed');
});

test('waitAsync of a sleeper that has closed lets the next one sleep, and be woken', async () => {
  const { strategy, sleeper } = make({});
  const first = sleeper.waitAsync(1, never);
  sleeper.close();
  const next = IdleStrategy.sleeper(strategy.handle);
  const second = next.waitAsync(LONG_MS, never);
  assert.equal(await first, false);
  assert.ok(strategy.isAsleep(), 'the flag is the next one’s');
  assert.ok(IdleStrategy.waker(strategy.handle).wake());
  assert.equal(await second, true);
  next.close();
});

test('waitAsync for ever does not end at once', async () => {
  const { strategy, sleeper } = make({});
  const waiting = sleeper.waitAsync(Infinity, never);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(strategy.isAsleep());
  sleeper.close();
  assert.equal(await waiting, false);
});

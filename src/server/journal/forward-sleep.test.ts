/**
 * Forward sleep between threads: a wake-up that is missed shows as a sleep that nobody ends.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isMainThread, workerData } from 'node:worker_threads';
import { Prng } from '../../toolkit/base/prng.ts';
import { newSeed, startThread } from '../../toolkit/ring/threads.test-data.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollWait,
  eventfdClear,
  eventfdCreate,
} from '../../toolkit/sys/index.ts';
import { ForwardSleep, ForwardWaker } from './forward-sleep.ts';
import { JournalShared, type JournalSharedHandle } from './shared.ts';

const needsAddon = { skip: addonSkipReason() };
const LOST_MS = 20_000;
const ROUNDS = 20_000;
const STEP = 2 ** 31 + 12_345;

interface Job {
  readonly role: 'publish' | 'sleep';
  readonly handle: JournalSharedHandle;
  readonly wakeFd: number;
  /** One int32: rounds that the sleeper has seen. */
  readonly seen: SharedArrayBuffer;
  readonly seed: number;
}

/** Some thousands of cycles at most, so that the two meet at any place of their protocol. */
function spin(prng: Prng): void {
  for (let i = prng.chance(0.1) ? 3_000 : prng.below(300); i > 0; i--) prng.below(2);
}

function publish({ handle, wakeFd, seen, seed }: Job): void {
  const prng = new Prng(seed);
  const shared = new JournalShared(handle);
  const waker = new ForwardWaker(handle, wakeFd);
  const words = new Int32Array(seen);
  for (let round = 1; round <= ROUNDS; round++) {
    shared.publish(round * STEP, round);
    waker.wake(round * STEP);
    while (Atomics.load(words, 0) < round) {
      const got = Atomics.load(words, 0);
      if (got < round)
        assert.notEqual(Atomics.wait(words, 0, got, LOST_MS), 'timed-out', `${round}`);
    }
    spin(prng);
  }
}

function sleep({ handle, wakeFd, seen, seed }: Job): void {
  const prng = new Prng(seed ^ 1);
  const shared = new JournalShared(handle);
  const sleeper = new ForwardSleep(handle, wakeFd);
  const epollFd = checked('epoll', epollCreate());
  checked('epoll_ctl', epollAdd(epollFd, wakeFd, EPOLLIN, 0));
  const pairs = new Int32Array(2);
  const words = new Int32Array(seen);
  let done = 0;
  while (done < ROUNDS) {
    const seenPosition = shared.publishedPosition;
    if (seenPosition > done * STEP) {
      done = seenPosition / STEP;
      Atomics.store(words, 0, done);
      Atomics.notify(words, 0);
      spin(prng);
      continue;
    }
    spin(prng);
    if (!sleeper.arm(seenPosition)) continue;
    const ready = epollWait(epollFd, pairs, 1, LOST_MS);
    assert.notEqual(ready, 0, `nobody woke it after ${done}`);
    sleeper.disarm(true);
  }
  closeFd(epollFd);
}

function runTests(): void {
  test('no wake-up is missed', needsAddon, async (t) => {
    const seed = newSeed();
    t.diagnostic(`seed ${seed}`);
    const { handle } = JournalShared.create();
    const wakeFd = checked('eventfd', eventfdCreate());
    const seen = new SharedArrayBuffer(4);
    const job = { handle, wakeFd, seen, seed };
    const roles = ['publish', 'sleep'] as const;
    await Promise.all(
      roles.map(async (role) => await startThread(import.meta.url, { ...job, role }).ended),
    );
    assert.equal(new Int32Array(seen)[0], ROUNDS);
    closeFd(wakeFd);
  });

  test('awake costs no signal; a flag that is set is answered once', needsAddon, () => {
    const { handle } = JournalShared.create();
    const shared = new JournalShared(handle);
    const wakeFd = checked('eventfd', eventfdCreate());
    const sleeper = new ForwardSleep(handle, wakeFd);
    const waker = new ForwardWaker(handle, wakeFd);
    const publishAt = (position: number): boolean => {
      shared.publish(position, 1);
      return waker.wake(position);
    };
    assert.ok(!publishAt(10));
    assert.ok(!sleeper.arm(0), 'published since the look');
    assert.ok(sleeper.arm(10));
    assert.ok(publishAt(20));
    assert.ok(!publishAt(30));
    sleeper.disarm(true);
    assert.ok(sleeper.arm(30));
    sleeper.disarm(false);
    assert.ok(!publishAt(40));
    assert.ok(eventfdClear(wakeFd) < 0, 'no signal is left');
    // 4 GiB further the low half of the position is the same.
    assert.ok(!publishAt(40 + 2 ** 32));
    assert.ok(!sleeper.arm(40));
    // A forwarder that died asleep leaves nothing to its successor.
    assert.ok(sleeper.arm(40 + 2 ** 32));
    new ForwardSleep(handle, wakeFd).disarm(false);
    assert.ok(!publishAt(50 + 2 ** 32));
    closeFd(wakeFd);
  });
}

if (isMainThread) runTests();
else {
  const job = workerData as Job;
  if (job.role === 'publish') publish(job);
  else sleep(job);
}

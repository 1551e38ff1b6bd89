import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { MillraceError } from '../base/errors.ts';
import {
  addonSkipReason,
  checked,
  closeFd,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  failCall,
  openFile,
  recv,
  send,
  shutdown,
  socketPair,
} from '../sys/index.ts';
import { taskNames } from '../sys/tasks.test-data.ts';
import { FdReadiness, NOT_WATCHED } from './readiness.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 120_000 };
const BYTE = Uint8Array.of(7);

function pair(t: TestContext): readonly [number, number] {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  t.after(() => {
    for (const fd of ends) closeFd(fd);
  });
  return [ends[0]!, ends[1]!];
}

function open(t: TestContext): FdReadiness {
  const readiness = new FdReadiness();
  t.after(() => readiness.close());
  return readiness;
}

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MillraceError && error.code === code;
}

test(
  'an fd that is ready, becomes ready, or hangs up is told once per wait',
  needsAddon,
  async (t) => {
    const readiness = open(t);
    const [fd, peer] = pair(t);
    assert.equal(await readiness.wait(fd, EPOLLOUT), EPOLLOUT);
    const readable = readiness.wait(fd, EPOLLIN);
    assert.equal(readiness.armedCount, 1);
    checked('send', send(peer, BYTE, 0, 1));
    assert.equal(await readable, EPOLLIN);
    assert.equal(readiness.armedCount, 0);
    // Still readable: the next wait is told again.
    assert.equal(await readiness.wait(fd, EPOLLIN | EPOLLOUT), EPOLLIN | EPOLLOUT);
    checked('recv', recv(fd, new Uint8Array(1), 0, 1));
    const hungUp = readiness.wait(fd, EPOLLIN);
    checked('shutdown', shutdown(peer, 'both'));
    assert.ok(((await hungUp) & EPOLLHUP) !== 0);
  },
);

test('a reader and a writer of one fd wait independently', needsAddon, async (t) => {
  const readiness = open(t);
  const [fd, peer] = pair(t);
  const filler = new Uint8Array(65_536);
  while (send(fd, filler, 0, filler.length) > 0);
  const order: string[] = [];
  const writable = readiness.wait(fd, EPOLLOUT).then((ready) => order.push(`out ${ready}`));
  const readable = readiness.wait(fd, EPOLLIN).then((ready) => order.push(`in ${ready}`));
  checked('send', send(peer, BYTE, 0, 1));
  await readable;
  assert.deepEqual(order, [`in ${EPOLLIN}`]);
  while (recv(peer, filler, 0, filler.length) > 0);
  await writable;
  assert.deepEqual(order, [`in ${EPOLLIN}`, `out ${EPOLLOUT}`]);
});

test(
  '100 fds, many rounds: each event reaches the one that waits for it',
  needsAddon,
  async (t) => {
    const readiness = open(t);
    const pairs = Array.from({ length: 100 }, () => pair(t));
    const received = new Int32Array(pairs.length);
    const watches = pairs.map(([fd], index) => {
      const byte = new Uint8Array(1);
      const watch = readiness.watch(fd, (events) => {
        assert.equal(events, EPOLLIN);
        assert.equal(recv(fd, byte, 0, 1), 1);
        assert.equal(byte[0], index);
        received[index]! += 1;
        watch.arm(EPOLLIN);
      });
      watch.arm(EPOLLIN);
      return watch;
    });
    const ROUNDS = 20;
    for (let round = 1; round <= ROUNDS; round++) {
      pairs.forEach(([, peer], index) => {
        checked('send', send(peer, Uint8Array.of(index), 0, 1));
      });
      while (received.some((count) => count < round)) await turn();
    }
    assert.ok(received.every((count) => count === ROUNDS));
    for (const watch of watches) watch.close();
    assert.equal(readiness.armedCount, 0);
  },
);

test('the event loop is not blocked while fds are waited for', needsAddon, async (t) => {
  const readiness = open(t);
  const [fd, peer] = pair(t);
  const waiting = readiness.wait(fd, EPOLLIN);
  let turns = 0;
  for (; turns < 1_000; turns++) await turn();
  assert.equal(turns, 1_000);
  checked('send', send(peer, BYTE, 0, 1));
  assert.equal(await waiting, EPOLLIN);
});

test(
  'cancel before close: the wait ends, and the number may be used again',
  needsAddon,
  async (t) => {
    const readiness = open(t);
    // Once the helper answers, it opens no more fds: numbers are used again in order.
    assert.equal(await readiness.wait(pair(t)[0], EPOLLOUT), EPOLLOUT);
    const ends = new Int32Array(2);
    checked('socketpair', socketPair(ends));
    const [fd, peer] = ends as unknown as [number, number];
    const waiting = readiness.wait(fd, EPOLLIN);
    readiness.cancel(fd);
    closeFd(fd);
    closeFd(peer);
    assert.equal(await waiting, NOT_WATCHED);
    assert.equal(readiness.armedCount, 0);
    const [again] = pair(t);
    assert.equal(again, fd, 'the lowest free number');
    assert.equal(await readiness.wait(again, EPOLLOUT), EPOLLOUT);
  },
);

test(
  'an fd closed while it is waited for: told when its number is used again',
  needsAddon,
  async (t) => {
    const readiness = open(t);
    // Once the helper answers, it opens no more fds: numbers are used again in order.
    assert.equal(await readiness.wait(pair(t)[0], EPOLLOUT), EPOLLOUT);
    const ends = new Int32Array(2);
    checked('socketpair', socketPair(ends));
    const [fd, peer] = ends as unknown as [number, number];
    const lost = readiness.wait(fd, EPOLLIN);
    closeFd(fd);
    closeFd(peer);
    await assert.rejects(readiness.wait(fd, EPOLLIN), isCode('MR_SYSCALL'));
    assert.equal(await lost, NOT_WATCHED, 'a failed wait ends the others of that number');

    checked('socketpair', socketPair(ends));
    assert.equal(ends[0], fd);
    const lostAgain = readiness.wait(fd, EPOLLIN);
    closeFd(fd);
    closeFd(peer);
    const [reused] = pair(t);
    assert.equal(reused, fd);
    assert.equal(await readiness.wait(reused, EPOLLOUT), EPOLLOUT);
    assert.equal(await lostAgain, NOT_WATCHED);
    assert.equal(readiness.armedCount, 0);
  },
);

test('a file cannot be waited for, an fd has one watch', needsAddon, async (t) => {
  const readiness = open(t);
  const file = checked('open', openFile(process.execPath, ['read']));
  t.after(() => closeFd(file));
  await assert.rejects(readiness.wait(file, EPOLLIN), isCode('MR_SYSCALL'));
  assert.equal(readiness.armedCount, 0);
  const [fd] = pair(t);
  const watch = readiness.watch(fd, () => {});
  assert.throws(() => readiness.watch(fd, () => {}), isCode('MR_ASSERT'));
  watch.close();
  watch.close();
  readiness.watch(fd, () => {}).close();
});

test('what was posted for an earlier watch of the slot is dropped', needsAddon, async (t) => {
  const readiness = open(t);
  const [first] = pair(t);
  const [second, peer] = pair(t);
  const told: string[] = [];
  const warm = readiness.watch(first, () => told.push('warm'));
  warm.arm(EPOLLOUT);
  while (told.length === 0) await turn();
  // The helper posts at once; this loop does not turn before the slot has another watch.
  warm.arm(EPOLLOUT);
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
  warm.close();
  const later = readiness.watch(second, (events) => told.push(`later ${events}`));
  later.arm(EPOLLIN);
  await sleep(20);
  assert.deepEqual(told, ['warm']);
  checked('send', send(peer, BYTE, 0, 1));
  while (told.length === 1) await turn();
  assert.deepEqual(told, ['warm', `later ${EPOLLIN}`]);
});

test('a callback that throws does not keep others from being told', needsAddon, async (t) => {
  const readiness = open(t);
  const pairs = [pair(t), pair(t), pair(t)];
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  try {
    let count = 0;
    for (const [fd] of pairs) {
      readiness
        .watch(fd, () => {
          count += 1;
          throw new Error('planted');
        })
        .arm(EPOLLOUT);
    }
    while (count < 3) await turn();
    await turn();
    assert.equal(uncaught.length, 3);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
});

test('close ends everything: waits, thread, fds', needsAddon, async (t) => {
  const fdsBefore = readdirSync('/proc/self/fd').length;
  const [fd, peer] = pair(t);
  const readiness = new FdReadiness();
  const waiting = readiness.wait(fd, EPOLLIN);
  let told = -1;
  readiness.watch(peer, (events) => (told = events)).arm(EPOLLIN);
  while (!taskNames().includes('readiness')) await sleep(5);
  await readiness.close();
  await readiness.close();
  assert.equal(await waiting, NOT_WATCHED);
  assert.equal(told, NOT_WATCHED);
  assert.equal(taskNames().includes('readiness'), false);
  await assert.rejects(readiness.wait(fd, EPOLLIN), isCode('MR_ASSERT'));
  assert.equal(readdirSync('/proc/self/fd').length, fdsBefore + 2);
});

/** Numbers of the epolls that this process has. */
function epollFds(): ReadonlySet<number> {
  const found = new Set<number>();
  for (const fd of readdirSync('/proc/self/fd')) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:[eventpoll]') found.add(Number(fd));
    } catch (error) {
      // The fd by which the folder was read is closed by now.
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    }
  }
  return found;
}

test('a helper that dies is an error for all that wait, and later', needsAddon, async (t) => {
  const [fd] = pair(t);
  const before = epollFds();
  const readiness = new FdReadiness();
  const epollFd = [...epollFds()].find((one) => !before.has(one))!;
  assert.equal(await readiness.wait(fd, EPOLLOUT), EPOLLOUT);
  const dead = assert.rejects(readiness.wait(fd, EPOLLIN), isCode('MR_WORKER_DIED'));
  // Another file under the number of the epoll: the next epoll_wait fails.
  closeFd(epollFd);
  const opened: number[] = [];
  while (!opened.includes(epollFd)) opened.push(checked('open', openFile('/dev/null', ['read'])));
  await dead;
  await assert.rejects(readiness.wait(fd, EPOLLIN), isCode('MR_WORKER_DIED'));
  assert.equal(readiness.armedCount, 0);
  await readiness.close();
  for (const one of opened) if (one !== epollFd) closeFd(one);
});

test('fds that cannot be had are an error, and none is left', needsAddon, () => {
  const before = readdirSync('/proc/self/fd').length;
  for (const call of ['epollCreate', 'eventfdCreate', 'epollControl'] as const) {
    const fault = failCall({ call, nth: 1, errno: 24 });
    assert.throws(() => new FdReadiness(), isCode('MR_SYSCALL'));
    fault.restore();
    assert.equal(readdirSync('/proc/self/fd').length, before, call);
  }
});

/** Runs code in a process of its own; answers how long it took, or fails. */
function runAlone(code: string): { readonly status: number | null; readonly text: string } {
  const output = new URL('./readiness.js', import.meta.url).href;
  const sys = new URL('../sys/index.js', import.meta.url).href;
  const head = `
    import { FdReadiness } from '${output}';
    import * as sys from '${sys}';
    const ends = new Int32Array(2);
    sys.socketPair(ends);
    const readiness = new FdReadiness();`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', head + code], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  return { status: run.status, text: run.stdout + run.stderr };
}

test('a process ends by itself when nothing waits, and at once by process.exit', needsAddon, () => {
  const idle = runAlone(`await readiness.wait(ends[0], sys.EPOLLOUT); console.log('done');`);
  assert.deepEqual(idle, { status: 0, text: 'done\n' });
  const exited = runAlone(`
    void readiness.wait(ends[0], sys.EPOLLIN);
    setTimeout(() => process.exit(3), 50);`);
  assert.deepEqual(exited, { status: 3, text: '' });
});

test('a process stays alive while something waits', needsAddon, () => {
  const late = runAlone(`
    readiness.wait(ends[0], sys.EPOLLIN).then(() => console.log('told'));
    setTimeout(() => sys.send(ends[1], Uint8Array.of(1), 0, 1), 200).unref();
    const timer = setInterval(() => {}, 100);
    setTimeout(() => clearInterval(timer), 250);`);
  assert.deepEqual(late, { status: 0, text: 'told\n' });
});

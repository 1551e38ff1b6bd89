/**
 * Readiness worker: the thread that waits in epoll_wait(2), so that an event loop need not.
 *
 * OWNERSHIP   The epoll and the eventfd belong to readiness.ts, which changes what is waited for
 *             from its own thread: epoll_ctl(2) is made for that. This thread waits and tells.
 * INVARIANTS  It ends when the eventfd is signalled, and never waits longer than WAIT_MS: a thread
 *             inside a system call cannot be stopped by Node.js.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { checked, EPOLL_WAIT_EVENTS_MAX, epollWait, setThreadName } from '../sys/index.ts';
import { type ReadinessSetup, STOP_TOKEN } from './readiness-setup.ts';

const WAIT_MS = 1_000;

function run({ epollFd }: ReadinessSetup): void {
  const pairs = new Int32Array(2 * EPOLL_WAIT_EVENTS_MAX);
  setThreadName('readiness');
  for (let isStopping = false; !isStopping; ) {
    const wait = epollWait(epollFd, pairs, EPOLL_WAIT_EVENTS_MAX, WAIT_MS);
    const count = checked('epoll_wait', wait);
    for (let at = 0; at < 2 * count; at += 2) isStopping ||= pairs[at] === STOP_TOKEN;
    if (count > 0) parentPort!.postMessage(pairs.slice(0, 2 * count));
  }
}

run(workerData as ReadinessSetup);

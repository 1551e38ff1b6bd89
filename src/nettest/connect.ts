/**
 * Connect: so many connections to one target, all or none.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  checked,
  closeFd,
  connectTo,
  EAGAIN,
  EINPROGRESS,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
  errnoName,
  getSocketOption,
  setCongestionControl,
  setSocketOption,
  socketCreate,
} from '../toolkit/sys/index.ts';
import { formatTarget, type ResolvedTarget, resolveTarget, type Target } from './target.ts';

const TIMEOUT_MS = 10_000;
const STEP_MS = 20;

export interface ConnectOptions {
  /** SO_SNDBUF, or null: the kernel's own. */
  readonly sendBufferBytes: number | null;
  /** TCP_CONGESTION by name, or null: the kernel's own. */
  readonly congestion: string | null;
}

/** Connected sockets, non-blocking. Errors: MR_ADDRESS, MR_CONNECT, MR_USAGE, MR_SYSCALL. */
export async function connectAll(
  target: Target,
  count: number,
  options: ConnectOptions,
): Promise<readonly number[]> {
  const resolved = await resolveTarget(target);
  const fds: number[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const fd = checked('socket', socketCreate(resolved.family), formatTarget(target));
      fds.push(fd);
      setOptions(fd, options);
      await connectOne(fd, resolved, target);
    }
    return fds;
  } catch (error) {
    for (const fd of fds) closeFd(fd);
    throw error;
  }
}

function setOptions(fd: number, { sendBufferBytes, congestion }: ConnectOptions): void {
  if (sendBufferBytes !== null) {
    checked('setsockopt', setSocketOption(fd, 'sendBufferBytes', sendBufferBytes));
  }
  if (congestion === null) return;
  const result = setCongestionControl(fd, congestion);
  if (result >= 0) return;
  throw new MillraceError(
    'MR_USAGE',
    `the congestion control "${congestion}" is not to be had: ${errnoName(result)}`,
    'see sysctl net.ipv4.tcp_allowed_congestion_control; UNIX sockets have none',
  );
}

async function connectOne(fd: number, resolved: ResolvedTarget, target: Target): Promise<void> {
  const endMs = monotonicMs() + TIMEOUT_MS;
  for (;;) {
    let result = connectTo(fd, resolved.sockaddr);
    if (result === -EINPROGRESS) {
      await untilWritable(fd, endMs, target);
      result = -getSocketOption(fd, 'pendingError');
    }
    if (result >= 0) return;
    // A UNIX listener whose queue is full: nothing but asking again helps.
    if (result !== -EAGAIN || monotonicMs() > endMs) {
      throw connectError(target, errnoName(result));
    }
    await sleep(STEP_MS);
  }
}

async function untilWritable(fd: number, endMs: number, target: Target): Promise<void> {
  const epollFd = checked('epoll_create', epollCreate());
  const pairs = new Int32Array(2);
  try {
    checked('epoll_ctl', epollAdd(epollFd, fd, EPOLLOUT, 0));
    while (epollWait(epollFd, pairs, 1, 0) === 0) {
      if (monotonicMs() > endMs) throw connectError(target, 'ETIMEDOUT');
      await sleep(1);
    }
  } finally {
    closeFd(epollFd);
  }
}

function connectError(target: Target, name: string): MillraceError {
  const where = formatTarget(target);
  const receiver = target.kind === 'unix' ? where : target.port;
  return new MillraceError(
    'MR_CONNECT',
    `no connection to ${where}: ${name}`,
    `start the receiver first: millrace nettest recv -r ${receiver}`,
  );
}

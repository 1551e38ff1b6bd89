/**
 * One attempt of the probe: tries a thing on file descriptors of its own, and answers in any case.
 *
 * WHY         A probe asks what a kernel, a container or an emulation really does. Every refusal is
 *             an answer, and nothing that was opened stays open.
 * INVARIANTS  1. no attempt waits longer than WAIT_MS_MAX for one event  2. all fds are closed
 */
import { MillraceError } from '../base/errors.ts';
import {
  accept4,
  bindTo,
  checked,
  closeFd,
  connectTo,
  EINPROGRESS,
  EPOLLIN,
  EPOLLOUT,
  ETIMEDOUT,
  epollAdd,
  epollCreate,
  epollWait,
  getSocketOption,
  ipSockaddr,
  listen,
  localPort,
  PEER_BYTES,
  pipeCreate,
  SyscallError,
  setSocketOption,
  socketCreate,
  socketPair,
} from '../sys/index.ts';

export interface ProbeItem {
  readonly available: boolean;
  /** For people: what was found. */
  readonly detail: string;
}

export type Keep = (fd: number) => number;

export const PROBE_BYTES = 4096;
const WAIT_MS_MAX = 250;

export function offered(detail: string): ProbeItem {
  return { available: true, detail };
}

export function refused(detail: string): ProbeItem {
  return { available: false, detail };
}

/** Runs a check; what it keeps is closed after it, and a call that failed is a refusal. */
export function attempt(check: (keep: Keep) => ProbeItem): ProbeItem {
  const fds: number[] = [];
  try {
    return check((fd) => {
      fds.push(fd);
      return fd;
    });
  } catch (error) {
    if (error instanceof SyscallError) return refused(`${error.syscall}: ${error.errnoName}`);
    const isRefusal = error instanceof MillraceError && error.code === 'MR_OUTPUT_MECHANISM';
    if (!isRefusal) throw error;
    return refused(error.message);
  } finally {
    for (const fd of fds) closeFd(fd);
  }
}

/** A pipe: [read end, write end]. */
export function openPipe(keep: Keep): readonly [number, number] {
  const ends = new Int32Array(2);
  checked('pipe', pipeCreate(ends));
  return [keep(ends[0]!), keep(ends[1]!)];
}

/** A UNIX stream: [sender, receiver]. */
export function openUnixPair(keep: Keep): readonly [number, number] {
  const ends = new Int32Array(2);
  checked('socketpair', socketPair(ends));
  return [keep(ends[0]!), keep(ends[1]!)];
}

const LOOPBACKS = [
  { family: 4, address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1] },
  { family: 6, address: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] },
] as const;

/**
 * A TCP connection over loopback, by IPv4 or else IPv6: [sender, receiver]. The receiver is
 * readable when PROBE_BYTES are there.
 */
export function openTcpPair(keep: Keep): readonly [number, number] {
  let failed: unknown;
  for (const { family, address } of LOOPBACKS) {
    try {
      return connectPair(keep, family, Uint8Array.from(address));
    } catch (error) {
      if (!(error instanceof SyscallError)) throw error;
      failed ??= error;
    }
  }
  throw failed;
}

function connectPair(keep: Keep, family: 4 | 6, address: Uint8Array): readonly [number, number] {
  const listener = keep(checked('socket', socketCreate(family)));
  checked('bind', bindTo(listener, ipSockaddr(family, address, 0)!));
  checked('listen', listen(listener, 1));
  const port = checked('getsockname', localPort(listener));
  const sender = keep(checked('socket', socketCreate(family)));
  const result = connectTo(sender, ipSockaddr(family, address, port)!);
  if (result !== -EINPROGRESS) checked('connect', result);
  waitFor(sender, EPOLLOUT);
  checked('connect', -getSocketOption(sender, 'pendingError'));
  waitFor(listener, EPOLLIN);
  const receiver = keep(checked('accept4', accept4(listener, new Uint8Array(PEER_BYTES))));
  // What a probe sends may come in pieces, by the MTU: readable means all of it.
  checked('SO_RCVLOWAT', setSocketOption(receiver, 'receiveLowWaterBytes', PROBE_BYTES));
  return [sender, receiver];
}

/** Waits for an event, errors and hang-ups included; throws ETIMEDOUT. */
export function waitFor(fd: number, events: number): void {
  const epollFd = checked('epoll_create', epollCreate());
  try {
    checked('epoll_ctl', epollAdd(epollFd, fd, events, 0));
    const ready = checked('epoll_wait', epollWait(epollFd, new Int32Array(2), 1, WAIT_MS_MAX));
    if (ready === 0) throw new SyscallError('poll', -ETIMEDOUT);
  } finally {
    closeFd(epollFd);
  }
}

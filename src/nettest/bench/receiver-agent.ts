/**
 * Receiver agent: the same for every row of the bench: recv into one fixed buffer.
 *
 * WHY         What differs between rows must be the sender alone. The receiver reads every byte
 *             (one copy, as any program that wants the data), checks nothing, and its CPU time is
 *             reported beside the sender's, because what one saves the other may pay.
 */

import { MillraceError } from '../../toolkit/base/errors.ts';
import {
  accept4,
  bindTo,
  checked,
  closeFd,
  EAGAIN,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollWait,
  listen,
  localPort,
  PEER_BYTES,
  recv,
  setSocketOption,
  socketCreate,
} from '../../toolkit/sys/index.ts';
import { pinTo, Stopwatch, serveCommands } from './agent.ts';
import type {
  Command,
  ListenCommand,
  Listening,
  ReceiveCommand,
  Target,
  Transfer,
} from './agent-protocol.ts';
import { familyOf, sockaddrOf, waitFor } from './sockets.ts';

const BACKLOG = 64;
const EVENTS_MAX = 64;
/** Nothing came for so long: the sender is gone. */
const SILENCE_MS = 15_000;
/** Nobody connected for so long: the sender failed before it could. */
const ACCEPT_MS = 3000;

const listeners = new Map<string, number>();

function keyOf(target: Target): string {
  return target.kind === 'unix' ? target.file : `${target.host}:${target.port}`;
}

function open({ target }: ListenCommand): Listening {
  const fd = checked('socket', socketCreate(familyOf(target)));
  if (target.kind === 'tcp') setSocketOption(fd, 'reuseAddress', 1);
  checked('bind', bindTo(fd, sockaddrOf(target)));
  checked('listen', listen(fd, BACKLOG));
  const port = target.kind === 'tcp' ? checked('getsockname', localPort(fd)) : 0;
  listeners.set(keyOf(target.kind === 'tcp' ? { ...target, port } : target), fd);
  return { port };
}

function acceptAll(listener: number, count: number, epollFd: number): void {
  const peer = new Uint8Array(PEER_BYTES);
  for (let accepted = 0; accepted < count; ) {
    const fd = accept4(listener, peer);
    if (fd === -EAGAIN) {
      if (!waitFor(listener, EPOLLIN, ACCEPT_MS)) throw gone('nobody connected');
      continue;
    }
    checked('accept4', fd);
    checked('epoll_ctl', epollAdd(epollFd, fd, EPOLLIN, fd));
    accepted++;
  }
}

function gone(what: string): MillraceError {
  return new MillraceError('MR_CONNECT', `${what} for too long`);
}

/** Reads all connections to their ends; returns bytes. */
function drainAll(epollFd: number, connections: number, buffer: Uint8Array): number {
  const pairs = new Int32Array(2 * EVENTS_MAX);
  let bytes = 0;
  for (let open = connections; open > 0; ) {
    const ready = epollWait(epollFd, pairs, EVENTS_MAX, SILENCE_MS);
    if (ready === 0) throw gone('nothing was received');
    for (let at = 0; at < 2 * ready; at += 2) {
      const fd = pairs[at]!;
      const received = recv(fd, buffer, 0, buffer.length);
      if (received > 0) bytes += received;
      else if (received !== -EAGAIN) {
        closeFd(fd);
        open--;
      }
    }
  }
  return bytes;
}

function receive(command: ReceiveCommand): Transfer {
  const listener = listeners.get(keyOf(command.target));
  if (listener === undefined) throw new MillraceError('MR_LISTEN', 'nothing listens there');
  pinTo(command.cpu);
  const buffer = new Uint8Array(command.bufferBytes).fill(0);
  const epollFd = checked('epoll_create', epollCreate());
  try {
    acceptAll(listener, command.connections, epollFd);
    const stopwatch = new Stopwatch();
    const bytes = drainAll(epollFd, command.connections, buffer);
    return { bytes, ...stopwatch.stop() };
  } finally {
    closeFd(epollFd);
  }
}

await serveCommands(async (command: Command) => {
  if (command.command === 'listen') return open(command);
  if (command.command === 'receive') return receive(command);
  throw new MillraceError('MR_USAGE', `a receiver does not ${command.command}`);
});

/**
 * Listener of recv: one socket that waits for connections, over IP or as a UNIX socket.
 */
import { rmSync, statSync } from 'node:fs';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  bindTo,
  closeFd,
  EADDRINUSE,
  errnoName,
  listen,
  localPort,
  setSocketOption,
  socketCreate,
} from '../toolkit/sys/index.ts';
import { formatTarget, resolveTarget, type Target } from './target.ts';

const BACKLOG = 128;

export interface NettestListener {
  readonly fd: number;
  /** The port that the kernel gave, or 0 for a UNIX socket. */
  readonly port: number;
  readonly close: () => void;
}

/**
 * `receiveBufferBytes`: SO_RCVBUF of every connection, or null. Errors: MR_PORT_IN_USE, MR_LISTEN.
 */
export async function openListener(
  target: Target,
  receiveBufferBytes: number | null,
): Promise<NettestListener> {
  const { family, sockaddr } = await resolveTarget(target);
  const fd = socketCreate(family);
  if (fd < 0) throw listenError(target, fd);
  const isUnix = target.kind === 'unix';
  if (!isUnix) setSocketOption(fd, 'reuseAddress', 1);
  // Before listen: the window scale of a connection is settled by its first packet (tcp(7)).
  if (receiveBufferBytes !== null) {
    setSocketOption(fd, 'receiveBufferBytes', receiveBufferBytes);
  }
  let result = bindTo(fd, sockaddr);
  if (result >= 0) result = listen(fd, BACKLOG);
  if (result < 0) {
    closeFd(fd);
    throw listenError(target, result);
  }
  return {
    fd,
    port: isUnix ? 0 : localPort(fd),
    close() {
      closeFd(fd);
      if (target.kind === 'unix') removeSocket(target.path);
    },
  };
}

/** Our own name in the file system; the abstract space forgets by itself. */
function removeSocket(path: string): void {
  if (path.startsWith('@')) return;
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === true) rmSync(path);
}

function listenError(target: Target, result: number): MillraceError {
  const where = formatTarget(target);
  if (result !== -EADDRINUSE) {
    return new MillraceError(
      'MR_LISTEN',
      `cannot listen on ${where}: ${errnoName(result)}`,
      'give an address of this machine; ports below 1024 need the right to use them',
    );
  }
  const remedy =
    target.kind === 'unix'
      ? `remove the file when no program listens there: rm ${target.path}`
      : `find it with "ss -ltnp sport = :${target.port}", or give another port`;
  return new MillraceError('MR_PORT_IN_USE', `${where} is in use`, remedy);
}

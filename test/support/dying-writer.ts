/**
 * A writer that is going to die with pages in flight: as a process (path of a UNIX socket or a port
 * of 127.0.0.1, name of an offer) or as a worker (a pool, the fd of a socket, name of an offer).
 *
 * It writes as much as goes, says how much the socket has taken, and waits for its end.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { PagePool, type PagePoolHandle } from '../../src/toolkit/pages/index.ts';
import {
  checked,
  connect,
  connectTo,
  socketCreate,
  unixSockaddr,
} from '../../src/toolkit/sys/index.ts';
import { waitWritable } from '../../src/toolkit/sys/wait.test-data.ts';
import { offersOn } from './output-offers.ts';
import { FdReader, LOOPBACK_4 } from './output-rig.ts';
import { openSession } from './output-session.ts';

export const DYING_SHAPE = { connection: 4711, messageBytes: 4096, start: 0 };
export const DYING_BYTES = 1 << 20;

export interface DyingWorker {
  readonly handle: PagePoolHandle;
  readonly owner: number;
  readonly fd: number;
  readonly offer: string;
}

function offerOf(where: 'tcp4' | 'unix', name: string) {
  return offersOn(where).find((one) => one.name === name)!;
}

function connectBy(target: string): number {
  const isPath = target.startsWith('/');
  const fd = checked('socket', socketCreate(isPath ? 'unix' : 4));
  if (isPath) checked('connect', connectTo(fd, unixSockaddr(target)));
  else connect(fd, 4, LOOPBACK_4, 0, Number(target));
  return fd;
}

/** Bytes that the socket has taken. */
function writeAll(fd: number, name: string, where: 'tcp4' | 'unix', pool?: PagePool): number {
  const options = { shape: DYING_SHAPE, bytes: DYING_BYTES, ...(pool && { pool }) };
  const { session } = openSession(offerOf(where, name), fd, new FdReader(fd), options);
  session.pump(DYING_BYTES);
  return session.writer.counts.sentBytes;
}

function runAsProcess(target: string, name: string): void {
  const fd = connectBy(target);
  waitWritable(fd);
  const sent = writeAll(fd, name, target.startsWith('/') ? 'unix' : 'tcp4');
  process.stdout.write(`${sent}\n`);
  setInterval(() => {}, 1000);
}

if (isMainThread) {
  const [target, name] = process.argv.slice(2);
  if (process.argv[1]?.endsWith('dying-writer.js')) runAsProcess(target!, name!);
} else {
  const { handle, owner, fd, offer } = workerData as DyingWorker;
  parentPort!.postMessage(writeAll(fd, offer, 'tcp4', new PagePool(handle, owner)));
}

/**
 * Sender agent: sends for a while by one mechanism, and says what that cost.
 *
 * WHY         The loop is the one of bench/peers/xmit.c, step by step (a message to each connection
 *             in turn, wait when all are full), so that the difference of the figures is what
 *             TypeScript and the writer add.
 * INVARIANTS  CPU time is measured from the first write until the receiver has closed every
 *             connection: what is still in buffers is paid for too.
 */
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { OutputSource, OutputWriter } from '../../toolkit/output/index.ts';
import {
  checked,
  closeFd,
  EAGAIN,
  EPOLLIN,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
  errnoName,
  recv,
  shutdown,
} from '../../toolkit/sys/index.ts';
import { pinTo, Stopwatch, serveCommands } from './agent.ts';
import { type Command, POOL_BYTES, type SendCommand, type Transfer } from './agent-protocol.ts';
import { sendByNodeNet } from './node-net.ts';
import { connectSocket, waitFor } from './sockets.ts';
import { WriterSet } from './writers.ts';

/** As NullWriter's own. */
const NO_SOCKET = -1;
const SETTLE_MS = 10_000;
const WAIT_MS = 100;
/** The clock is read once in so many turns. */
const TURNS_A_CLOCK = 16;

interface Lane {
  readonly writer: OutputWriter;
  /** Next byte of the pool. */
  offset: number;
  /** Of the current message. */
  leftBytes: number;
}

/** One message, or what is left of it, to a connection; false: it takes nothing now. */
function turn(lane: Lane, source: OutputSource, messageBytes: number): boolean {
  const accepted = lane.writer.write(source, lane.offset, lane.leftBytes);
  if (accepted === -EAGAIN) return false;
  if (accepted < 0) throw broken(lane.writer, accepted);
  lane.leftBytes -= accepted;
  lane.offset += accepted;
  if (lane.leftBytes === 0) lane.leftBytes = messageBytes;
  if (lane.offset === POOL_BYTES) lane.offset = 0;
  return true;
}

function broken({ mechanism }: OutputWriter, result: number): MillraceError {
  return new MillraceError('MR_CONNECT', `${mechanism}: write answered ${errnoName(result)}`);
}

function sendFor(command: SendCommand, lanes: readonly Lane[], source: OutputSource): void {
  const pairs = new Int32Array(2 * lanes.length);
  const epollFd = checked('epoll_create', epollCreate());
  for (const { writer } of lanes) {
    if (writer.fd >= 0) checked('epoll_ctl', epollAdd(epollFd, writer.fd, EPOLLOUT, writer.fd));
  }
  const { messageBytes } = command;
  const endMs = performance.now() + command.seconds * 1000;
  try {
    for (let turns = 1; turns % TURNS_A_CLOCK !== 0 || performance.now() < endMs; turns++) {
      let hasMoved = false;
      for (const lane of lanes) hasMoved = turn(lane, source, messageBytes) || hasMoved;
      if (hasMoved) continue;
      epollWait(epollFd, pairs, lanes.length, WAIT_MS);
      // Notices wake an epoll as errors do, until they are taken.
      for (const { writer } of lanes) writer.reclaim();
    }
  } finally {
    closeFd(epollFd);
  }
}

/** What the socket has not taken yet goes out; then our side ends, and then the receiver's. */
function settle({ writer }: Lane): void {
  const endMs = performance.now() + SETTLE_MS;
  while (writer.pendingBytes > 0 && performance.now() < endMs) {
    const pending = writer.flush();
    if (pending < 0) throw broken(writer, pending);
    if (pending > 0) waitFor(writer.fd, EPOLLOUT, WAIT_MS);
  }
  if (writer.fd >= 0) shutdown(writer.fd, 'write');
}

function awaitEnd({ writer }: Lane, byte: Uint8Array): void {
  const endMs = performance.now() + SETTLE_MS;
  while (writer.fd >= 0 && performance.now() < endMs) {
    waitFor(writer.fd, EPOLLIN, SETTLE_MS);
    if (recv(writer.fd, byte, 0, 1) !== -EAGAIN) return;
    writer.reclaim();
  }
}

function describeCounts(writers: readonly OutputWriter[]): string {
  let copied = 0;
  let accepted = 0;
  let degraded = 0;
  for (const { counts } of writers) {
    copied += counts.copiedBytes;
    accepted += counts.acceptedBytes;
    degraded += counts.degradedCount;
  }
  const percent = Math.round((100 * copied) / Math.max(1, accepted));
  const { mechanism } = writers[0]!;
  const parts = percent > 0 && mechanism !== 'copy' ? [`${percent} % copied`] : [];
  if (degraded > 0) parts.push(`degraded ${degraded} times`);
  return parts.join(', ');
}

function sendByWriters(command: SendCommand, fds: readonly number[]): Transfer {
  const set = WriterSet.open(command);
  const lanes: Lane[] = [];
  try {
    for (const fd of fds) {
      lanes.push({ writer: set.make(fd), offset: 0, leftBytes: command.messageBytes });
    }
    const byte = new Uint8Array(1);
    const stopwatch = new Stopwatch();
    sendFor(command, lanes, set.source);
    for (const lane of lanes) settle(lane);
    for (const lane of lanes) awaitEnd(lane, byte);
    const used = stopwatch.stop();
    const writers = lanes.map(({ writer }) => writer);
    const bytes = writers.reduce((sum, { counts }) => sum + counts.sentBytes, 0);
    return { bytes, ...used, note: describeCounts(writers) };
  } finally {
    for (const { writer } of lanes) writer.close();
    set.close();
  }
}

async function send(command: SendCommand): Promise<Transfer> {
  pinTo(command.cpu);
  const fds: number[] = [];
  for (let lane = 0; lane < command.fanOut; lane++) {
    const isSent = command.mechanism !== 'null';
    fds.push(isSent ? connectSocket(command.target, command.congestion) : NO_SOCKET);
  }
  if (command.mechanism === 'node-net') {
    return await sendByNodeNet(command, fds, WriterSet.payload.bytes);
  }
  try {
    return sendByWriters(command, fds);
  } finally {
    for (const fd of fds) if (fd !== NO_SOCKET) closeFd(fd);
  }
}

await serveCommands(async (command: Command) => {
  if (command.command === 'send') return await send(command);
  throw new MillraceError('MR_USAGE', `a sender does not ${command.command}`);
});

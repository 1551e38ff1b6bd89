/**
 * recv: takes messages from connections and checks them, until all connections have ended.
 *
 * WHY        The judge of every sender: it says how many messages of how many were not what was
 *            sent, and reads as slowly as it is told, because that is what exposes pages that were
 *            rewritten in flight.
 * HOW        Non-blocking sockets, one epoll, slices of 100 ms on the main thread; between slices
 *            Node.js runs its timers and signals.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  accept4,
  bytesUnread,
  checked,
  closeFd,
  EAGAIN,
  ECONNABORTED,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollDelete,
  epollWait,
  errnoName,
  PEER_BYTES,
} from '../toolkit/sys/index.ts';
import { type CpuTimes, startTimes } from './cpu-times.ts';
import { type NettestListener, openListener } from './listener.ts';
import { checkMessageBytes, type RecvOptions } from './options.ts';
import { pinTo } from './pin.ts';
import { PACE_TICK_MS } from './reader-pace.ts';
import { type OnBad, RecvConnection } from './recv-connection.ts';

const SLICE_MS = 100;
const EVENTS_MAX = 64;
const LISTENER_DATA = 0x7fff_ffff;

export interface RecvHooks {
  readonly signal: AbortSignal;
  /** The socket listens; `port` is 0 for a UNIX socket. */
  onListening(port: number): void;
  /** A connection came: the first, the second ... */
  onConnect(count: number): void;
  onBad: OnBad;
  /** Once a slice. */
  onProgress(messages: number, bytes: number): void;
}

export interface RecvTotals extends CpuTimes {
  readonly connections: number;
  readonly messages: number;
  readonly bytes: number;
  readonly corrupt: number;
  readonly corruptBy: { readonly length: number; readonly crc: number; readonly stamp: number };
  /** Connections whose last message did not come whole. */
  readonly cut: number;
  /** What ended a connection other than its end, as ECONNRESET; empty: nothing did. */
  readonly failures: readonly string[];
  readonly stoppedBy: 'end' | 'seconds' | 'signal' | 'corrupt';
}

/** Errors: MR_USAGE (no such CPU), MR_PORT_IN_USE, MR_LISTEN, MR_ADDRESS, MR_SYSCALL. */
export async function runRecv(options: RecvOptions, hooks: RecvHooks): Promise<RecvTotals> {
  checkMessageBytes(options.messageBytes);
  pinTo(options.pinCpu);
  const listener = await openListener(options.target, options.receiveBufferBytes);
  const closers: (() => unknown)[] = [listener.close];
  try {
    const epollFd = checked('epoll_create', epollCreate());
    closers.push(() => closeFd(epollFd));
    checked('epoll_ctl', epollAdd(epollFd, listener.fd, EPOLLIN, LISTENER_DATA));
    const run = new RecvRun(options, hooks, listener, epollFd);
    closers.push(() => {
      run.close();
    });
    hooks.onListening(listener.port);
    return await run.run();
  } finally {
    for (const close of closers.reverse()) close();
  }
}

class RecvRun {
  readonly #options: RecvOptions;
  readonly #hooks: RecvHooks;
  readonly #listener: NettestListener;
  readonly #epollFd: number;
  readonly #connections: RecvConnection[] = [];
  readonly #pairs = new Int32Array(EVENTS_MAX * 2);
  readonly #peer = new Uint8Array(PEER_BYTES);
  #times = startTimes();
  #endMs = Number.POSITIVE_INFINITY;
  #openCount = 0;
  #hasCorrupt = false;

  constructor(options: RecvOptions, hooks: RecvHooks, listener: NettestListener, epollFd: number) {
    this.#options = options;
    this.#hooks = hooks;
    this.#listener = listener;
    this.#epollFd = epollFd;
  }

  async run(): Promise<RecvTotals> {
    let stoppedBy: RecvTotals['stoppedBy'] = 'end';
    while (!this.#isOver()) {
      if (this.#hooks.signal.aborted) stoppedBy = 'signal';
      else if (monotonicMs() >= this.#endMs) stoppedBy = 'seconds';
      if (stoppedBy !== 'end') break;
      this.#slice(Math.min(monotonicMs() + SLICE_MS, this.#endMs));
      const { messages, bytes } = this.#sums();
      this.#hooks.onProgress(messages, bytes);
      await nextTurn();
    }
    if (this.#hasCorrupt && !this.#options.isKeepGoing) stoppedBy = 'corrupt';
    return this.#totals(stoppedBy);
  }

  #isOver(): boolean {
    if (this.#hasCorrupt && !this.#options.isKeepGoing) return true;
    return this.#connections.length === this.#options.connections && this.#openCount === 0;
  }

  #slice(endMs: number): void {
    for (let nowMs = monotonicMs(); nowMs < endMs && !this.#isOver(); nowMs = monotonicMs()) {
      const followsEvents = this.#options.reader === 'fast';
      const waitMs = Math.ceil(endMs - nowMs);
      const timeoutMs = followsEvents ? waitMs : Math.min(waitMs, PACE_TICK_MS);
      const count = epollWait(this.#epollFd, this.#pairs, EVENTS_MAX, timeoutMs);
      checked('epoll_wait', count);
      for (let at = 0; at < count * 2; at += 2) {
        const data = this.#pairs[at]!;
        if (data === LISTENER_DATA) this.#accept();
        else this.#turn(this.#connections[data]!);
      }
      if (followsEvents) continue;
      for (const connection of this.#connections) this.#turn(connection);
    }
  }

  #accept(): void {
    const fd = accept4(this.#listener.fd, this.#peer);
    if (fd === -EAGAIN || fd === -ECONNABORTED) return;
    checked('accept', fd);
    const nowMs = monotonicMs();
    const index = this.#connections.length;
    if (index === 0) {
      this.#times = startTimes();
      this.#endMs = nowMs + this.#options.seconds * 1000;
    }
    const connection = openConnection(fd, this.#options, nowMs);
    this.#connections.push(connection);
    this.#openCount++;
    if (connection.pace.followsEvents) {
      checked('epoll_ctl', epollAdd(this.#epollFd, fd, EPOLLIN, index));
    }
    this.#hooks.onConnect(index + 1);
    if (index + 1 === this.#options.connections) epollDelete(this.#epollFd, this.#listener.fd);
  }

  #turn(connection: RecvConnection): void {
    if (connection.isDone) return;
    const { pace, fd } = connection;
    const unread = pace.followsEvents ? 0 : Math.max(0, bytesUnread(fd));
    const allowed = pace.allowedBytes(monotonicMs(), unread);
    if (allowed > 0) connection.turn(allowed, this.#onBad);
    if (!connection.isDone) return;
    this.#openCount--;
    if (pace.followsEvents) epollDelete(this.#epollFd, fd);
  }

  readonly #onBad: OnBad = (lines) => {
    this.#hasCorrupt = true;
    this.#hooks.onBad(lines);
  };

  #sums(): { messages: number; bytes: number } {
    let messages = 0;
    let bytes = 0;
    for (const connection of this.#connections) {
      messages += connection.checker.messageCount;
      bytes += connection.byteCount;
    }
    return { messages, bytes };
  }

  #totals(stoppedBy: RecvTotals['stoppedBy']): RecvTotals {
    const connections = this.#connections;
    const corruptBy = { length: 0, crc: 0, stamp: 0 };
    for (const { checker } of connections) {
      corruptBy.length += checker.corruptBy.length;
      corruptBy.crc += checker.corruptBy.crc;
      corruptBy.stamp += checker.corruptBy.stamp;
    }
    const isEnd = stoppedBy === 'end';
    return {
      ...this.#times(),
      ...this.#sums(),
      connections: connections.length,
      corrupt: connections.reduce((sum, { checker }) => sum + checker.corruptCount, 0),
      corruptBy,
      cut: isEnd ? connections.filter(({ cutBytes }) => cutBytes > 0).length : 0,
      failures: connections.filter(({ failure }) => failure < 0).map((c) => errnoName(c.failure)),
      stoppedBy,
    };
  }

  close(): void {
    for (const connection of this.#connections) connection.close();
    this.#connections.length = 0;
  }
}

/** Closes the socket when no connection can be made of it. */
function openConnection(fd: number, options: RecvOptions, nowMs: number): RecvConnection {
  try {
    return new RecvConnection(fd, options, nowMs);
  } catch (error) {
    closeFd(fd);
    throw error;
  }
}

/** The error that a run ends with, or null: corrupt messages first, then a stream cut short. */
export function recvFailure(totals: RecvTotals): MillraceError | null {
  const { corrupt, messages, cut, failures } = totals;
  if (corrupt > 0) {
    return new MillraceError(
      'MR_NETTEST_CORRUPT',
      `${corrupt} of ${messages} messages were corrupt`,
      'the sender rewrote pages that were still being read, or the two sides differ in' +
        ' -s, --crc or --stamp',
    );
  }
  if (failures.length === 0 && cut === 0) return null;
  const what = failures.length > 0 ? failures.join(', ') : 'the stream ended inside a message';
  return new MillraceError(
    'MR_CONNECT',
    `a connection was lost after ${messages} good messages: ${what}`,
    'see what the sender says; both sides need the same -s',
  );
}

/**
 * xmit: sends messages over one or many connections, by any mechanism, and says what it cost.
 *
 * WHY        The same program measures every OutputWriter, and is the sender in every test of what
 *            a receiver sees.
 * HOW        Non-blocking sockets, one epoll, slices of 100 ms on the main thread; between slices
 *            Node.js runs its timers and signals.
 * INVARIANTS It ends behind a whole message on every connection, unless a connection is lost or the
 *            receiver takes nothing for GRACE_MS after it was told to stop.
 */
import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../toolkit/base/clock.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  type Mechanism,
  makeCounts,
  type OutputCounts,
  type ReclaimName,
} from '../toolkit/output/index.ts';
import {
  bytesUnread,
  checked,
  closeFd,
  EAGAIN,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  epollAdd,
  epollCreate,
  epollWait,
  errnoName,
  recv,
  shutdown,
} from '../toolkit/sys/index.ts';
import { connectAll } from './connect.ts';
import { type CpuTimes, startTimes } from './cpu-times.ts';
import type { MessageFeed } from './message-feed.ts';
import { checkXmitOptions, type XmitOptions } from './options.ts';
import { pinTo } from './pin.ts';
import { SendGroup, WAITS_PAGE } from './send-group.ts';
import { chooseRun, type RunChoice } from './writers.ts';

const SLICE_MS = 100;
const EVENTS_MAX = 64;
/** Edges: a socket that has room is no news while we wait for a page. */
const SOCKET_EVENTS = (EPOLLIN | EPOLLOUT | EPOLLET) >>> 0;
/** Nothing signals that a page can be had again: ask so often. */
const PAGE_WAIT_MS = 1;
/** A lost wake-up costs no more than this. */
const SOCKET_WAIT_MS = 50;
/** After a signal, so long for the message that is under way. */
const GRACE_MS = 2000;
/** So long for a receiver that acknowledges to take the rest. */
const LINGER_MS = 60_000;
const SCRATCH_BYTES = 65_536;

export interface XmitHooks {
  readonly signal: AbortSignal;
  /** Connected; this is how it will be sent. */
  onChoice(choice: RunChoice): void;
  /** Once a slice. */
  onProgress(messages: number, bytes: number): void;
}

export interface XmitTotals extends CpuTimes {
  readonly mechanism: Mechanism;
  readonly reclaim: ReclaimName | null;
  readonly isSafe: boolean;
  readonly connections: number;
  /** Messages that all connections of their group have accepted. */
  readonly messages: number;
  /** Bytes that the sockets have taken, over all connections. */
  readonly bytes: number;
  readonly counts: OutputCounts;
  /** Room for so many messages, so far apart. */
  readonly poolMessages: number;
  readonly poolStrideBytes: number;
  /** Times that no page was free. */
  readonly pageWaits: number;
  readonly stoppedBy: 'packets' | 'seconds' | 'signal' | 'lost';
  /** -errno of the first connection that was lost, by name; empty: none was. */
  readonly failure: string;
  /** Connections whose last message did not go whole. */
  readonly cut: number;
}

/** Errors: MR_USAGE, MR_ADDRESS, MR_CONNECT, MR_OUTPUT_MECHANISM, MR_SYSCALL. */
export async function runXmit(options: XmitOptions, hooks: XmitHooks): Promise<XmitTotals> {
  checkXmitOptions(options);
  pinTo(options.pinCpu);
  const { connections, fanOut } = options;
  const fds = await connectAll(options.target, connections * fanOut, options);
  /** In the order of making; closed the other way round. */
  const closers = [...fds].map((fd) => (): unknown => closeFd(fd));
  try {
    const choice = chooseRun(options, fds[0]!);
    closers.push(choice.close);
    hooks.onChoice(choice);
    const feed = choice.makeFeed();
    closers.push(feed.close);
    const epollFd = checked('epoll_create', epollCreate());
    closers.push(() => closeFd(epollFd));
    const groups = Array.from({ length: connections }, (_, index) => {
      const own = fds.slice(index * fanOut, (index + 1) * fanOut);
      const writers = own.map((fd) => choice.makeWriter(fd));
      closers.push(() => {
        for (const writer of writers) writer.close();
      });
      for (const fd of own) checked('epoll_ctl', epollAdd(epollFd, fd, SOCKET_EVENTS, index));
      return new SendGroup(writers, feed.cursor(index), options.messageBytes, options.packets);
    });
    return await new XmitRun({ options, hooks, choice, feed, fds, epollFd, groups }).run();
  } finally {
    for (const close of closers.reverse()) close();
  }
}

/** What a run works on; made and closed by runXmit. */
interface XmitParts {
  readonly options: XmitOptions;
  readonly hooks: XmitHooks;
  readonly choice: RunChoice;
  readonly feed: MessageFeed;
  readonly fds: readonly number[];
  readonly epollFd: number;
  readonly groups: readonly SendGroup[];
}

class XmitRun {
  readonly #hooks: XmitHooks;
  readonly #choice: RunChoice;
  readonly #feed: MessageFeed;
  readonly #groups: readonly SendGroup[];
  readonly #fds: readonly number[];
  readonly #epollFd: number;
  readonly #pairs = new Int32Array(EVENTS_MAX * 2);
  readonly #messageBytes: number;
  readonly #times: () => CpuTimes;
  #endMs: number;
  #stopMs = Number.POSITIVE_INFINITY;
  #stoppedBy: XmitTotals['stoppedBy'] = 'packets';

  constructor({ options, hooks, choice, feed, fds, epollFd, groups }: XmitParts) {
    this.#hooks = hooks;
    this.#choice = choice;
    this.#feed = feed;
    this.#groups = groups;
    this.#fds = fds;
    this.#epollFd = epollFd;
    this.#messageBytes = options.messageBytes;
    this.#times = startTimes();
    this.#endMs = monotonicMs() + options.seconds * 1000;
  }

  async run(): Promise<XmitTotals> {
    while (!this.#isOver()) {
      this.#checkStop();
      this.#slice(monotonicMs() + SLICE_MS);
      this.#hooks.onProgress(this.#messages(), this.#messages() * this.#messageBytes);
      await nextTurn();
    }
    const totals = this.#totals();
    await this.#linger();
    return totals;
  }

  /**
   * What the receiver has said to us must be read before the socket is closed: the kernel would
   * reset the connection otherwise, and throw away what the receiver has not read yet.
   */
  async #linger(): Promise<void> {
    const endMs = monotonicMs() + LINGER_MS;
    const scratch = new Uint8Array(SCRATCH_BYTES);
    const isTalking = (fd: number): boolean =>
      this.#choice.reclaim === 'applicationAck' || bytesUnread(fd) > 0;
    for (const fd of this.#fds.filter(isTalking)) {
      shutdown(fd, 'write');
      for (;;) {
        const received = recv(fd, scratch, 0, SCRATCH_BYTES);
        if (received > 0) continue;
        if (received !== -EAGAIN || monotonicMs() > endMs || this.#isImpatient()) break;
        await sleep(1);
      }
    }
  }

  /** A signal came some time ago. */
  #isImpatient(): boolean {
    return this.#hooks.signal.aborted && monotonicMs() > this.#stopMs + GRACE_MS;
  }

  /** All is sent, a connection is lost, or the time after a stop is used up. */
  #isOver(): boolean {
    if (monotonicMs() > this.#stopMs + GRACE_MS) return true;
    return this.#groups.some((group) => group.failure < 0) || this.#groups.every((g) => g.isDone);
  }

  #checkStop(): void {
    if (this.#stopMs !== Number.POSITIVE_INFINITY) return;
    const nowMs = monotonicMs();
    if (this.#hooks.signal.aborted) this.#stoppedBy = 'signal';
    else if (nowMs >= this.#endMs) this.#stoppedBy = 'seconds';
    else return;
    this.#stopMs = nowMs;
    for (const group of this.#groups) group.stop();
  }

  #slice(sliceEndMs: number): void {
    const endMs = Math.min(sliceEndMs, Math.max(this.#endMs, monotonicMs() + 1));
    do {
      let moved = 0;
      let waitMs = SOCKET_WAIT_MS;
      for (const group of this.#groups) {
        if (group.isDone) continue;
        moved += group.pump();
        if (group.waitsFor === WAITS_PAGE) waitMs = PAGE_WAIT_MS;
      }
      if (this.#isOver()) return;
      if (moved === 0) {
        checked('epoll_wait', epollWait(this.#epollFd, this.#pairs, EVENTS_MAX, waitMs));
      }
    } while (monotonicMs() < endMs);
  }

  #messages(): number {
    return this.#groups.reduce((sum, { messageCount }) => sum + messageCount, 0);
  }

  #totals(): XmitTotals {
    const times = this.#times();
    const counts = makeCounts();
    for (const { writers } of this.#groups) {
      for (const writer of writers) addCounts(counts, writer.counts);
    }
    const failed = this.#groups.find((group) => group.failure < 0);
    return {
      ...times,
      mechanism: this.#choice.mechanism,
      reclaim: this.#choice.reclaim,
      isSafe: this.#choice.isSafe,
      connections: this.#groups.reduce((sum, { writers }) => sum + writers.length, 0),
      messages: this.#messages(),
      bytes: counts.sentBytes,
      counts,
      poolMessages: this.#feed.roomCount,
      poolStrideBytes: this.#feed.strideBytes,
      pageWaits: this.#groups.reduce((sum, { pageWaitCount }) => sum + pageWaitCount, 0),
      stoppedBy: failed === undefined ? this.#stoppedBy : 'lost',
      failure: failed === undefined ? '' : errnoName(failed.failure),
      cut: this.#groups.filter((group) => group.isInsideMessage).length,
    };
  }
}

function addCounts(sum: OutputCounts, counts: Readonly<OutputCounts>): void {
  sum.acceptedBytes += counts.acceptedBytes;
  sum.sentBytes += counts.sentBytes;
  sum.copiedBytes += counts.copiedBytes;
  sum.callCount += counts.callCount;
  sum.fullCount += counts.fullCount;
  sum.degradedCount += counts.degradedCount;
}

/**
 * The error that a run ends with, or null. A lost connection is the normal end where nothing else
 * would end it, as with the old program.
 */
export function xmitFailure(options: XmitOptions, totals: XmitTotals): MillraceError | null {
  const isEndless = options.packets === Number.POSITIVE_INFINITY && totals.stoppedBy === 'lost';
  if (totals.failure === '' || (isEndless && options.seconds === Number.POSITIVE_INFINITY)) {
    return null;
  }
  return new MillraceError(
    'MR_CONNECT',
    `the connection was lost after ${totals.messages} messages: ${totals.failure}`,
    'the receiver ended: see what it says (it stops at the first corrupt message)',
  );
}

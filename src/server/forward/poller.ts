/**
 * Poller: one epoll and the handlers of its sockets: what the forwarder sleeps in.
 *
 * WHY         A blocking worker has no event loop: it waits here, for its sockets, for its timers
 *             (the timeout) and for other threads (an eventfd).
 * OWNERSHIP   Owns the epoll, and closes sockets for their owners (own, closeSocket), so that all
 *             fds of the worker stand in the FdTable while they are open. The eventfd is another's.
 * INVARIANTS  An event goes to the handler that was added for it, or to nobody: each registration
 *             has a number of its own, so that an fd that was closed and given out again in the
 *             same turn gets nothing that was meant for the old one.
 * REFUSED     The fd as the number of a registration (see above).
 */
import {
  checked,
  closeFd,
  ENOENT,
  EPOLL_WAIT_EVENTS_MAX,
  EPOLLIN,
  epollAdd,
  epollCreate,
  epollDelete,
  epollModify,
  epollWait,
  eventfdClear,
} from '../../toolkit/sys/index.ts';
import type { FdTable } from './fd-table.ts';

export interface PollHandler {
  /** `events`: EPOLLIN and the others, signed: test them by `&`. */
  onReady(events: number, nowMs: number): void;
}

export interface PollerOptions {
  readonly nowMs: () => number;
  /** An eventfd by which other threads end wait(); it is cleared there. */
  readonly wakeFd?: number;
  /** Where the supervisor finds what this thread left open; null: nobody looks. */
  readonly fds?: FdTable | null;
}

interface Registration {
  readonly number: number;
  handler: PollHandler;
}

const WAKE_NUMBER = 0;
const NUMBER_MAX = 0x7fff_ffff;
const TIMEOUT_MS_MAX = 0x7fff_ffff;

export class Poller {
  readonly #epollFd: number;
  readonly #nowMs: () => number;
  readonly #wakeFd: number;
  readonly #fds: FdTable | null;
  readonly #byFd = new Map<number, Registration>();
  readonly #byNumber = new Map<number, Registration>();
  readonly #pairs = new Int32Array(2 * EPOLL_WAIT_EVENTS_MAX);
  #lastNumber = WAKE_NUMBER;
  #wasWoken = true;

  /** Throws SyscallError. */
  constructor({ nowMs, wakeFd = -1, fds = null }: PollerOptions) {
    this.#nowMs = nowMs;
    this.#wakeFd = wakeFd;
    this.#fds = fds;
    this.#epollFd = checked('epoll_create', epollCreate());
    fds?.add(this.#epollFd);
    if (wakeFd >= 0) {
      checked('epoll_ctl', epollAdd(this.#epollFd, wakeFd, EPOLLIN, WAKE_NUMBER), 'an eventfd');
    }
  }

  /** Whether the eventfd was signalled since the last call; at first: yes, for who came before. */
  takeWoken(): boolean {
    const wasWoken = this.#wasWoken;
    this.#wasWoken = false;
    return wasWoken;
  }

  /** Sockets that are watched. */
  get size(): number {
    return this.#byFd.size;
  }

  /** A socket that was opened: closed by closeSocket, or by the supervisor when we have died. */
  own(fd: number): void {
    this.#fds?.add(fd);
  }

  /** Ends the watch, if there is one, and closes the socket. */
  closeSocket(fd: number): void {
    this.remove(fd);
    this.#fds?.remove(fd);
    closeFd(fd);
  }

  /** Watches an fd. Returns 0 or -errno: ENOSPC, ENOMEM, EEXIST. */
  add(fd: number, events: number, handler: PollHandler): number {
    const registration = { number: this.#nextNumber(), handler };
    const result = epollAdd(this.#epollFd, fd, events, registration.number);
    if (result < 0) return result;
    this.#byFd.set(fd, registration);
    this.#byNumber.set(registration.number, registration);
    return 0;
  }

  /** Watches for other events from now on; what is so already is reported again. */
  modify(fd: number, events: number): number {
    const registration = this.#byFd.get(fd);
    if (registration === undefined) return -ENOENT;
    return epollModify(this.#epollFd, fd, events, registration.number);
  }

  /** Ends the watch. Nothing is reported any more, even if the call fails. */
  remove(fd: number): number {
    const registration = this.#byFd.get(fd);
    if (registration === undefined) return -ENOENT;
    this.#byFd.delete(fd);
    this.#byNumber.delete(registration.number);
    return epollDelete(this.#epollFd, fd);
  }

  /**
   * Waits at most `timeoutMs` (0: not at all, Infinity: for ever) and calls the handlers. Returns
   * how many were called, or -errno: EINVAL, EBADF. A wake-up by the eventfd counts for none.
   */
  wait(timeoutMs: number): number {
    const ready = epollWait(
      this.#epollFd,
      this.#pairs,
      EPOLL_WAIT_EVENTS_MAX,
      timeoutMs === Number.POSITIVE_INFINITY
        ? -1
        : Math.min(TIMEOUT_MS_MAX, Math.max(0, Math.ceil(timeoutMs))),
    );
    if (ready <= 0) return ready;
    const nowMs = this.#nowMs();
    let called = 0;
    for (let i = 0; i < ready; i++) {
      const number = this.#pairs[2 * i]!;
      if (number === WAKE_NUMBER) {
        eventfdClear(this.#wakeFd);
        this.#wasWoken = true;
        continue;
      }
      const registration = this.#byNumber.get(number);
      if (registration === undefined) continue;
      registration.handler.onReady(this.#pairs[2 * i + 1]!, nowMs);
      called += 1;
    }
    return called;
  }

  close(): void {
    this.#byFd.clear();
    this.#byNumber.clear();
    this.#fds?.remove(this.#epollFd);
    closeFd(this.#epollFd);
  }

  #nextNumber(): number {
    do {
      this.#lastNumber = this.#lastNumber === NUMBER_MAX ? 1 : this.#lastNumber + 1;
    } while (this.#byNumber.has(this.#lastNumber));
    return this.#lastNumber;
  }
}

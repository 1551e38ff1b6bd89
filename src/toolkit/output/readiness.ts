/**
 * FdReadiness: waits for any file descriptors on a plain event loop of Node.js, which goes on.
 *
 * WHY         Our writers work on bare fds, and Node.js offers no way to wait for one. A worker
 *             thread of ours may sit in epoll_wait(2); the event loop of a server may not.
 * HOW         A helper thread waits on an epoll of its own, in which every fd is EPOLLONESHOT, and
 *             posts what is ready in batches. Arming is one epoll_ctl(2) from this thread.
 * OWNERSHIP   This thread owns the table of watches, the epoll, the eventfd that ends the helper.
 *             The fds are the caller's: end the watch (close, cancel) before the fd is closed.
 * INVARIANTS  1. an event is told at most once per arm; it is a hint: the call that follows may
 *             still say EAGAIN  2. a token names slot and life of a watch: what was posted for an
 *             earlier watch of the slot is dropped  3. the helper keeps the process alive exactly
 *             while something is armed.
 * COST        Measured on 2 vCPUs of an AMD EPYC, from send(2) on one end of a UNIX pair to the
 *             callback of the other, an idle loop: median 35 µs,
 *             p99 270 µs (a socket of libuv: 11 and 92); 100 fds armed again and again: 260,000
 *             events a second, 3.6 µs of CPU each, both threads. A helper takes some 10 MB.
 * REFUSED     duplicates of the fds inside net.Socket (libuv reads from them); polling by timer;
 *             one helper for all threads (a loop would be woken by another one's events).
 */
import { Worker } from 'node:worker_threads';
import { assert } from '../base/assert.ts';
import { MillraceError } from '../base/errors.ts';
import {
  checked,
  closeFd,
  ENOENT,
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLONESHOT,
  epollAdd,
  epollCreate,
  epollDelete,
  epollModify,
  eventfdCreate,
  eventfdSignal,
  SyscallError,
} from '../sys/index.ts';
import { type ReadinessSetup, STOP_TOKEN } from './readiness-setup.ts';

/** A token has 31 bits: the slot, and above it the low bits of the slot's generation. */
const SLOT_BITS = 20;
const SLOT_MASK = (1 << SLOT_BITS) - 1;
const GENERATION_MASK = (1 << (30 - SLOT_BITS)) - 1;

/** Told to a callback, and answered by wait(): nobody watches the fd any more. */
export const NOT_WATCHED = 0;

export interface FdWatch {
  readonly fd: number;
  /** Whether an event may still come. */
  readonly isArmed: boolean;
  /**
   * Asks for one call of the callback when any of `events` (EPOLLIN, EPOLLOUT ...) is there; errors
   * and hang-ups always count. A second call before that replaces the first. Throws MR_SYSCALL
   * (EBADF; EPERM: a file), MR_WORKER_DIED.
   */
  arm(events: number): void;
  /** Ends the watch: no call comes after this one. A second call does nothing. */
  close(): void;
}

interface Waiter {
  readonly events: number;
  readonly resolve: (ready: number) => void;
}

/** All that wait() was asked for on one fd. */
interface Waiting {
  readonly watch: Watch;
  waiters: Waiter[];
}

export class FdReadiness {
  readonly #epollFd: number;
  readonly #stopFd: number;
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #watches: (Watch | null)[] = [];
  readonly #generations: number[] = [];
  readonly #freeSlots: number[] = [];
  readonly #watchedFds = new Set<number>();
  readonly #waiting = new Map<number, Waiting>();
  readonly #stop = (): void => void eventfdSignal(this.#stopFd);
  #armedCount = 0;
  #isClosed = false;
  #death: MillraceError | null = null;

  /** Starts the helper thread. Throws MR_SYSCALL (EMFILE ...), MR_ADDON. */
  constructor() {
    [this.#epollFd, this.#stopFd] = openFds();
    const workerData: ReadinessSetup = { epollFd: this.#epollFd };
    // No flags of the process: some of them are not for a file.
    const options = { workerData, name: 'readiness', execArgv: [] };
    this.#worker = new Worker(new URL('./readiness-worker.js', import.meta.url), options);
    this.#worker.on('message', (pairs: Int32Array) => this.#tell(pairs));
    this.#worker.on('error', (error) => this.#die(error));
    this.#ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#die(null);
        process.removeListener('exit', this.#stop);
        closeFd(this.#epollFd);
        closeFd(this.#stopFd);
        resolve();
      });
    });
    this.#worker.unref();
    process.once('exit', this.#stop);
  }

  /** How many watches wait for an event. While it is above 0 the process stays alive. */
  get armedCount(): number {
    return this.#armedCount;
  }

  /**
   * Watches an fd, not armed yet; one watch an fd. `onReady` gets the events that are there, or
   * NOT_WATCHED when the watch ended by close() of all, or with the helper.
   */
  watch(fd: number, onReady: (events: number) => void): FdWatch {
    return this.#add(fd, onReady);
  }

  /**
   * Resolves to the events that are there, of those asked for and EPOLLERR, EPOLLHUP; NOT_WATCHED
   * after cancel(fd) or close(). Several may wait for one fd. Rejects with MR_SYSCALL (EBADF;
   * EPERM: a file), MR_WORKER_DIED.
   */
  async wait(fd: number, events: number): Promise<number> {
    let waiting = this.#waiting.get(fd);
    if (waiting === undefined) {
      waiting = { watch: this.#add(fd, (ready) => this.#serve(fd, ready)), waiters: [] };
      this.#waiting.set(fd, waiting);
    }
    const { waiters } = waiting;
    this.#armFor(waiting, events);
    return new Promise((resolve, reject) => {
      waiters.push({
        events,
        resolve: (ready) => {
          if (ready === NOT_WATCHED && this.#death !== null) reject(this.#death);
          else resolve(ready);
        },
      });
    });
  }

  /** Before an fd that wait() was asked for is closed: what waits for it gets NOT_WATCHED. */
  cancel(fd: number): void {
    const waiting = this.#waiting.get(fd);
    if (waiting === undefined) return;
    this.#waiting.delete(fd);
    waiting.watch.close();
    for (const waiter of waiting.waiters) waiter.resolve(NOT_WATCHED);
  }

  /** Ends the helper and all watches; resolves when its thread and fds are gone. */
  close(): Promise<void> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#worker.ref();
      this.#stop();
      this.#endAll();
    }
    return this.#ended;
  }

  #add(fd: number, onReady: (events: number) => void): Watch {
    this.#checkAlive();
    assert(!this.#watchedFds.has(fd), 'an fd has one watch');
    const slot = this.#freeSlots.pop() ?? this.#watches.length;
    assert(slot < SLOT_MASK, 'at most a million fds are watched');
    const generation = ((this.#generations[slot] ?? 0) + 1) & GENERATION_MASK;
    this.#generations[slot] = generation;
    const watch = new Watch(fd, (generation << SLOT_BITS) | slot, this.#epollFd, {
      onReady,
      onArm: () => this.#arm(),
      onDisarm: () => this.#disarm(),
      onClose: () => {
        this.#watchedFds.delete(fd);
        this.#watches[slot] = null;
        this.#freeSlots.push(slot);
      },
    });
    this.#watches[slot] = watch;
    this.#watchedFds.add(fd);
    return watch;
  }

  #armFor({ watch, waiters }: Waiting, events: number): void {
    try {
      watch.arm(waiters.reduce((all, waiter) => all | waiter.events, events));
      if (!watch.wasLost) return;
      // The fd was closed without cancel() and its number is in use again.
      for (const waiter of waiters.splice(0)) waiter.resolve(NOT_WATCHED);
      watch.arm(events);
    } catch (error) {
      this.cancel(watch.fd);
      throw error;
    }
  }

  #checkAlive(): void {
    assert(!this.#isClosed, 'a closed FdReadiness watches nothing');
    if (this.#death !== null) throw this.#death;
  }

  #arm(): void {
    this.#checkAlive();
    this.#armedCount += 1;
    if (this.#armedCount === 1) this.#worker.ref();
  }

  #disarm(): void {
    this.#armedCount -= 1;
    if (this.#armedCount === 0 && !this.#isClosed) this.#worker.unref();
  }

  #tell(pairs: Int32Array): void {
    for (let at = 0; at < pairs.length; at += 2) {
      const token = pairs[at]!;
      if (token === STOP_TOKEN) continue;
      const watch = this.#watches[token & SLOT_MASK];
      if (watch?.token !== token) continue;
      try {
        watch.tell(pairs[at + 1]!);
      } catch (error) {
        // The others of the batch are told all the same; the error is uncaught, as it would be.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #serve(fd: number, ready: number): void {
    const waiting = this.#waiting.get(fd);
    if (waiting === undefined) return;
    const left: Waiter[] = [];
    for (const waiter of waiting.waiters) {
      const hit = ready & (waiter.events | EPOLLERR | EPOLLHUP);
      if (hit !== 0 || ready === NOT_WATCHED) waiter.resolve(hit);
      else left.push(waiter);
    }
    waiting.waiters = left;
    if (left.length > 0) {
      waiting.watch.arm(left.reduce((all, waiter) => all | waiter.events, 0));
    }
  }

  #die(error: unknown): void {
    if (this.#isClosed || this.#death !== null) return;
    const text = error instanceof Error ? error.message : 'it ended';
    this.#death = new MillraceError(
      'MR_WORKER_DIED',
      `the thread that waits for file descriptors is gone: ${text}`,
      'make a new FdReadiness; please report this if nobody ended the thread',
    );
    this.#endAll();
  }

  #endAll(): void {
    for (const watch of [...this.#watches]) {
      if (watch === null) continue;
      const wasArmed = watch.isArmed;
      watch.close();
      if (wasArmed) watch.notify(NOT_WATCHED);
    }
    this.#waiting.clear();
  }
}

/** The epoll and the eventfd in it that ends the helper; all or nothing. */
function openFds(): readonly [number, number] {
  const epollFd = checked('epoll_create', epollCreate());
  const stopFd = eventfdCreate();
  const added = stopFd < 0 ? stopFd : epollAdd(epollFd, stopFd, EPOLLIN, STOP_TOKEN);
  if (added >= 0) return [epollFd, stopFd];
  if (stopFd >= 0) closeFd(stopFd);
  closeFd(epollFd);
  throw new SyscallError(stopFd < 0 ? 'eventfd' : 'epoll_ctl', added);
}

interface WatchEvents {
  readonly onReady: (events: number) => void;
  readonly onArm: () => void;
  readonly onDisarm: () => void;
  readonly onClose: () => void;
}

class Watch implements FdWatch {
  readonly fd: number;
  readonly token: number;
  readonly #epollFd: number;
  readonly #events: WatchEvents;
  #isArmed = false;
  #isClosed = false;
  /** The last arm found that the kernel had forgotten the fd, although it was armed. */
  #wasLost = false;

  constructor(fd: number, token: number, epollFd: number, events: WatchEvents) {
    this.fd = fd;
    this.token = token;
    this.#epollFd = epollFd;
    this.#events = events;
  }

  get isArmed(): boolean {
    return this.#isArmed;
  }

  get wasLost(): boolean {
    return this.#wasLost;
  }

  arm(events: number): void {
    assert(!this.#isClosed, 'a watch that has ended is not armed');
    if (!this.#isArmed) this.#events.onArm();
    const wasArmed = this.#isArmed;
    this.#isArmed = true;
    this.#wasLost = false;
    const once = events | EPOLLONESHOT;
    let result = epollModify(this.#epollFd, this.fd, once, this.token);
    if (result === -ENOENT) {
      this.#wasLost = wasArmed;
      result = epollAdd(this.#epollFd, this.fd, once, this.token);
    }
    if (result >= 0) return;
    this.#disarm();
    throw new SyscallError('epoll_ctl', result, `fd ${this.fd}`);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    // An fd that is closed already has left the epoll by itself.
    epollDelete(this.#epollFd, this.fd);
    this.#disarm();
    this.#events.onClose();
  }

  /** From the helper. */
  tell(events: number): void {
    if (!this.#isArmed) return;
    this.#disarm();
    this.notify(events);
  }

  notify(events: number): void {
    this.#events.onReady(events);
  }

  #disarm(): void {
    if (!this.#isArmed) return;
    this.#isArmed = false;
    this.#events.onDisarm();
  }
}

/**
 * Dialer: from a host's name to a connected socket, one address after the other.
 *
 * WHY         A name may have several addresses; each gets `connectTimeoutMs`, and only when all
 *             have failed the attempt has.
 * OWNERSHIP   Owns its socket until turn() hands it over; cancel() closes it.
 * REFUSED     Racing the addresses of both families (RFC 8305): a collector waits for no person.
 */
import {
  bind,
  connect,
  EINPROGRESS,
  EPOLLET,
  EPOLLIN,
  EPOLLOUT,
  EPOLLRDHUP,
  errnoName,
  getSocketOption,
  socketCreate,
} from '../../toolkit/sys/index.ts';
import { addressBytes, formatAddress, isMappedIpv4 } from '../address.ts';
import type { ConnectionCounts } from './connection-counts.ts';
import type { DestinationOptions } from './options.ts';
import type { Poller, PollHandler } from './poller.ts';
import { setTcpOptions } from './tcp-options.ts';

/** Answers later, or at once. No address: `reason` says why. */
export interface Resolver {
  resolve(
    host: string,
    onResolved: (addresses: readonly Uint8Array[], reason: string) => void,
  ): void;
}

export interface DialerOptions {
  readonly destination: DestinationOptions;
  /** The local address to come from, or null. */
  readonly localAddress: string | null;
  readonly poller: Poller;
  readonly resolver: Resolver;
  readonly counts: ConnectionCounts;
  /** Gets the socket's events, from the first one on. */
  readonly handler: PollHandler;
}

export const DIAL_PENDING = -1;
export const DIAL_FAILED = -2;

/**
 * Edge-triggered: one registration for the whole life, no epoll_ctl(2) per full socket. Readers
 * read to the end, writers write until EAGAIN.
 */
export const SOCKET_EVENTS = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

export class Dialer {
  #options: DialerOptions;
  #isResolving = false;
  #attempt = 0;
  #answer: { readonly addresses: readonly Uint8Array[]; readonly reason: string } | null = null;
  #addresses: readonly Uint8Array[] = [];
  #next = 0;
  #fd = -1;
  #isReady = false;
  #deadlineMs = 0;
  /** Why the last attempt, or its last address, failed. */
  reason = '';
  /** The address of the socket that turn() handed over, or is trying. */
  address: Uint8Array = new Uint8Array(16);

  constructor(options: DialerOptions) {
    this.#options = options;
  }

  get isResolving(): boolean {
    return this.#isResolving;
  }

  /** When turn() has something to do, but for an event or an answer. */
  get nextTimerMs(): number {
    return this.#isReady || this.#answer !== null ? 0 : this.#deadlineMs;
  }

  /** The same host and port, other times and options. */
  configure(destination: DestinationOptions): void {
    this.#options = { ...this.#options, destination };
    if (this.#fd >= 0) setTcpOptions(this.#fd, destination);
  }

  start(nowMs: number): void {
    const { destination, resolver } = this.#options;
    this.reason = '';
    this.#next = 0;
    this.#attempt += 1;
    this.#isResolving = true;
    this.#deadlineMs = nowMs + destination.connectTimeoutMs;
    const literal = addressBytes(destination.host);
    if (literal !== null) {
      this.#answer = { addresses: [literal], reason: '' };
      return;
    }
    const attempt = this.#attempt;
    resolver.resolve(destination.host, (addresses, reason) => {
      if (attempt === this.#attempt && this.#isResolving) this.#answer = { addresses, reason };
    });
  }

  /** The handler saw an event of the socket. */
  noteReady(): void {
    this.#isReady = true;
  }

  /** A connected fd, which is the caller's then; or DIAL_PENDING, DIAL_FAILED (see `reason`). */
  turn(nowMs: number): number {
    if (this.#isResolving) {
      if (!this.#takeAnswer(nowMs)) return this.#isResolving ? DIAL_PENDING : DIAL_FAILED;
      return this.#tryNext(nowMs);
    }
    if (this.#isReady) {
      const error = getSocketOption(this.#fd, 'pendingError');
      if (error === 0) return this.#handOver();
      this.#fail(errnoName(-Math.abs(error)));
      return this.#tryNext(nowMs);
    }
    if (nowMs < this.#deadlineMs) return DIAL_PENDING;
    this.#fail('no answer within connectTimeoutMs');
    return this.#tryNext(nowMs);
  }

  /** Ends the attempt. */
  cancel(): void {
    this.#attempt += 1;
    this.#isResolving = false;
    this.#answer = null;
    this.#closeSocket();
  }

  /** True: there are addresses. False: there is no answer yet, or it says that there are none. */
  #takeAnswer(nowMs: number): boolean {
    const { counts, destination } = this.#options;
    if (this.#answer === null && nowMs < this.#deadlineMs) return false;
    this.#isResolving = false;
    this.#addresses = this.#answer?.addresses ?? [];
    if (this.#addresses.length === 0) {
      const why = this.#answer?.reason ?? 'no answer within connectTimeoutMs';
      this.reason = `${destination.host} cannot be resolved: ${why}`;
      counts.resolveErrors += 1;
    }
    this.#answer = null;
    return this.#addresses.length > 0;
  }

  #tryNext(nowMs: number): number {
    while (this.#next < this.#addresses.length) {
      this.address = this.#addresses[this.#next]!;
      this.#next += 1;
      this.#isReady = false;
      this.#deadlineMs = nowMs + this.#options.destination.connectTimeoutMs;
      const why = this.#open();
      if (why === null) return this.#isReady ? this.turn(nowMs) : DIAL_PENDING;
      this.#fail(why);
    }
    return DIAL_FAILED;
  }

  /** Begins to connect to `address`. Null: it is on its way; else why not. */
  #open(): string | null {
    const { destination, localAddress, poller, handler } = this.#options;
    const family = isMappedIpv4(this.address) ? 4 : 6;
    const fd = socketCreate(family);
    if (fd < 0) return `socket: ${errnoName(fd)}`;
    this.#fd = fd;
    poller.own(fd);
    if (localAddress !== null) {
      const bytes = addressBytes(localAddress);
      const bound = bytes === null ? -1 : bind(fd, family, bytes, 0, 0);
      if (bound < 0) return `cannot come from ${localAddress}: ${errnoName(bound)}`;
    }
    setTcpOptions(fd, destination);
    const result = connect(fd, family, this.address, 0, destination.port);
    if (result < 0 && result !== -EINPROGRESS) return errnoName(result);
    const added = poller.add(fd, SOCKET_EVENTS, handler);
    return added < 0 ? `epoll: ${errnoName(added)}` : null;
  }

  #handOver(): number {
    const fd = this.#fd;
    this.#fd = -1;
    this.#isReady = false;
    return fd;
  }

  #fail(why: string): void {
    const { counts, destination } = this.#options;
    this.reason = `${formatAddress(this.address)} port ${destination.port}: ${why}`;
    counts.connectErrors += 1;
    this.#closeSocket();
  }

  #closeSocket(): void {
    this.#isReady = false;
    if (this.#fd < 0) return;
    this.#options.poller.closeSocket(this.#fd);
    this.#fd = -1;
  }
}

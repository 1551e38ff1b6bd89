/**
 * Acceptor: who may connect, and with which socket options.
 *
 * WHY  RDRv1 has no authentication: the allow-list, the limit and the idle time are all the
 *      protection there is. A refused connection is closed at once and counted by its reason.
 */
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import {
  accept4,
  closeFd,
  EAGAIN,
  ECONNABORTED,
  EINTR,
  peerPort,
  setKeepAlive,
  setSocketOption,
} from '../../toolkit/sys/index.ts';
import { ADDRESS_BYTES, type Cidr, cidrContains } from '../address.ts';
import type { CollectCounter } from './counters.ts';

export interface AcceptorOptions {
  readonly allow: readonly Cidr[];
  readonly connectionCountMax: number;
  readonly keepAliveMs: number;
  readonly receiveBufferBytes: number;
  readonly receiveLowWaterBytes: number;
}

/** Refusals in one call: a flood of them must not keep the collector from its connections. */
const REFUSALS_MAX = 64;
const KEEP_ALIVE_PROBES = 3;
const KEEP_ALIVE_INTERVAL_SECONDS = 10;

export class Acceptor {
  readonly #options: AcceptorOptions;
  readonly #counters: CounterWriter<CollectCounter>;
  /** The 16 address bytes and the port (big endian) of the last accepted peer. */
  readonly peer = new Uint8Array(ADDRESS_BYTES + 2);
  fd = -1;
  /** The last accept() failed for want of fds or memory: trying again at once is no use. */
  hasFailed = false;

  constructor(options: AcceptorOptions, counters: CounterWriter<CollectCounter>) {
    this.#options = options;
    this.#counters = counters;
  }

  /**
   * True: `fd` and `peer` hold a new connection. False: none is waiting, or it is enough for a
   * turn. Refusals are skipped over.
   */
  accept(listenerFd: number, openCount: number): boolean {
    this.hasFailed = false;
    for (let refusals = 0; refusals < REFUSALS_MAX; refusals++) {
      const fd = accept4(listenerFd, this.peer, 0);
      if (fd < 0) {
        if (fd === -ECONNABORTED) continue;
        this.hasFailed = !this.isTransient(fd);
        if (this.hasFailed) this.#counters.add('acceptErrors', 1);
        return false;
      }
      const reason = this.#refusal(openCount);
      if (reason === null) {
        this.fd = fd;
        this.#counters.add('accepted', 1);
        this.#setOptions(fd);
        return true;
      }
      closeFd(fd);
      this.#counters.add(reason, 1);
    }
    return false;
  }

  get port(): number {
    return peerPort(this.peer, 0);
  }

  /** Outcomes that only mean "not now". */
  isTransient(result: number): boolean {
    return result === -EAGAIN || result === -EINTR;
  }

  #refusal(openCount: number): CollectCounter | null {
    const { allow, connectionCountMax } = this.#options;
    if (allow.length > 0 && !allow.some((cidr) => cidrContains(cidr, this.peer))) {
      return 'refusedNotAllowed';
    }
    return openCount >= connectionCountMax ? 'refusedLimit' : null;
  }

  #setOptions(fd: number): void {
    const { keepAliveMs, receiveBufferBytes, receiveLowWaterBytes } = this.#options;
    if (keepAliveMs > 0) {
      const idleSeconds = Math.max(1, Math.round(keepAliveMs / 1000));
      setKeepAlive(fd, idleSeconds, KEEP_ALIVE_INTERVAL_SECONDS, KEEP_ALIVE_PROBES);
    }
    if (receiveBufferBytes > 0) setSocketOption(fd, 'receiveBufferBytes', receiveBufferBytes);
    if (receiveLowWaterBytes > 1) setSocketOption(fd, 'receiveLowWaterBytes', receiveLowWaterBytes);
  }
}

/**
 * Forward destination: the receiving end of one destination in the thread of the test, on sockets
 * whose kernel buffers are known, and which breaks off, dies, comes back or stops reading.
 *
 * WHY     TCP acknowledges what nobody has read yet: what a destination loses when it breaks off is
 *         what its kernel held. A test of "nothing is missing" must know how much that can be; a
 *         net.Socket cannot tell.
 */
import { closeSync } from 'node:fs';
import { addressBytes, formatAddress } from '../../src/server/address.ts';
import {
  accept4,
  bind,
  bytesUnread,
  closeFd,
  EAGAIN,
  ECONNRESET,
  getSocketOption,
  listen,
  localPort,
  MSG_PEEK,
  PEER_BYTES,
  peerPort,
  recv,
  send,
  setLinger,
  setSocketOption,
  socketCreate,
} from '../../src/toolkit/sys/index.ts';
import type { ReceivedDestination } from './forward-judge.ts';
import { ReceivedConnection } from './forward-received.ts';

const BACKLOG = 128;
/** Of each connection in one turn: little enough that there is often more to come. */
const READ_BYTES = 64 * 1024;

/** What may still come between a look at the socket and its end. */
const RACE_BYTES = 64 * 1024;

/** What the destination still reads before it breaks a connection off. */
export type BreakMode =
  /** Everything that is there: as a program that ends. */
  | 'drained'
  /** Nothing: as a program that is killed. */
  | 'unread'
  /** Looks at everything and takes nothing, so that no more can come: nothing may be lost. */
  | 'peeked';

interface Open {
  readonly fd: number;
  readonly connection: ReceivedConnection;
}

/** Counts connections in the order of their coming, over all destinations of a run. */
export interface Clock {
  next: number;
}

export class ForwardDestination implements ReceivedDestination {
  readonly name: string;
  readonly connections: ReceivedConnection[] = [];
  /** False: it stands still, and its window closes. */
  isReading = true;
  /** Answers each piece, as a destination should not. */
  isTalkingBack = false;
  port = 0;
  readonly #clock: Clock;
  readonly #receiveBufferBytes: number;
  readonly #buffer: Uint8Array;
  readonly #peer = new Uint8Array(PEER_BYTES);
  #open: Open[] = [];
  #isServerKilled = false;
  #listener = -1;
  /** Bound and never listening: while it is dead nobody else gets its port. */
  #reservation = -1;

  /** An address of this machine's, of either family. */
  readonly #host: string;

  constructor(
    name: string,
    clock: Clock,
    receiveBufferBytes = 65_536,
    readBytes = READ_BYTES,
    host = '127.0.0.1',
  ) {
    this.#buffer = new Uint8Array(readBytes);
    this.#host = host;
    this.name = name;
    this.#clock = clock;
    this.#receiveBufferBytes = receiveBufferBytes;
  }

  get isUp(): boolean {
    return this.#listener >= 0;
  }

  get openCount(): number {
    return this.#open.length;
  }

  get records(): number {
    return this.connections.reduce((sum, { records }) => sum + records, 0);
  }

  get bytes(): number {
    return this.connections.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Listens, on the port of the last time. */
  start(): void {
    if (this.#reservation < 0) {
      this.#reservation = this.#bound();
      this.port = localPort(this.#reservation);
    }
    const fd = this.#bound();
    const result = listen(fd, BACKLOG);
    if (result < 0) throw new Error(`${this.name}: cannot listen on port ${this.port}: ${result}`);
    this.#listener = fd;
  }

  #bound(): number {
    const family = this.#host.includes(':') ? 6 : 4;
    const fd = socketCreate(family);
    setSocketOption(fd, 'reuseAddress', 1);
    setSocketOption(fd, 'receiveBufferBytes', this.#receiveBufferBytes);
    const result = bind(fd, family, addressBytes(this.#host)!, 0, this.port);
    if (result < 0) throw new Error(`${this.name}: cannot bind port ${this.port}: ${result}`);
    return fd;
  }

  /** One turn: takes connections and reads; the bytes read. */
  turn(): number {
    if (this.#listener >= 0) this.#accept();
    if (!this.isReading) return 0;
    let total = 0;
    for (const open of this.#open) total += this.#read(open, 1);
    this.#forgetEnded();
    return total;
  }

  /** Resets open connection `index`, as likely as not in the midst of a record. */
  breakOne(index: number, mode: BreakMode = 'drained'): void {
    const open = this.#open[index];
    if (open === undefined) return;
    this.#break(open, mode);
    this.#forgetEnded();
  }

  /** Dies: nobody listens any more, and every connection is reset. */
  kill(mode: BreakMode = 'unread'): void {
    if (this.#listener < 0) return;
    // Who waits in the backlog has been sent to already.
    this.#accept();
    closeFd(this.#listener);
    this.#listener = -1;
    for (const open of this.#open) this.#break(open, mode);
    this.#forgetEnded();
  }

  /**
   * The server is killed, or runs again: what its connections end with is cut by it, also of those
   * that are taken from the backlog meanwhile.
   */
  set isServerKilled(isKilled: boolean) {
    this.#isServerKilled = isKilled;
    if (isKilled) for (const { connection } of this.#open) connection.isOrphan = true;
  }

  /** Bytes that wait in the kernel, over all connections. */
  get unreadBytes(): number {
    return this.#open.reduce((sum, { fd }) => sum + Math.max(0, bytesUnread(fd)), 0);
  }

  #accept(): void {
    for (;;) {
      const fd = accept4(this.#listener, this.#peer);
      if (fd < 0) return;
      const peer = `${formatAddress(this.#peer.subarray(0, 16))}:${peerPort(this.#peer)}`;
      const connection = new ReceivedConnection(this.#clock.next++, peer);
      connection.isOrphan = this.#isServerKilled;
      this.connections.push(connection);
      this.#open.push({ fd, connection });
    }
  }

  #read({ fd, connection }: Open, readsMax: number): number {
    let total = 0;
    for (let reads = 0; reads < readsMax && connection.end === 'open'; reads++) {
      const count = recv(fd, this.#buffer, 0, this.#buffer.length);
      if (count === -EAGAIN) break;
      if (count === 0) connection.finish('fin', this.#clock.next);
      else if (count === -ECONNRESET) connection.finish('rst', this.#clock.next);
      else if (count < 0) throw new Error(`${this.name}: recv: ${count}`);
      else {
        connection.push(this.#buffer.subarray(0, count));
        total += count;
        if (this.isTalkingBack) send(fd, Buffer.from('ok\n'), 0, 3);
      }
    }
    return total;
  }

  #break(open: Open, mode: BreakMode): void {
    const { fd, connection } = open;
    if (mode === 'drained') this.#read(open, Number.POSITIVE_INFINITY);
    if (connection.end !== 'open') return;
    if (mode === 'peeked') {
      const bytes = new Uint8Array(Math.max(0, bytesUnread(fd)));
      const count = recv(fd, bytes, 0, bytes.length, MSG_PEEK);
      if (count > 0) connection.push(bytes.subarray(0, count));
    } else {
      const roomBytes = getSocketOption(fd, 'receiveBufferBytes');
      connection.lossBytesMax = Math.min(roomBytes, bytesUnread(fd) + RACE_BYTES);
    }
    setLinger(fd, 0);
    connection.finish('broken', this.#clock.next);
  }

  #forgetEnded(): void {
    const still: Open[] = [];
    for (const open of this.#open) {
      if (open.connection.end === 'open') still.push(open);
      else closeSync(open.fd);
    }
    this.#open = still;
  }
}

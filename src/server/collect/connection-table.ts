/**
 * Connection table: the connections of one collector, made once and reused.
 *
 * OWNERSHIP  One collector. `fds` is shared: the supervisor reads it when this worker has died, to
 *            close what the dead thread can no longer close.
 * COUNTING   Every way in which bytes leave a connection other than by a block is counted here:
 *            resync, truncated, unread at drain, dropped at drain.
 */
import type { CounterWriter } from '../../toolkit/counters/index.ts';
import type { PagePool } from '../../toolkit/pages/index.ts';
import { bytesUnread, closeFd, epollDelete } from '../../toolkit/sys/index.ts';
import { ADDRESS_BYTES } from '../address.ts';
import { CONNECTION_COUNT_WORD } from '../setup.ts';
import type { Acceptor } from './acceptor.ts';
import { Connection } from './connection.ts';
import type { CollectCounter } from './counters.ts';
import { Exporters } from './exporters.ts';

interface TableOptions {
  /** The collector, as the page table knows it. */
  readonly owner: number;
  readonly connectionCountMax: number;
  readonly fds: Int32Array;
  /** Shared, for all collectors: the next connection id less its base. */
  readonly connectionIds: Int32Array;
  readonly connectionIdBase: number;
}

interface TableDependencies {
  readonly pool: PagePool;
  readonly counters: CounterWriter<CollectCounter>;
}

export class ConnectionTable {
  readonly exporters = new Exporters();
  /** Some connection has a block under construction, so the linger timer matters. */
  hasOpenBlocks = false;
  openCount = 0;
  readonly #options: TableOptions;
  readonly #counters: CounterWriter<CollectCounter>;
  readonly #all: Connection[] = [];
  readonly #used: Connection[] = [];

  constructor(options: TableOptions, deps: TableDependencies) {
    this.#options = options;
    this.#counters = deps.counters;
    for (let i = 0; i < options.connectionCountMax; i++) {
      this.#all.push(new Connection(deps.pool, options.owner));
    }
  }

  at(index: number): Connection {
    return this.#all[index]!;
  }

  indexOf(connection: Connection): number {
    return this.#all.indexOf(connection);
  }

  /** Open connections: a copy, as they may be closed meanwhile. */
  used(): readonly Connection[] {
    return this.#used.slice();
  }

  open(acceptor: Acceptor, listenerPort: number, nowMs: number): Connection {
    const connection = this.#all.find((candidate) => candidate.fd < 0)!;
    const id = Atomics.add(this.#options.connectionIds, CONNECTION_COUNT_WORD, 1);
    connection.address.set(acceptor.peer.subarray(0, ADDRESS_BYTES));
    connection.exporterPort = acceptor.port;
    connection.open(acceptor.fd, this.#options.connectionIdBase + id, listenerPort, nowMs);
    connection.exporter = this.exporters.row(connection.address);
    connection.exporter.connections++;
    this.#used.push(connection);
    this.openCount++;
    this.#counters.set('open', this.openCount);
    Atomics.store(this.#options.fds, this.indexOf(connection), acceptor.fd + 1);
    return connection;
  }

  /** Nothing of the connection's bytes may be open any more. */
  close(connection: Connection, epollFd: number): void {
    const reason = connection.closeReason;
    if (reason !== null) this.#counters.add(reason, 1);
    epollDelete(epollFd, connection.fd);
    Atomics.store(this.#options.fds, this.indexOf(connection), 0);
    closeFd(connection.fd);
    connection.fd = -1;
    connection.stalled = false;
    connection.builder.release();
    connection.exporter!.connections--;
    this.#used.splice(this.#used.indexOf(connection), 1);
    this.openCount--;
    this.#counters.set('open', this.openCount);
  }

  closeAll(epollFd: number): void {
    for (const connection of this.used()) this.close(connection, epollFd);
  }

  /** Adds what the last walk skipped. */
  countResync(connection: Connection): void {
    const { resyncBytes, resyncRuns } = connection.builder;
    this.#counters.add('resyncBytes', resyncBytes);
    this.#counters.add('resyncRuns', resyncRuns);
    connection.exporter!.resyncBytes += resyncBytes;
  }

  /** The stream is over: what is no whole record is truncated or garbage. */
  finish(connection: Connection): void {
    const { builder } = connection;
    const openBefore = builder.openBytes;
    const recordsBefore = builder.records;
    const truncated = builder.finish();
    this.countResync(connection);
    this.#counters.add('records', builder.records - recordsBefore);
    this.#counters.add('truncatedBytes', truncated);
    this.#counters.add('openBytes', builder.openBytes - openBefore);
    if (truncated > 0) this.#counters.add('truncatedConnections', 1);
    connection.exporter!.truncatedBytes += truncated;
    connection.exporter!.records += builder.records - recordsBefore;
  }

  hasUnread(connection: Connection): boolean {
    return bytesUnread(connection.fd) > 0;
  }

  countUnread(connection: Connection): void {
    const unread = bytesUnread(connection.fd);
    if (unread > 0) this.#counters.add('unreadAtDrain', unread);
  }

  /** The journal did not take the block within the drain's time. */
  dropOpen(connection: Connection): void {
    const open = connection.builder.openBytes;
    this.#counters.add('openBytes', -open);
    this.#counters.add('droppedDrain', open);
    connection.builder.release();
  }
}

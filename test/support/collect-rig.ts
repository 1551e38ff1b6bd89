/**
 * Collect rig: a collector with real sockets in the thread of the test. The test turns it by hand,
 * plays the journal that takes its blocks, and may take pages away.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cidr } from '../../src/server/address.ts';
import { type CollectOptions, CollectStage } from '../../src/server/collect/collect-stage.ts';
import { COLLECT_COUNTERS, type CollectCounter } from '../../src/server/collect/counters.ts';
import { openListeners } from '../../src/server/collect/listener.ts';
import { Receiver } from '../../src/server/collect/receiver.ts';
import { COMMAND_DRAIN, Commands, Control, type ExporterTotals } from '../../src/server/control.ts';
import { makeBlockHeader, readBlockFields } from '../../src/server/journal/format.ts';
import { SLOT_BYTES, SLOT_LENGTH, SLOT_OFFSET, SLOT_PAGE } from '../../src/server/slot.ts';
import { BLOCK_HEADER_BYTES, PAGE_BYTES } from '../../src/toolkit/base/limits.ts';
import { Counters } from '../../src/toolkit/counters/index.ts';
import { NO_PAGE, PagePool } from '../../src/toolkit/pages/index.ts';
import {
  IdleStrategy,
  NO_SLOT,
  type SpscConsumer,
  SpscRing,
} from '../../src/toolkit/ring/index.ts';
import { closeFd, eventfdCreate } from '../../src/toolkit/sys/index.ts';

/** The collector, and the owner of the pages that the test takes away. */
const OWNER = 1;
const HOSTAGE_OWNER = 9;
const WAIT_MS_MAX = 60_000;

export interface RigOptions {
  readonly pages?: number;
  readonly slots?: number;
  readonly allow?: readonly Cidr[];
  readonly connectionCountMax?: number;
  readonly idleTimeoutMs?: number;
  readonly receiveLowWaterBytes?: number;
  readonly lingerMs?: number;
  readonly inFlightBlockCountMax?: number;
  readonly discard?: boolean;
  /** Watched instead of a listening socket. */
  readonly listenerFd?: number;
}

export class CollectRig {
  readonly counters = Counters.writer(Counters.create<CollectCounter>(COLLECT_COUNTERS).handle);
  readonly pool: PagePool;
  readonly #hostageTaker: PagePool;
  readonly ring: SpscConsumer;
  readonly stage: CollectStage;
  readonly commands = new Commands();
  readonly port: number;
  readonly fds: Int32Array;
  /** connection id -> what the journal has taken of it. */
  readonly taken = new Map<number, Buffer[]>();
  /** False: blocks stay in the ring and their pages in use. */
  isJournalRunning = true;
  readonly #hostages: number[] = [];
  readonly #options: { -readonly [K in keyof CollectOptions]: CollectOptions[K] };
  readonly #header = makeBlockHeader();
  lastArrivalUs = 0;
  exporters: readonly ExporterTotals[] = [];

  static async start(t: TestContext, options: RigOptions = {}): Promise<CollectRig> {
    const [listener] = await openListeners(['127.0.0.1:0']);
    const rig = new CollectRig(options, options.listenerFd ?? listener!.fd, listener!.port);
    t.after(() => {
      rig.unhold();
      if (!rig.stage.done) rig.stage.onClose();
      closeFd(listener!.fd);
    });
    rig.stage.onStart();
    return rig;
  }

  private constructor(options: RigOptions, fd: number, port: number) {
    this.port = port;
    this.pool = PagePool.create((options.pages ?? 16) * PAGE_BYTES);
    this.#hostageTaker = new PagePool(this.pool.handle, HOSTAGE_OWNER);
    const { handle } = SpscRing.create({
      capacity: options.slots ?? 64,
      slotBytes: SLOT_BYTES,
      creditEvery: 1,
      startSeq: 0xffff_fff0,
    });
    this.ring = SpscRing.consumer(handle);
    const connectionCountMax = options.connectionCountMax ?? 8;
    this.fds = new Int32Array(new SharedArrayBuffer(4 * (connectionCountMax + 1)));
    this.#options = {
      owner: OWNER,
      connectionIds: new Int32Array(new SharedArrayBuffer(4)),
      connectionIdBase: 100,
      listeners: [{ fd, port }],
      wakeFd: eventfdCreate(),
      lingerMs: options.lingerMs ?? 5,
      readBytes: 131_072,
      idleTimeoutMs: options.idleTimeoutMs ?? 600_000,
      inFlightBlockCountMax: options.inFlightBlockCountMax ?? 1_024,
      discard: options.discard ?? false,
      fds: this.fds,
      allow: options.allow ?? [],
      connectionCountMax,
      keepAliveMs: 60_000,
      receiveBufferBytes: 0,
      receiveLowWaterBytes: options.receiveLowWaterBytes ?? 1,
    };
    const journal = IdleStrategy.waker(IdleStrategy.create().handle);
    this.stage = new CollectStage(this.#options, {
      pool: this.pool,
      receiver: new Receiver(this.pool, SpscRing.producer(handle), journal, this.counters, OWNER),
      counters: this.counters,
      control: new Control(this.commands.handle),
      report: (rows) => {
        this.exporters = rows;
      },
    });
  }

  /** From now on: a busy machine must not make a connection idle before the test wants it. */
  set idleTimeoutMs(ms: number) {
    this.#options.idleTimeoutMs = ms;
  }

  get(name: CollectCounter): number {
    return this.counters.get(name);
  }

  /** A connected client; whatever happens to it later is no error of the test. */
  async connect(): Promise<Socket> {
    const socket = createConnection({ port: this.port, host: '127.0.0.1' });
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    return socket;
  }

  /** One turn of the collector, then of the journal, then of the clients. Returns ready events. */
  async turn(): Promise<number> {
    const ready = this.stage.doWork();
    this.assertLedger();
    while (this.isJournalRunning && this.#take()) {}
    await nextTurn();
    return ready;
  }

  async until(condition: () => boolean, what: string): Promise<void> {
    // Not performance.now(), which a test may stop.
    const endSeconds = process.uptime() + WAIT_MS_MAX / 1_000;
    while (!condition()) {
      assert.ok(process.uptime() < endSeconds, `waited in vain for: ${what}`);
      await this.turn();
    }
  }

  /** `meanwhile`: after the command, and before the turns that it takes. */
  async drain(meanwhile?: () => Promise<void>): Promise<void> {
    this.commands.send(COMMAND_DRAIN);
    await meanwhile?.();
    await this.until(() => this.stage.done, 'the end of the drain');
    this.stage.onClose();
    while (this.isJournalRunning && this.#take()) {}
    this.assertLedger();
  }

  /** What was read is journaled, skipped, truncated, dropped or still open: to the byte. */
  assertLedger(): void {
    const gone = ['committedBytes', 'resyncBytes', 'truncatedBytes', 'droppedDrain'] as const;
    const explained = gone.reduce((sum, name) => sum + this.get(name), 0) + this.get('openBytes');
    assert.equal(explained + this.get('droppedBench'), this.get('readBytes'));
  }

  /** Everything that the journal has taken, of all connections together or of one. */
  payload(connectionId?: number): Buffer {
    const all = [...this.taken.entries()].filter(
      ([id]) => connectionId === undefined || id === connectionId,
    );
    return Buffer.concat(all.flatMap(([, parts]) => parts));
  }

  /** Takes free pages away, all but `left`. */
  hold(left = 0): void {
    while (this.pool.freeCount() > left) {
      const page = this.#hostageTaker.acquire();
      if (page === NO_PAGE) return;
      this.#hostages.push(page);
    }
  }

  unhold(): void {
    for (const page of this.#hostages.splice(0)) this.#hostageTaker.stopFilling(page);
  }

  #take(): boolean {
    const slot = this.ring.peek();
    if (slot === NO_SLOT) return false;
    const { slots: words } = this.ring;
    const page = words[slot + SLOT_PAGE]!;
    const at = page * PAGE_BYTES + words[slot + SLOT_OFFSET]!;
    readBlockFields(this.pool.bytes, this.pool.view, at, this.#header);
    const parts = this.taken.get(this.#header.connectionId) ?? [];
    this.taken.set(this.#header.connectionId, parts);
    const end = at + words[slot + SLOT_LENGTH]!;
    parts.push(Buffer.from(this.pool.bytes.slice(at + BLOCK_HEADER_BYTES, end)));
    this.lastArrivalUs = this.#header.arrivalUs;
    this.ring.release();
    this.pool.release(page);
    return true;
  }
}

/**
 * Makes the journal stage and the keeper stage of a worker from its setup.
 */

import { assert } from '../../toolkit/base/assert.ts';
import { type CounterHandle, Counters } from '../../toolkit/counters/index.ts';
import { PAGE_OWNER_MAX } from '../../toolkit/pages/index.ts';
import { BroadcastRing, IdleStrategy, SpscRing } from '../../toolkit/ring/index.ts';
import type { Config } from '../config.ts';
import { Control, type Tell } from '../control.ts';
import { openPool } from '../open-pool.ts';
import type { WorkerSetup } from '../setup.ts';
import { SLOT_PAGE } from '../slot.ts';
import type { Stage } from '../stage.ts';
import type { JournalCounter, KeeperCounter } from './counters.ts';
import { ForwardWaker } from './forward-sleep.ts';
import { JournalStage } from './journal-stage.ts';
import { KeeperStage } from './keeper-stage.ts';
import { SegmentWriter } from './segment-writer.ts';
import { JournalShared } from './shared.ts';

/** While the journal dozes, blocks wait in memory: 2 ms at 100 MB/s are 200 KB. */
const DOZE_MS = 2;
/** Who wants fewer blocks in memory than this wants each appended at once. */
const DOZE_FROM_BLOCKS = 64;

function warnWith(tell: Tell) {
  return (text: string, fields: Readonly<Record<string, unknown>>): void => {
    tell({ kind: 'log', level: 'warn', text, fields });
  };
}

/** A quarter of all, but no more than half of what remains when every connection fills a page. */
function freePageCountMin(config: Config, pageCount: number): number {
  const inFlight = pageCount - config.collect.connectionCountMax - config.collect.workers;
  return Math.min(pageCount / 4, inFlight / 2);
}

/**
 * The journal fills no page, and frees most: with a number of its own (the collectors' begin at 1)
 * they go to the pages freed last. When it dies the server ends, so that nobody abandons it.
 */
const POOL_OWNER = PAGE_OWNER_MAX;

export async function makeJournalStage(setup: WorkerSetup, tell: Tell): Promise<Stage> {
  const { config, shared } = setup;
  const pool = await openPool(shared, POOL_OWNER);
  const sealed = SpscRing.producer(shared.sealed);
  const keeperWaker = IdleStrategy.waker(shared.keeperIdle);
  const writer = new SegmentWriter(
    {
      folder: setup.journalFolder,
      segmentBytes: config.journal.segmentBytes,
      uuid: setup.journalUuid,
      // One slot stays for the segment that is open at the end.
      canSeal: () => sealed.used() < sealed.handle.capacity - 1,
    },
    setup.firstPosition,
    (fd) => {
      assert(sealed.tryPush(fd), 'canSeal was asked before');
      keeperWaker.wake();
    },
  );
  return new JournalStage(
    {
      firstOrdinal: setup.firstOrdinal,
      firstBlockOrdinal: setup.firstBlockOrdinal,
      connectionIds: new Int32Array(shared.connectionIds),
      connectionIdBase: setup.connectionIdBase,
      dozeMs: config.collect.inFlightBlockCountMax < DOZE_FROM_BLOCKS ? 0 : DOZE_MS,
      freePageCountMin: freePageCountMin(config, pool.pageCount),
      discard: config.stages === 'decode',
    },
    {
      pool,
      rings: shared.rings.map((handle) => SpscRing.consumer(handle)),
      broadcast: BroadcastRing.writer(shared.broadcast, {
        release: (words, index) => pool.release(words[index + SLOT_PAGE]!),
      }),
      sleeper: IdleStrategy.sleeper(shared.journalIdle),
      writer,
      shared: new JournalShared(shared.journal),
      forwardWaker:
        shared.forwardWakeFd < 0 ? null : new ForwardWaker(shared.journal, shared.forwardWakeFd),
      counters: Counters.writer(setup.counters as CounterHandle<JournalCounter>),
      control: new Control(setup.commands),
      warn: warnWith(tell),
    },
  );
}

export function makeKeeperStage(setup: WorkerSetup, tell: Tell): Stage {
  const { config, shared } = setup;
  return new KeeperStage(
    {
      folder: setup.journalFolder,
      sync: config.journal.sync,
      syncIntervalMs: config.journal.syncIntervalMs,
      retentionMs: config.journal.retentionMs,
      retentionBytes: config.journal.retentionBytes,
      capBytes: config.journal.capBytes,
    },
    {
      shared: new JournalShared(shared.journal),
      sealed: SpscRing.consumer(shared.sealed),
      sleeper: IdleStrategy.sleeper(shared.keeperIdle),
      counters: Counters.writer(setup.counters as CounterHandle<KeeperCounter>),
      control: new Control(setup.commands),
      warn: warnWith(tell),
    },
  );
}

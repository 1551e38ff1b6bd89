/**
 * Makes the store's stage of a worker from its setup.
 */

import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BroadcastRing, IdleStrategy } from '../../toolkit/ring/index.ts';
import { Control, type SinkReport, type Tell, type WorkerRequest } from '../control.ts';
import { RingBlockSource } from '../journal/ring-source.ts';
import { JournalShared } from '../journal/shared.ts';
import { openPool } from '../open-pool.ts';
import { GATE_CLOSED, GATE_WORD, STORE_READER, type WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { optionsOf } from './config-options.ts';
import { DecodeStage } from './decode-stage.ts';
import { LatencyStage } from './latency-stage.ts';
import type { LiveDimension } from './live-tops.ts';
import { StoreStage } from './store-stage.ts';
import { StoreWorker } from './store-worker.ts';

type OnRequest = (answer: (request: WorkerRequest) => unknown) => void;

/** Between two looks at whether the keeper has synced what a commit waits for. */
const SYNC_POLL_MS = 2;

export async function makeStage(
  setup: WorkerSetup,
  tell: Tell,
  onRequest: OnRequest,
): Promise<Stage> {
  const { shared } = setup;
  const journal = new JournalShared(shared.journal);
  const control = new Control(setup.commands);
  const pool = await openPool(shared);
  const openSource = (position: number): RingBlockSource =>
    new RingBlockSource(pool, BroadcastRing.reader(shared.broadcast, STORE_READER), {
      folder: setup.journalFolder,
      position,
      publishedPosition: () => journal.publishedPosition,
      onDamage: (damage) =>
        tell({
          kind: 'log',
          level: 'error',
          text: 'a damaged place of the journal was passed over',
          fields: { ...damage },
        }),
    });
  const report = (sink: SinkReport): void => tell({ kind: 'sink', report: sink });
  if (setup.config.stages === 'latency') {
    const position = () => journal.publishedPosition;
    return new LatencyStage(openSource(setup.firstPosition), control, position, report);
  }
  if (setup.config.stages === 'decode') {
    return new DecodeStage(
      openSource(setup.firstPosition),
      control,
      setup.firstOrdinal,
      () => journal.publishedPosition,
      report,
    );
  }
  const keeper = IdleStrategy.waker(shared.keeperIdle);
  let source: RingBlockSource | null = null;
  const stage = new StoreStage(optionsOf(dirname(setup.journalFolder), setup.config.store), {
    openSource: (position) => {
      source = openSource(position);
      return source;
    },
    syncJournal: async (position) => {
      while (journal.syncedPosition < position) {
        journal.syncRequest = Math.max(journal.syncRequest, position);
        keeper.wake();
        await sleep(SYNC_POLL_MS);
      }
    },
    publishedOrdinal: () => journal.publishedOrdinal,
    onStep: failAt(setup.faults),
    onEvent: (level, text) => tell({ kind: 'log', level, text, fields: {} }),
  });
  onRequest((request) => stage.topLive(request.by as LiveDimension, request.count));
  return new StoreWorker(stage, control, () => source, report);
}

/** Throws, or stands still, where a test asked for it. */
function failAt(faults: WorkerSetup['faults']): (step: string) => void {
  const left = faults.map((fault) => ({ ...fault }));
  return (step) => {
    for (const fault of left) {
      if (!step.startsWith(fault.step) || --fault.time > 0) continue;
      if (fault.gate !== undefined) Atomics.wait(fault.gate, GATE_WORD, GATE_CLOSED);
      if (fault.gate !== undefined || fault.time < 0) continue;
      if (fault.pauseMs === undefined) throw new Error(`a fault was asked for at ${step}`);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, fault.pauseMs);
    }
  };
}

/**
 * Makes the store's stage of a worker from its setup.
 */
import { PagePool } from '../../toolkit/pages/index.ts';
import { BroadcastReader } from '../../toolkit/ring/index.ts';
import { Control, type WorkerMessage } from '../control.ts';
import { RingBlockSource } from '../journal/ring-source.ts';
import { JournalShared } from '../journal/shared.ts';
import { STORE_READER, type WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { DecodeStage } from './decode-stage.ts';

export function makeStage(setup: WorkerSetup, tell: (message: WorkerMessage) => void): Stage {
  const { shared } = setup;
  const journal = new JournalShared(shared.journal);
  const source = new RingBlockSource(
    new PagePool(shared.pool),
    new BroadcastReader(shared.broadcast, STORE_READER),
    {
      folder: setup.journalFolder,
      position: setup.firstPosition,
      publishedPosition: () => journal.publishedPosition,
    },
  );
  return new DecodeStage(
    source,
    new Control(setup.control),
    setup.firstOrdinal,
    () => journal.publishedPosition,
    (report) => tell({ kind: 'sink', report }),
  );
}

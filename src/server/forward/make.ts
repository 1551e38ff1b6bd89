/**
 * Makes the forward stage of a worker from its setup.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import { Control, type Tell } from '../control.ts';
import { ForwardSleep } from '../journal/forward-sleep.ts';
import { JournalShared } from '../journal/shared.ts';
import type { WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { CatchupClient } from './catchup-client.ts';
import { Door } from './door.ts';
import { DoorResolver } from './door-resolver.ts';
import { FdTable } from './fd-table.ts';
import { ForwardStage } from './forward-stage.ts';
import { makeLoopCheck } from './loop.ts';
import { makeLanes } from './make-lanes.ts';
import { Poller } from './poller.ts';
import { SegmentFiles } from './segment-files.ts';

export function makeStage(setup: WorkerSetup, tell: Tell): Stage {
  assert(setup.forward !== null, 'the forwarder has options and a door');
  const { options, positionsFolder } = setup.forward;
  const shared = new JournalShared(setup.shared.journal);
  const wakeFd = setup.shared.forwardWakeFd;
  const nowMs = monotonicMs;
  const fds = new FdTable(setup.fds);
  const poller = new Poller({ nowMs, wakeFd, fds });
  const door = new Door(setup.forward, tell);
  const resolver = new DoorResolver(door);
  const segments = new SegmentFiles(setup.journalFolder, fds);
  const handle = setup.shared.catchup;
  const catchup = handle === null ? null : new CatchupClient(handle, segments);
  const makings = {
    shared,
    segments,
    catchup,
    positionsFolder,
    journalUuid: setup.journalUuid,
    poller,
    resolver,
    isLoop: makeLoopCheck(options.listeners),
    random: Math.random,
    warn: (text: string, fields: Readonly<Record<string, unknown>>): void => {
      tell({ kind: 'log', level: 'warn', text, fields });
    },
  };
  return new ForwardStage({
    shared,
    sleep: new ForwardSleep(setup.shared.journal, wakeFd),
    poller,
    door,
    resolver,
    catchup,
    segments,
    lanes: makeLanes(options, makings, nowMs()),
    control: new Control(setup.commands),
    tell,
    nowMs,
  });
}

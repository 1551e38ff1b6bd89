/**
 * Makes the forward stage of a worker from its setup.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { Control, type Tell } from '../control.ts';
import { ForwardSleep } from '../journal/forward-sleep.ts';
import { JournalShared } from '../journal/shared.ts';
import type { WorkerSetup } from '../setup.ts';
import type { Stage } from '../stage.ts';
import { BlockCursor } from './block-cursor.ts';
import { CatchupClient } from './catchup-client.ts';
import { Destination } from './destination.ts';
import { Door } from './door.ts';
import { DoorResolver } from './door-resolver.ts';
import { ForwardStage } from './forward-stage.ts';
import { Groups } from './groups.ts';
import type { LaneContext } from './lane.ts';
import { Lanes } from './lanes.ts';
import { makeLoopCheck } from './loop-check.ts';
import { Poller } from './poller.ts';
import { SegmentFiles } from './segment-files.ts';
import { Selectors } from './selectors.ts';
import { WarmingCursor } from './warming-cursor.ts';

export function makeStage(setup: WorkerSetup, tell: Tell): Stage {
  assert(setup.forward !== null, 'the forwarder has options and a door');
  const { options, positionsFolder } = setup.forward;
  const shared = new JournalShared(setup.shared.journal);
  const wakeFd = setup.shared.forwardWakeFd;
  const nowMs = monotonicMs;
  const poller = new Poller({ nowMs, wakeFd });
  const door = new Door(setup.forward, tell);
  const resolver = new DoorResolver(door);
  const isLoop = makeLoopCheck(options.listeners);
  const segments = new SegmentFiles(setup.journalFolder);
  const warn: LaneContext['warn'] = (text, fields) => {
    tell({ kind: 'log', level: 'warn', text, fields });
  };
  const handle = setup.shared.catchup;
  const catchup = handle === null ? null : new CatchupClient(handle, segments);
  const groups = new Groups({ folder: positionsFolder, uuid: setup.journalUuid, warn });
  const selectors = new Selectors(groups);
  const context: LaneContext = {
    folder: positionsFolder,
    uuid: setup.journalUuid,
    segments,
    makeCursor: ({ position, ordinal }) => {
      const limitPosition = (): number => shared.publishedPosition;
      const cursor = new BlockCursor({ files: segments, limitPosition, position, ordinal });
      if (catchup !== null) return new WarmingCursor(cursor, catchup);
      cursor.waitBelow(POSITION_MAX);
      return cursor;
    },
    makeDestination: (destination, onSettled) =>
      new Destination(destination, { poller, resolver, isLoop, random: Math.random, onSettled }),
    selectorOf: (channel) => selectors.of(channel),
    startOf: ({ balance, group }) => (balance === null ? null : groups.startOf(group!)),
    warn,
  };
  return new ForwardStage({
    shared,
    sleep: new ForwardSleep(setup.shared.journal, wakeFd),
    poller,
    door,
    resolver,
    catchup,
    lanes: new Lanes(options, context, groups, shared, nowMs()),
    control: new Control(setup.commands),
    tell,
    nowMs,
  });
}

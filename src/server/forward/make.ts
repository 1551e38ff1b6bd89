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
import { Destination } from './destination.ts';
import { Door } from './door.ts';
import { DoorResolver } from './door-resolver.ts';
import { ForwardStage } from './forward-stage.ts';
import type { LaneContext } from './lane.ts';
import { Lanes } from './lanes.ts';
import { makeLoopCheck } from './loop-check.ts';
import { Poller } from './poller.ts';
import { SegmentFiles } from './segment-files.ts';
import { WholeBlocks } from './whole-blocks.ts';

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
  const context: LaneContext = {
    folder: positionsFolder,
    uuid: setup.journalUuid,
    segments,
    makeCursor: ({ position, ordinal }) => {
      const limitPosition = (): number => shared.publishedPosition;
      const cursor = new BlockCursor({ files: segments, limitPosition, position, ordinal });
      cursor.waitBelow(POSITION_MAX);
      return cursor;
    },
    makeDestination: (destination, onSettled) =>
      new Destination(destination, { poller, resolver, isLoop, random: Math.random, onSettled }),
    selectorOf: () => new WholeBlocks(),
    warn: (text, fields) => tell({ kind: 'log', level: 'warn', text, fields }),
  };
  return new ForwardStage({
    shared,
    sleep: new ForwardSleep(setup.shared.journal, wakeFd),
    poller,
    door,
    resolver,
    lanes: new Lanes(options, context, shared, nowMs()),
    control: new Control(setup.commands),
    tell,
    nowMs,
  });
}

/**
 * Makes the lanes of a forwarder from what its worker has: the real parts, put together.
 */
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import type { JournalShared } from '../journal/shared.ts';
import { BlockCursor } from './block-cursor.ts';
import type { CatchupClient } from './catchup-client.ts';
import { Destination, type DestinationDeps } from './destination.ts';
import { Groups } from './groups.ts';
import type { LaneContext } from './lane.ts';
import { Lanes } from './lanes.ts';
import type { ForwardOptions } from './options.ts';
import type { SegmentFiles } from './segment-files.ts';
import { Selectors } from './selectors.ts';
import { WarmingCursor } from './warming-cursor.ts';

export interface LaneMakings extends Omit<DestinationDeps, 'onSettled' | 'warmth' | 'isWatched'> {
  readonly shared: JournalShared;
  readonly segments: SegmentFiles;
  /** null: nobody reads for us. */
  readonly catchup: CatchupClient | null;
  readonly positionsFolder: string;
  readonly journalUuid: Uint8Array;
  readonly warn: LaneContext['warn'];
}

export function makeLanes(options: ForwardOptions, makings: LaneMakings, nowMs: number): Lanes {
  const { shared, segments, catchup, positionsFolder, journalUuid, warn } = makings;
  const { poller, resolver, isLoop, random } = makings;
  const groups = new Groups({ folder: positionsFolder, uuid: journalUuid, warn });
  const selectors = new Selectors(groups);
  const warmth = catchup === null ? null : { files: segments, catchup };
  const context: LaneContext = {
    folder: positionsFolder,
    uuid: journalUuid,
    segments,
    makeCursor: ({ position, ordinal }) => {
      const limitPosition = (): number => shared.publishedPosition;
      const cursor = new BlockCursor({ files: segments, limitPosition, position, ordinal });
      if (catchup !== null) return new WarmingCursor(cursor, catchup);
      cursor.waitBelow(POSITION_MAX);
      return cursor;
    },
    makeDestination: (destination, isWatched, onSettled) =>
      new Destination(destination, {
        poller,
        resolver,
        isLoop,
        random,
        warmth,
        isWatched,
        onSettled,
      }),
    pool: selectors.pool,
    selectorOf: (channel) => selectors.of(channel),
    keepSelectors: (channels) => selectors.keepOnly(channels),
    startOf: ({ balance, group }) => (balance === null ? null : groups.startOf(group!)),
    warn,
  };
  return new Lanes(options, context, groups, shared, nowMs);
}

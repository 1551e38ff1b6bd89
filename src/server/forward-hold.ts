/**
 * Forward hold: below which journal position no segment may go because a channel still needs it, as
 * the position files of the last life say.
 *
 * UNREADABLE A file that cannot be read may say anything: all of the journal is held (up to its
 *            cap), until the forwarder knows better. So is it for a member of a load-balancing
 *            group without a position: where its share begins stands in the epochs.
 *
 * WHY      The keeper's first retention comes before the forwarder has opened its channels. What
 *          `hold` promised before a restart must hold over it.
 */
import { POSITION_MAX } from '../toolkit/base/limits.ts';
import type { ChannelOptions, ForwardOptions } from './forward/options.ts';
import type { PositionSeen } from './forward/position-file.ts';
import { neededPosition } from './forward/start-position.ts';

/** The journal that the server goes on with. */
export interface HeldJournal {
  /** Where the next block goes: what begins `now` begins there. */
  readonly nextPosition: number;
}

/** The files of the last life, by the names of channels and groups. */
export interface StoredFiles {
  readonly position: (channel: string) => PositionSeen;
  readonly hasEpochs: (group: string) => boolean;
}

/** POSITION_MAX where no channel holds. */
export function heldPosition(
  { channels }: ForwardOptions,
  stored: StoredFiles,
  journal: HeldJournal,
): number {
  const holding = channels.filter(({ onLag }) => onLag === 'hold');
  return Math.min(POSITION_MAX, ...holding.map((one) => positionOf(one, stored, journal)));
}

function positionOf(
  { from, name, group, balance }: ChannelOptions,
  stored: StoredFiles,
  { nextPosition }: HeldJournal,
): number {
  const startAt = balance !== null && stored.hasEpochs(group!) ? 0 : null;
  return neededPosition(stored.position(name), from, nextPosition, startAt);
}

/**
 * Forward hold: below which journal position no segment may go because a channel still needs it, as
 * the position files of the last life say.
 *
 * WHY      The keeper's first retention comes before the forwarder has opened its channels. What
 *          `hold` promised before a restart must hold over it.
 */
import { POSITION_MAX } from '../toolkit/base/limits.ts';
import type { ChannelOptions, ForwardOptions } from './forward/options.ts';
import type { StoredPosition } from './forward/position-file.ts';

/** The journal that the server goes on with. */
export interface HeldJournal {
  readonly uuid: Uint8Array;
  /** Where the next block goes: what begins `now` begins there. */
  readonly nextPosition: number;
}

/** POSITION_MAX where no channel holds. */
export function heldPosition(
  { channels }: ForwardOptions,
  stored: readonly StoredPosition[],
  journal: HeldJournal,
): number {
  const holding = channels.filter(({ onLag }) => onLag === 'hold');
  return Math.min(POSITION_MAX, ...holding.map((one) => positionOf(one, stored, journal)));
}

function positionOf(
  { from, name }: ChannelOptions,
  stored: readonly StoredPosition[],
  { nextPosition, uuid }: HeldJournal,
): number {
  const found = stored.find(({ channel }) => channel === name);
  const isOurs = found?.uuid != null && Buffer.compare(found.uuid, uuid) === 0;
  // Below 0 it is not known yet: everything might be needed.
  if (isOurs && found.position !== null) return Math.max(0, found.position.position);
  return from === 'journal-start' ? 0 : nextPosition;
}

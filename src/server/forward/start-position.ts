/**
 * Start position: where a channel goes on, or begins.
 *
 * RULES      1. A position of this journal is gone on from.  2. Without one: `journal-start` begins
 *            at the oldest block there is, all else at what is published now.  3. A position above
 *            what is published: the machine lost power and the journal its end; the channel goes on
 *            at the end.  4. A member that joins a load-balancing group begins where its epoch
 *            does (`startAt`); one whose file is damaged was there before: rule 2. A file that was
 *            made and never written is as none.
 */
import type { ChannelOptions } from './options.ts';
import {
  type ChannelPosition,
  makePosition,
  type PositionFound,
  type PositionSeen,
} from './position-file.ts';

export interface Start {
  readonly position: ChannelPosition;
  /** Said in the log; empty when there is nothing to say. */
  readonly warning: string;
}

const ORDINAL_UNKNOWN = -1;

export function startPosition(
  found: PositionFound,
  from: ChannelOptions['from'],
  publishedPosition: number,
  startAt: number | null,
): Start {
  if (found.kind !== 'found') {
    const isNew = found.kind === 'new' || found.kind === 'blank';
    const joinsAt = isNew && startAt !== null ? Math.min(startAt, publishedPosition) : null;
    const at = joinsAt ?? (from === 'journal-start' ? 0 : publishedPosition);
    return { position: makePosition(at, ORDINAL_UNKNOWN), warning: WARNINGS[found.kind] };
  }
  const { position } = found;
  if (position.position <= publishedPosition) return { position, warning: '' };
  return {
    position: { ...position, position: publishedPosition },
    warning: 'the journal has lost blocks that this channel has read: it goes on at the end',
  };
}

/**
 * The lowest position that a channel may need which is not open (yet), by what its file says: where
 * it will go on, or begin. Of a file that cannot be read: everything, as nobody knows.
 */
export function neededPosition(
  seen: PositionSeen,
  from: ChannelOptions['from'],
  publishedPosition: number,
  startAt: number | null,
): number {
  if (seen.kind === 'unreadable') return 0;
  // Below 0 it is not known yet: everything might be needed.
  if (seen.kind === 'found') return Math.max(0, seen.position.position);
  return startPosition(seen, from, publishedPosition, startAt).position.position;
}

const WARNINGS = {
  new: '',
  blank: 'the position file was made and never written: the channel begins as a new one',
  damaged: 'the position file is damaged: the channel begins as a new one',
  'other-journal': 'the position is one of another journal: the channel begins as a new one',
} as const;

/**
 * Start position: where a channel goes on, or begins.
 *
 * RULES      1. A position of this journal is gone on from.  2. Without one: `journal-start` begins
 *            at the oldest block there is, all else at what is published now.  3. A position above
 *            what is published: the machine lost power and the journal its end; the channel goes on
 *            at the end.  4. A member that joins a load-balancing group begins where its epoch
 *            does (`startAt`); one whose file is damaged was there before: rule 2.
 */
import type { ChannelOptions } from './options.ts';
import { type ChannelPosition, makePosition, type PositionFound } from './position-file.ts';

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
    const joinsAt = found.kind === 'new' ? startAt : null;
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

const WARNINGS = {
  new: '',
  damaged: 'the position file is damaged: the channel begins as a new one',
  'other-journal': 'the position is one of another journal: the channel begins as a new one',
} as const;

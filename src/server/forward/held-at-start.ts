/**
 * Held at start: what the journal keeps for channels until the forwarder speaks for them.
 *
 * WHY      The keeper removes segments as soon as it runs, and the forwarder starts behind it.
 */
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import type { ForwardOptions } from './options.ts';
import { readPositions } from './position-file.ts';

/** The lowest position that a channel with `onLag: hold` goes on from; POSITION_MAX: none. */
export function heldAtStart(options: ForwardOptions, folder: string, uuid: Uint8Array): number {
  if (options.channels.length === 0) return POSITION_MAX;
  const stored = new Map(readPositions(folder).map((one) => [one.channel, one]));
  let lowest = POSITION_MAX;
  for (const { name, onLag, from } of options.channels) {
    if (onLag !== 'hold') continue;
    const found = stored.get(name);
    const isOurs = found?.uuid !== undefined && found.uuid !== null;
    if (isOurs && Buffer.compare(found.uuid!, uuid) === 0 && found.position !== null) {
      lowest = Math.min(lowest, found.position.position);
    } else if (from === 'journal-start') lowest = 0;
  }
  return lowest;
}

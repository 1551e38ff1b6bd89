/**
 * Lane parts: what a lane needs of a destination, so that it can be tested without sockets.
 */
import type { Destination } from './destination.ts';
import type { DestinationOptions } from './options.ts';
import type { Parcel, Settlement } from './parcel.ts';

/** Destination, as a lane uses it. */
export type LaneDestination = Pick<
  Destination,
  | 'upSinceMs'
  | 'downSinceMs'
  | 'isClosed'
  | 'nextTimerMs'
  | 'changes'
  | 'configure'
  | 'isReady'
  | 'tryAdd'
  | 'giveBack'
  | 'turn'
  | 'probe'
  | 'drain'
  | 'close'
  | 'report'
>;

/** `isWatched`: a group goes by whether it is there. */
export type MakeDestination = (
  options: DestinationOptions,
  isWatched: boolean,
  onSettled: (parcel: Parcel, settlement: Settlement) => void,
) => LaneDestination;

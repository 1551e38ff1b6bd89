/**
 * Connection options: what a connection is given, and the words for what it does.
 */
import type { ConnectionCounts } from './connection-counts.ts';
import type { Resolver } from './dialer.ts';
import type { LoopCheck } from './loop.ts';
import type { DestinationOptions } from './options.ts';
import type { WarmthSource } from './outbox-warmth.ts';
import type { Parcel, Settlement } from './parcel.ts';
import type { ParcelSender } from './parcel-sender.ts';
import type { Poller } from './poller.ts';
import type { TokenBucket } from './token-bucket.ts';

export type ConnectionState =
  | 'idle'
  | 'resolving'
  | 'connecting'
  | 'up'
  | 'waiting'
  | 'loop'
  | 'closed';

export interface ConnectionOptions {
  readonly destination: DestinationOptions;
  /** Of `localAddressByExporter`, or null. */
  readonly localAddress: string | null;
  readonly poller: Poller;
  readonly resolver: Resolver;
  readonly isLoop: LoopCheck;
  /** Uniform in [0, 1): jitter. */
  readonly random: () => number;
  readonly counts: ConnectionCounts;
  readonly sender: ParcelSender;
  /** null: no limit. */
  readonly bucket: TokenBucket | null;
  /** null: nobody reads for us, what is cold is waited for. */
  readonly warmth: WarmthSource | null;
  /** Somebody goes by whether it is there: after a break it is tried with nothing to send, too. */
  readonly isWatched: boolean;
  readonly onSettled: (parcel: Parcel, settlement: Settlement) => void;
}

/**
 * Forward report: what the forward worker says of itself: plain data, a few times a second at most.
 *
 * WHY         Status, metrics and the page show what one message says, which is therefore
 *             consistent in itself.
 * INVARIANTS  received = delivered + filtered + the sum of dropped + pending, in records, for each
 *             channel; durable but for what is said to be of this process.
 */
import type { ForwardingMode } from './options.ts';

/** Why a record of a channel was not delivered; the list is closed (docs/reference/metrics.md). */
export const FORWARD_DROPS = [
  'cut',
  'interrupted',
  'lag',
  'retention',
  'damaged',
  'removed',
] as const;
export type ForwardDrop = (typeof FORWARD_DROPS)[number];

/**
 * waiting: nothing is pending; held: it lags beyond its limits and holds segments of the journal;
 * blocked: it waits for a file that cannot be opened or written, `why` says which.
 */
export const CHANNEL_STATES = ['sending', 'waiting', 'down', 'held', 'blocked'] as const;
export type ChannelState = (typeof CHANNEL_STATES)[number];

/**
 * idle: nothing to send, hence no connection; waiting: connecting failed, it is tried again later;
 * standby: a member of a redundancy group whose turn it is not; loop: it is ourselves.
 */
export const DESTINATION_STATES = [
  'idle',
  'resolving',
  'connecting',
  'up',
  'waiting',
  'standby',
  'loop',
] as const;
export type DestinationState = (typeof DESTINATION_STATES)[number];

export interface DestinationReport {
  readonly name: string;
  /** As configured. */
  readonly host: string;
  readonly port: number;
  /** Where it is or was connected; '' before the first. */
  readonly address: string;
  readonly state: DestinationState;
  /** Redundancy: this is the member to which the stream goes; else true. */
  readonly isActive: boolean;
  /** Open now. */
  readonly connections: number;
  /** Of this process, from here. */
  readonly sentBytes: number;
  readonly sentRecords: number;
  readonly ackedBytes: number;
  /** Bytes sent and not acknowledged when connections broke. */
  readonly unackedBytesAtLoss: number;
  /** Records in which a connection broke: the other end has got a part of one. */
  readonly cutRecords: number;
  /** Connections that were lost, and that took the place of a lost one. */
  readonly breaks: number;
  readonly reconnects: number;
  readonly connectErrors: number;
  readonly resolveErrors: number;
  /** Bytes that the destination sent to us: read and discarded. */
  readonly talkedBackBytes: number;
  /** In use now, and the reason in words. */
  readonly mechanism: string;
  readonly why: string;
  readonly cpuMs: number;
}

export interface ChannelReport {
  /** As ChannelOptions has it. */
  readonly name: string;
  readonly group: string | null;
  readonly mode: ForwardingMode | 'single';
  readonly state: ChannelState;
  /** A file that cannot be opened or written, errno name and remedy; empty: there is none. */
  readonly why: string;
  /** Records, since the channel began. */
  readonly received: number;
  readonly pending: number;
  readonly delivered: number;
  readonly filtered: number;
  readonly dropped: Readonly<Record<ForwardDrop, number>>;
  /** Sent a second time: beside the equation. */
  readonly resent: number;
  /** Journal position up to which all is settled. */
  readonly position: number;
  readonly lagRecords: number;
  /** Bytes of the journal. */
  readonly lagBytes: number;
  /** Age of the oldest record that is not settled; 0 when there is none. */
  readonly lagMs: number;
  readonly destinations: readonly DestinationReport[];
}

export interface ForwardReport {
  /** Wall time, ms since 1970. */
  readonly timeMs: number;
  /** Of the options that are in force: ForwardSetup.generation, or that of the last reload. */
  readonly generation: number;
  readonly channels: readonly ChannelReport[];
  /** CPU time of the worker's thread, this life of it. */
  readonly cpuMs: number;
  /** Ranges that were not in the page cache, and bytes that the catch-up worker read for them. */
  readonly coldReads: number;
  readonly catchupBytes: number;
  /** Ranges that nobody read in time: their channels read them, and waited for the disk. */
  readonly catchupAbandoned: number;
  /** Segment files that could not be opened, and listings of them: tried again. */
  readonly openErrors: number;
}

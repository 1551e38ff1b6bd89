/**
 * Health: what the report of a channel comes to, for status, page and log: sums, and one verdict.
 *
 * WHY        `millrace status` and the page leave out what is fine, so both must mean the same by
 *            it. Pure functions over plain data: the page bundles this file.
 */
import type { ChannelReport, DestinationReport } from './report.ts';

export type HealthTone = 'good' | 'warn' | 'bad';

export interface ChannelHealth {
  readonly tone: HealthTone;
  /** Why it is not good, in a few words; one word for its state when it is. */
  readonly text: string;
}

/** A lag above this is more than lingering and a round trip explain. */
export const FORWARD_LAG_SLOW_MS = 15_000;

const BYTES_PER_GB = 1e9;

export function droppedRecords({ dropped }: ChannelReport): number {
  return Object.values(dropped).reduce((sum, records) => sum + records, 0);
}

/** What is left over of the channel's ledger; 0: it closes. */
export function channelDifference(channel: ChannelReport): number {
  const { received, delivered, filtered, pending } = channel;
  return received - delivered - filtered - droppedRecords(channel) - pending;
}

/** CPU of the forward worker for what was sent to it; null: too little was. */
export function cpuMsPerGb({
  cpuMs,
  sentBytes,
}: Pick<DestinationReport, 'cpuMs' | 'sentBytes'>): number | null {
  return sentBytes === 0 ? null : (cpuMs * BYTES_PER_GB) / sentBytes;
}

/** One to which nothing gets through although something should. */
export function isDown({ state, isActive }: DestinationReport): boolean {
  return state === 'loop' || (isActive && state === 'waiting');
}

/** The worst that there is to say of it. */
export function channelHealth(channel: ChannelReport): ChannelHealth {
  const { destinations, state, why, lagMs } = channel;
  const difference = channelDifference(channel);
  if (difference !== 0) return { tone: 'bad', text: `ledger open by ${difference}` };
  if (destinations.some((one) => one.state === 'loop'))
    return { tone: 'bad', text: 'is ourselves' };
  if (state === 'blocked') return { tone: 'bad', text: 'blocked' };
  if (state === 'down') return { tone: 'bad', text: 'down' };
  if (state === 'held') return { tone: 'warn', text: 'holds the journal' };
  if (why !== '') return { tone: 'warn', text: 'its position is not kept' };
  const dropped = droppedRecords(channel);
  if (dropped > 0) return { tone: 'warn', text: 'has dropped' };
  if (lagMs > FORWARD_LAG_SLOW_MS) return { tone: 'warn', text: 'lags' };
  const [best] = destinations;
  if (best !== undefined && !best.isActive) return { tone: 'warn', text: `without ${best.name}` };
  return { tone: 'good', text: state };
}

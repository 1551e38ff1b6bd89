/**
 * Channel changes: which keys of a channel differ between two configurations, and whether its
 * connections can bear that.
 *
 * WHY      A reload drops no connection without need: a filter, a limit, a time is another one from
 *          the next block on, or at once. Only what makes the connection another one, or what the
 *          ledger is kept by, needs a new one. Pure: the outcome that people read and what the
 *          forwarder does are one decision.
 */
import { isDeepStrictEqual } from 'node:util';
import type { ChannelOptions, DestinationOptions } from './options.ts';

/** Names of keys as they are configured; `by` and `field` of a group, `members` of redundancy. */
const REOPENING: ReadonlySet<string> = new Set([
  'mode',
  'group',
  'by',
  'field',
  'members',
  'host',
  'port',
  'connections',
  'localAddressByExporter',
  'resend',
]);

export interface ChannelChanges {
  /** Empty: it is the same. */
  readonly keys: readonly string[];
  /** Its connections end, and are made anew. */
  readonly mustReopen: boolean;
}

/** Who else is in its load-balancing group does not change a channel. */
export function channelChanges(now: ChannelOptions, next: ChannelOptions): ChannelChanges {
  const { destinations: _, balance, ...mine } = now;
  const { destinations: __, balance: nextBalance, ...others } = next;
  const keys = new Set([
    ...differing(mine, others),
    ...differing(sharing(balance), sharing(nextBalance)),
  ]);
  let mustReopen = !isDeepStrictEqual(namesOf(now).sort(), namesOf(next).sort());
  if (mustReopen) keys.add('members');
  for (const destination of now.destinations) {
    const other = next.destinations.find(({ name }) => name === destination.name);
    if (other === undefined) continue;
    for (const key of differing(destination, other)) keys.add(key);
    // The kernel tunes a socket's buffer as long as nobody has set it.
    mustReopen ||= destination.sendBufferBytes > 0 && other.sendBufferBytes === 0;
  }
  if (!isDeepStrictEqual(namesOf(now), namesOf(next))) keys.add('priority');
  mustReopen ||= [...keys].some((key) => REOPENING.has(key));
  return { keys: [...keys], mustReopen };
}

function namesOf({ destinations }: ChannelOptions): string[] {
  return destinations.map(({ name }) => name);
}

function sharing(balance: ChannelOptions['balance']): Partial<ChannelOptions['balance'] & object> {
  return balance === null ? {} : { by: balance.by, field: balance.field };
}

function differing<T extends object>(a: T, b: T): string[] {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<string & keyof T>;
  return [...keys].filter((key) => !isDeepStrictEqual(a[key], b[key]));
}

/** What a reload makes of a channel. */
export type ChannelFate = 'new' | 'changed' | 'reopened' | 'untouched' | 'removed';

/** What becomes of the channel that was `now`, when it is to be `next`; null: it is not there. */
export function channelFate(
  now: ChannelOptions | null,
  next: ChannelOptions | null,
): { readonly fate: ChannelFate; readonly keys: readonly string[] } {
  if (now === null || next === null) return { fate: next === null ? 'removed' : 'new', keys: [] };
  const { keys, mustReopen } = channelChanges(now, next);
  if (keys.length === 0) return { fate: 'untouched', keys };
  return { fate: mustReopen ? 'reopened' : 'changed', keys };
}

/** The destinations of `now`, where they stand in `next`. */
export function orderOf(
  now: readonly DestinationOptions[],
  next: readonly DestinationOptions[],
): readonly number[] {
  return next.map(({ name }) => now.findIndex((one) => one.name === name));
}

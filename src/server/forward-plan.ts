/**
 * Forward plan: `forward:` of the configuration -> the channels that the engine runs; pure.
 *
 * WHY        `serve --check` explains, and the forwarder does, what this function returned.
 * CHANNELS   A destination in no group is one; so is each member of a multicast or load-balancing
 *            group (`group/destination`), and a redundancy group as a whole (`group`).
 * FILTERS    What a group and a destination say must both hold; sets of tags become `tag in (...)`.
 * INVARIANTS What forward-check.ts refuses is not planned: every name here is known.
 */
import { type Endpoint, parseEndpoint } from './address.ts';
import type { Config } from './config.ts';
import type { ChannelOptions, DestinationOptions, ForwardOptions } from './forward/options.ts';
import { checkForward } from './forward-check.ts';
import type { DestinationConfig, ForwardConfig, GroupConfig } from './forward-config.ts';
import { channelFilter, tagSets } from './forward-filter.ts';

/** The machine, as far as loops are concerned. */
export interface ForwardPlace {
  /** Where the server listens, with the ports that it really has. */
  readonly listeners: readonly Endpoint[];
  /** Addresses of this machine: forward/loop.ts. */
  readonly localAddresses: readonly string[];
}

const PRIORITY_MAX = 100;

/**
 * Throws MR_CONFIG_KEY (names, members, limits), MR_FILTER, MR_FORWARD_LOOP; all problems at once.
 * Without `place` the listeners are those of the configuration, on the loopback interface only.
 */
export function forwardOptions(config: Config, place?: Partial<ForwardPlace>): ForwardOptions {
  const listeners = place?.listeners ?? config.listen.map((text) => parseEndpoint(text));
  const localAddresses = place?.localAddresses ?? [];
  checkForward(config, { listeners, localAddresses });
  const { destinations, groups } = config.forward;
  const grouped = new Set(
    groups.flatMap(({ members }) => members.map(({ destination }) => destination)),
  );
  const channels = [
    ...destinations.filter(({ name }) => !grouped.has(name)).map((one) => single(config, one)),
    ...groups.flatMap((group) => channelsOf(config.forward, group)),
  ];
  return {
    channels,
    listeners: listeners.map(({ host, port }) => ({ host, port })),
  };
}

/** The parts of a group or a destination that choose records. */
type Choice = Pick<DestinationConfig, 'filter' | 'categories'>;

function filterOf(forward: ForwardConfig, choices: readonly Choice[]): string {
  return channelFilter(
    choices.map(({ filter }) => filter),
    choices.map(({ categories }) => categories),
    tagSets(forward),
  );
}

function destinationOf(one: DestinationConfig, priority: number): DestinationOptions {
  const {
    protocol: _protocol,
    from: _from,
    filter: _filter,
    categories: _categories,
    lagBytesMax: _lagBytesMax,
    lagMsMax: _lagMsMax,
    onLag: _onLag,
    ...options
  } = one;
  return { ...options, priority };
}

/** What a channel takes from the destination that leads it. */
function lagOf({ from, lagBytesMax, lagMsMax, onLag }: DestinationConfig) {
  return { from, lagBytesMax, lagMsMax, onLag };
}

function single(config: Config, one: DestinationConfig): ChannelOptions {
  return {
    name: one.name,
    group: null,
    mode: 'single',
    destinations: [destinationOf(one, PRIORITY_MAX)],
    filter: filterOf(config.forward, [one]),
    balance: null,
    ...lagOf(one),
    switchOverMs: 0,
    switchBackMs: 0,
  };
}

function channelsOf(forward: ForwardConfig, group: GroupConfig): ChannelOptions[] {
  const members = group.members.map(({ destination, priority }) => ({
    one: forward.destinations.find(({ name }) => name === destination)!,
    priority,
  }));
  const { name, mode, switchOverMs, switchBackMs } = group;
  const same = { group: name, mode, switchOverMs, switchBackMs };
  if (mode === 'redundancy') {
    const falling = members.toSorted((a, b) => b.priority - a.priority);
    const first = falling[0]!.one;
    const destinations = falling.map(({ one, priority }) => destinationOf(one, priority));
    const filter = filterOf(forward, [group, first]);
    return [{ ...same, name, destinations, filter, balance: null, ...lagOf(first) }];
  }
  const names = members.map(({ one }) => one.name);
  return members.map(({ one, priority }, self) => ({
    ...same,
    name: `${name}/${one.name}`,
    destinations: [destinationOf(one, priority)],
    filter: filterOf(forward, [group, one]),
    balance:
      mode === 'multicast' ? null : { by: group.by, field: group.field, members: names, self },
    ...lagOf(one),
  }));
}

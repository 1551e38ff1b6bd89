/**
 * Forward warnings: what in `forward:` works, and is hardly meant.
 *
 * WHY        A key that plays no part, a set that nobody uses, a filter that never holds: refusing
 *            them would forbid a configuration in the making; saying nothing leaves people
 *            believing in it. `serve --check` and the log say it.
 * INVARIANTS The configuration has passed forward-check.ts. Keys with their default values are as
 *            keys that are not there.
 */
import { type FilterNode, filterWarnings, parseFilter } from '../rdr/index.ts';
import type { Config } from './config.ts';
import { placeOf } from './forward-check.ts';
import type { DestinationConfig, ForwardConfig, GroupConfig } from './forward-config.ts';
import { groupSchema } from './forward-config.ts';
import { tagSets } from './forward-filter.ts';

/** Sentences, each with its path. */
export function forwardWarnings({ forward }: Config): readonly string[] {
  return [
    ...forward.destinations.flatMap((one, n) =>
      ofDestination(forward, one, placeOf(forward, 'destinations', n)),
    ),
    ...forward.groups.flatMap((group, n) => ofGroup(forward, group, placeOf(forward, 'groups', n))),
    ...ofSets(forward),
  ];
}

function ofDestination(forward: ForwardConfig, one: DestinationConfig, path: string): string[] {
  const warnings = ofFilter(forward, one.filter, path);
  if (one.onLag === 'drop-oldest' && one.lagBytesMax === 0 && one.lagMsMax === 0) {
    warnings.push(
      `${path}.onLag: drop-oldest without lagBytesMax or lagMsMax: nothing is too old; it only` +
        ' keeps the journal from waiting',
    );
  }
  return warnings;
}

function ofFilter(forward: ForwardConfig, text: string, path: string): string[] {
  const categories = tagSets(forward);
  return filterWarnings(parseFilter(text), { categories }).map((said) => `${path}.filter: ${said}`);
}

function ofGroup(forward: ForwardConfig, group: GroupConfig, path: string): string[] {
  const { members, mode } = group;
  const warnings = ofFilter(forward, group.filter, path);
  if (members.length === 1 && mode !== 'multicast') {
    warnings.push(`${path}: ${mode} among one member: nobody takes over from it`);
  }
  const priorities = new Set(members.map(({ priority }) => priority));
  if (mode === 'redundancy' && priorities.size < members.length) {
    warnings.push(`${path}.members: equal priorities: the one that is named first goes first`);
  }
  if (mode !== 'redundancy' && members.some(({ priority }) => priority !== 100)) {
    warnings.push(`${path}.members: priority plays no part in ${mode}`);
  }
  const idle = idleKeys(group).filter((key) => group[key] !== GROUP_DEFAULTS[key]);
  if (idle.length > 0) warnings.push(`${path}: ${idle.join(', ')} play no part in ${mode}`);
  return warnings;
}

const GROUP_DEFAULTS: GroupConfig = groupSchema.parse({
  name: 'defaults',
  mode: 'multicast',
  members: [{ destination: 'defaults' }],
});

type GroupKey = 'by' | 'field' | 'switchOverMs' | 'switchBackMs';

/** Keys that a group's mode does not read. */
function idleKeys({ mode, by }: GroupConfig): readonly GroupKey[] {
  if (mode === 'multicast') return ['by', 'field', 'switchOverMs', 'switchBackMs'];
  if (mode === 'redundancy') return ['by', 'field'];
  return by === 'block' ? ['field'] : [];
}

function ofSets(forward: ForwardConfig): string[] {
  const choices = [...forward.destinations, ...forward.groups];
  const used = new Set(
    choices.flatMap(({ categories, filter }) => [
      ...categories,
      ...namedIn(parseFilter(filter).root),
    ]),
  );
  return Object.keys(forward.categories)
    .filter((name) => !used.has(name))
    .map((name) => `forward.categories.${name}: nobody uses this set`);
}

function namedIn(node: FilterNode): string[] {
  if (node.kind === 'not') return namedIn(node.term);
  if (node.kind !== 'compare') return node.terms.flatMap(namedIn);
  return node.values.flatMap((value) => (value.kind === 'category' ? [value.name] : []));
}

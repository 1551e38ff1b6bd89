/**
 * Forward check: what is wrong in `forward:` of a configuration.
 *
 * WHY        The schema judges each key by itself; names, members, tags and loops need several at
 *            once. All that is wrong is told at once, each with its path.
 */

import { FilterError, makeFieldFinder, nearTagNames, tagByName } from '../rdr/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from './address.ts';
import type { Config } from './config.ts';
import { pathText } from './config-problems.ts';
import { isOwnEndpoint } from './forward/loop.ts';
import type { DestinationConfig, ForwardConfig, GroupConfig } from './forward-config.ts';
import { parseWithSets, tagSets } from './forward-filter.ts';

interface Place {
  readonly listeners: readonly Endpoint[];
  readonly localAddresses: readonly string[];
}

/** The stages with which there is a journal to forward from. */
const JOURNAL_STAGES: readonly Config['stages'][] = ['journal', 'latency', 'all'];

/** A sentence with its path; a filter's also with its code and remedy. */
type Problem = string | { readonly text: string; readonly error: FilterError };

/** Throws MR_CONFIG_KEY or MR_FILTER, whichever is first, with all problems; or MR_FORWARD_LOOP. */
export function checkForward(config: Config, place: Place): void {
  const { forward, stages } = config;
  const problems: Problem[] = [
    ...checkNames(forward),
    ...checkCategories(forward),
    ...forward.destinations.flatMap((one, n) => checkDestination(forward, one, n)),
    ...forward.groups.flatMap((group, n) => checkGroup(forward, group, n)),
  ];
  if (forward.destinations.length > 0 && !JOURNAL_STAGES.includes(stages)) {
    problems.push(`stages: "${stages}" has no journal to forward from`);
  }
  const [first] = problems;
  if (first !== undefined) {
    const isText = typeof first === 'string';
    throw new MillraceError(
      isText ? 'MR_CONFIG_KEY' : 'MR_FILTER',
      problems.map((one) => (typeof one === 'string' ? one : one.text)).join('; '),
      isText
        ? 'see docs/reference/config.md, section forward'
        : first.error.remedy || 'docs/reference/filter.md says what may stand there',
    );
  }
  checkLoops(config, place);
}

/** By name, as people know them: `forward.destinations[mediation]`. */
export function placeOf(forward: ForwardConfig, list: 'destinations' | 'groups', n: number) {
  return pathText({ forward }, ['forward', list, n]);
}

function checkNames(forward: ForwardConfig): string[] {
  const seen = new Map<string, string>();
  const all = [
    ...forward.destinations.map(({ name }, n) => [name, `forward.destinations.${n}.name`] as const),
    ...forward.groups.map(({ name }, n) => [name, `forward.groups.${n}.name`] as const),
  ];
  return all.flatMap(([name, path]) => {
    const first = seen.get(name);
    if (first === undefined) seen.set(name, path);
    return first === undefined
      ? []
      : [`${path}: "${name}" is also ${first}; names of destinations and groups are unique`];
  });
}

function checkCategories(forward: ForwardConfig): string[] {
  return Object.entries(forward.categories).flatMap(([name, tags]) =>
    tags.flatMap((tag, n) =>
      typeof tag === 'number' || tagByName(tag) !== null
        ? []
        : [`forward.categories.${name}.${n}: no record type "${tag}"${nearText(tag)}`],
    ),
  );
}

function nearText(tag: string): string {
  const near = nearTagNames(tag);
  return near.length > 0 ? `: do you mean ${near.join(' or ')}?` : ': give a name or a tag';
}

function checkFilter(forward: ForwardConfig, path: string, text: string): Problem[] {
  try {
    parseWithSets(text, tagSets(forward));
    return [];
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return [{ text: `${path}.filter: ${error.message}`, error }];
  }
}

function checkSets(forward: ForwardConfig, path: string, names: readonly string[]): string[] {
  const known = Object.keys(forward.categories);
  const there = known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`;
  return names.flatMap((name, n) =>
    known.includes(name)
      ? []
      : [`${path}.categories.${n}: no set "${name}" in forward.categories: ${there}`],
  );
}

function checkDestination(forward: ForwardConfig, one: DestinationConfig, n: number): Problem[] {
  const path = placeOf(forward, 'destinations', n);
  const problems: Problem[] = [
    ...checkSets(forward, path, one.categories),
    ...checkFilter(forward, path, one.filter),
  ];
  if (one.reconnectMsMin > one.reconnectMsMax) {
    problems.push(
      `${path}.reconnectMsMin: ${one.reconnectMsMin} is above reconnectMsMax ${one.reconnectMsMax}`,
    );
  }
  if (one.connections === 'merged' && Object.keys(one.localAddressByExporter).length > 0) {
    problems.push(
      `${path}.localAddressByExporter: there is one connection for all exporters: connections is` +
        ' merged',
    );
  }
  return problems;
}

function checkGroup(forward: ForwardConfig, group: GroupConfig, n: number): Problem[] {
  const path = placeOf(forward, 'groups', n);
  const problems: Problem[] = [
    ...checkSets(forward, path, group.categories),
    ...checkFilter(forward, path, group.filter),
  ];
  const names = forward.destinations.map(({ name }) => name);
  const members = group.members.map(({ destination }) => destination);
  for (const [m, name] of members.entries()) {
    const at = `${path}.members.${m}.destination`;
    if (!names.includes(name)) {
      const there = names.length === 0 ? 'there are none' : `there are ${listed(names)}`;
      problems.push(`${at}: no destination "${name}": ${there}`);
    } else if (members.indexOf(name) < m) {
      problems.push(`${at}: "${name}" is a member already`);
    }
  }
  if (group.mode === 'load-balancing' && group.by === 'hash' && group.field !== 'exporter') {
    problems.push(...checkField(path, group.field));
  }
  if (group.mode === 'redundancy') problems.push(...checkSameness(forward, group, path));
  return problems;
}

function checkField(path: string, field: string): string[] {
  try {
    makeFieldFinder(field);
    return [];
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    return [`${path}.field: no record has a field "${field}": ${error.remedy}`];
  }
}

/** A redundancy group is one stream: what says which records, and how long they wait, is one. */
const SAME_KEYS = [
  'filter',
  'categories',
  'from',
  'resend',
  'lagBytesMax',
  'lagMsMax',
  'onLag',
] as const;

function checkSameness(forward: ForwardConfig, group: GroupConfig, path: string): string[] {
  const members = group.members.flatMap(({ destination }) =>
    forward.destinations.filter(({ name }) => name === destination),
  );
  return SAME_KEYS.flatMap((key) => {
    const other = members.find(
      (one) => JSON.stringify(one[key]) !== JSON.stringify(members[0]![key]),
    );
    return other === undefined
      ? []
      : [
          `${path}.members: "${members[0]!.name}" and "${other.name}" differ in ${key}: in a` +
            ' redundancy group they take turns at one stream',
        ];
  });
}

/** So many names are told; there may be a hundred. */
const NAMES_TOLD = 10;

function listed(names: readonly string[]): string {
  const more = names.length - NAMES_TOLD;
  return names.slice(0, NAMES_TOLD).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

function checkLoops({ forward, http }: Config, { listeners, localAddresses }: Place): void {
  const pages = http === null ? [] : [parseEndpoint(http)];
  for (const [n, { name, host, port }] of forward.destinations.entries()) {
    const isListener = isOwnEndpoint(host, port, listeners, localAddresses);
    if (!isListener && !isOwnEndpoint(host, port, pages, localAddresses)) continue;
    const what = isListener ? 'where this server listens itself' : 'the page of this server (http)';
    throw new MillraceError(
      'MR_FORWARD_LOOP',
      `${placeOf(forward, 'destinations', n)}: "${name}" is ${formatEndpoint({ host, port })},` +
        ` ${what}`,
      'give the address of another collector, or listen on another port',
    );
  }
}

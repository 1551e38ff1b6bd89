/**
 * A reload does to each channel what it says that it does, whatever differs.
 *
 * What people read (reload.ts), what the forwarder's lanes do (lanes.ts) and what the reference
 * says of each key are three places; here they are compared: over random pairs of configurations,
 * and key by key.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigInput, makeConfig } from '../src/server/config.ts';
import type { Lane } from '../src/server/forward/lane.ts';
import type { ChannelOptions, ForwardOptions } from '../src/server/forward/options.ts';
import { positionPath } from '../src/server/forward/position-file.ts';
import { destinationSchema, groupSchema } from '../src/server/forward-config.ts';
import { forwardOptions } from '../src/server/forward-plan.ts';
import { reloadText } from '../src/server/reload.ts';
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { Prng } from '../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { EngineLife, JournalFeed } from './support/forward-engine.ts';
import { ROOT } from './tidy/sources.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);
const ROUNDS = 60;
const NAMES = ['a', 'b', 'c'];

type Forward = NonNullable<ConfigInput['forward']>;
type Keys = Record<string, unknown>;

/** Other values than the defaults, of every key of a destination that a reload may change. */
const DESTINATION_VALUES: Readonly<Keys> = {
  host: '127.0.0.2',
  port: 2,
  connections: 'merged',
  localAddressByExporter: { '10.0.0.1': '127.0.0.3' },
  from: 'now',
  filter: 'tag = 7',
  categories: ['odd'],
  resend: 'none',
  mechanism: 'copy',
  rateBytesPerSecond: 1e6,
  lingerMs: 6,
  connectTimeoutMs: 20_000,
  idleTimeoutMs: 90_000,
  keepAliveMs: 30_000,
  userTimeoutMs: 40_000,
  sendBufferBytes: 65_536,
  reconnectMsMin: 300,
  reconnectMsMax: 40_000,
  lagBytesMax: 1e9,
  lagMsMax: 1e6,
  onLag: 'drop-oldest',
};

/** Of a group; its members apart. */
const GROUP_VALUES: Readonly<Keys> = {
  mode: 'multicast',
  by: 'block',
  field: 'exporter',
  filter: 'tag = 8',
  categories: ['odd'],
  switchOverMs: 6_000,
  switchBackMs: 40_000,
};

function planned(forward: Forward): ForwardOptions {
  return forwardOptions(makeConfig({ forward }, ''));
}

function pick<T>(random: Prng, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}

/** Some of the keys, with their other values. */
function some(random: Prng, values: Readonly<Keys>, share: number): Keys {
  return Object.fromEntries(Object.entries(values).filter(() => random.chance(share)));
}

/** Null: not one that could be configured. */
function randomPlan(random: Prng): ForwardOptions | null {
  const share = pick(random, [0, 0, 0.03, 0.1]);
  const common = some(random, DESTINATION_VALUES, share);
  const destinations = NAMES.map((name) => ({
    name,
    host: '127.0.0.1',
    port: 1,
    ...common,
    ...some(random, DESTINATION_VALUES, pick(random, [0, 0.05])),
  }));
  const members = NAMES.filter(() => random.chance(0.6)).map((destination) => ({
    destination,
    priority: pick(random, [100, 100, 50]),
  }));
  const mode = pick(random, ['redundancy', 'redundancy', 'load-balancing', 'multicast']);
  const group = { name: 'g', mode, ...some(random, GROUP_VALUES, share), members };
  const groups = members.length > 0 ? [group] : [];
  try {
    const used = destinations.filter(({ name }) => name === 'a' || random.chance(0.8));
    return planned({ destinations: used, groups, categories: { odd: [7] } } as Forward);
  } catch (error) {
    if (error instanceof MillraceError) return null;
    throw error;
  }
}

/** The same, but for the order of equal members. */
function turned({ channels, listeners }: ForwardOptions): ForwardOptions {
  const copies = structuredClone(channels) as ChannelOptions[];
  return {
    channels: copies.map((one) => ({ ...one, destinations: one.destinations.toReversed() })),
    listeners,
  };
}

/** `1 changed (a: filter), 1 untouched (b)` as name -> what. */
function said(text: string): Map<string, string> {
  const fates = new Map<string, string>();
  for (const [, fate, names] of text.matchAll(/\d+ (\w+) \(([^)]*)\)/g)) {
    for (const name of names!.split(', ')) fates.set(name.split(':')[0]!, fate!);
  }
  return fates;
}

/** All but who else shares. */
function own({ balance, ...channel }: ChannelOptions): string {
  return JSON.stringify([channel, balance?.by, balance?.field]);
}

/** What became of one, by what is there before and after. */
function done(before: Lane | undefined, after: Lane | undefined, was: ChannelOptions): string {
  if (after === undefined) return 'removed';
  if (before === undefined) return 'new';
  if (before !== after) return 'reopened';
  return after.options === was ? 'untouched' : 'changed';
}

test('what a reload says is what the lanes do', {
  skip: addonSkipReason() ?? false,
}, (t: TestContext) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED);
  const met = new Map<string, number>();
  for (let round = 0; round < ROUNDS; ) {
    const [now, next] = [randomPlan(random), random.chance(0.2) ? null : randomPlan(random)];
    if (now === null) continue;
    round++;
    const wanted = next ?? turned(now);
    const fates = said(reloadText(now, wanted));
    const feed = new JournalFeed(1, 1);
    const life = new EngineLife(feed, now.channels, random);
    try {
      const before = new Map(life.lanes.all.map((lane) => [lane.name, lane]));
      const was = new Map(now.channels.map((channel) => [channel.name, channel]));
      life.reload(wanted.channels);
      // Nothing is on its way: what ends has ended after some turns, and is opened again.
      for (let turn = 0; life.lanes.all.length < wanted.channels.length; turn++) {
        assert.ok(turn < 1000, `seed ${SEED}: reopened at last`);
        life.turn();
      }
      const after = new Map(life.lanes.all.map((lane) => [lane.name, lane]));
      const where = `seed ${SEED}, round ${round}: ${reloadText(now, wanted)}`;
      for (const name of new Set([...before.keys(), ...after.keys()])) {
        const found = done(before.get(name), after.get(name), was.get(name)!);
        assert.equal(found, fates.get(name), `${name}: ${where}`);
        met.set(found, (met.get(found) ?? 0) + 1);
        const lane = after.get(name);
        const options = wanted.channels.find((channel) => channel.name === name);
        if (lane !== undefined) assert.equal(own(lane.options), own(options!), `${name}: ${where}`);
      }
      for (let turn = 0; turn < 5; turn++) life.turn();
      for (const [name, fate] of fates) {
        const isThere = existsSync(positionPath(feed.positions, name));
        assert.equal(isThere, fate !== 'removed', `position of ${name}: ${where}`);
      }
    } finally {
      life.close();
      feed.close();
    }
  }
  t.diagnostic(JSON.stringify(Object.fromEntries(met)));
  const fates = ['new', 'changed', 'reopened', 'untouched', 'removed'];
  for (const fate of fates) assert.ok((met.get(fate) ?? 0) > 0, `${fate} is met`);
});

/** Keys that the table of the reference names for what a reload does. */
function documented(fate: string): string {
  const page = readFileSync(join(ROOT, 'docs/reference/forward.md'), 'utf8');
  return page.split('\n').find((line) => line.trim().startsWith(`| \`${fate}\` |`))!;
}

test('each key is in the row of the reference that says what a reload does with it', () => {
  const base = { name: 'a', host: '127.0.0.1', port: 1 };
  const fixed = ['name', 'protocol'];
  const keys = Object.keys(destinationSchema.shape).filter((key) => !fixed.includes(key));
  assert.deepEqual(Object.keys(DESTINATION_VALUES).toSorted(), keys.toSorted());
  const categories = { odd: [7] };
  const fateOf = (now: Forward, next: Forward): string =>
    [...said(reloadText(planned(now), planned(next))).values()].join();
  const check = (key: string, fate: string): void => {
    assert.ok(['changed', 'reopened'].includes(fate), `${key}: ${fate}`);
    const word = /TimeoutMs$|^reconnectMs/.test(key) && key !== 'userTimeoutMs' ? 'all times' : key;
    assert.match(
      documented(fate),
      new RegExp(word === key ? `\`${key}\`` : word),
      `${key} ${fate}`,
    );
  };
  for (const key of keys) {
    const other = { ...base, [key]: DESTINATION_VALUES[key] };
    check(key, fateOf({ destinations: [base], categories }, { destinations: [other], categories }));
  }
  const group = {
    name: 'g',
    mode: 'load-balancing' as const,
    members: [{ destination: 'a' }],
  };
  const apart = ['name', 'members'];
  const groupKeys = Object.keys(groupSchema.shape).filter((key) => !apart.includes(key));
  assert.deepEqual(Object.keys(GROUP_VALUES).toSorted(), groupKeys.toSorted());
  for (const key of groupKeys) {
    const next = { ...group, [key]: GROUP_VALUES[key] };
    const forward = { destinations: [base], categories };
    check(key, fateOf({ ...forward, groups: [group] }, { ...forward, groups: [next] }));
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../toolkit/base/errors.ts';
import { type ConfigInput, makeConfig } from './config.ts';
import { combineFilters } from './forward-filter.ts';
import { type ForwardPlace, forwardOptions } from './forward-plan.ts';
import { forwardLines } from './forward-text.ts';
import { forwardWarnings } from './forward-warnings.ts';

type ForwardInput = NonNullable<ConfigInput['forward']>;
type DestinationInput = NonNullable<ForwardInput['destinations']>[number];

function to(name: string, more: Partial<DestinationInput> = {}): DestinationInput {
  return { name, host: '192.0.2.1', port: 4000, ...more };
}

function planned(forward: ForwardInput, more: ConfigInput = {}) {
  return forwardOptions(makeConfig({ ...more, forward }));
}

function refused(forward: unknown, pattern: RegExp, code = 'MR_CONFIG_KEY', more: object = {}) {
  assert.throws(
    () => forwardOptions(makeConfig({ ...more, forward })),
    (error: unknown) => {
      assert.ok(error instanceof MillraceError, String(error));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, pattern);
      assert.notEqual(error.remedy, '');
      return true;
    },
  );
}

const DESTINATIONS = [to('a'), to('b'), to('c')];
const members = (...names: string[]) => names.map((destination) => ({ destination }));

test('nothing to forward is no channel', () => {
  assert.deepEqual(planned({}).channels, []);
  assert.deepEqual(forwardLines(planned({})), []);
});

test('a destination in no group is a channel with everything that was said of it', () => {
  const [channel, ...others] = planned({
    destinations: [
      to('mediation', {
        rateBytesPerSecond: 1000,
        from: 'journal-start',
        lagBytesMax: 5,
        onLag: 'drop-oldest',
        localAddressByExporter: { '10.0.0.1': '192.0.2.7' },
      }),
    ],
  }).channels;
  assert.deepEqual(others, []);
  assert.equal(channel!.name, 'mediation');
  assert.deepEqual([channel!.group, channel!.mode, channel!.balance], [null, 'single', null]);
  assert.deepEqual(
    [channel!.from, channel!.lagBytesMax, channel!.lagMsMax, channel!.onLag, channel!.filter],
    ['journal-start', 5, 0, 'drop-oldest', ''],
  );
  assert.deepEqual(channel!.destinations, [
    {
      name: 'mediation',
      host: '192.0.2.1',
      port: 4000,
      connections: 'per-exporter',
      localAddressByExporter: { '10.0.0.1': '192.0.2.7' },
      resend: 'unacked',
      mechanism: 'auto',
      rateBytesPerSecond: 1000,
      lingerMs: 5,
      connectTimeoutMs: 10_000,
      idleTimeoutMs: 0,
      keepAliveMs: 60_000,
      userTimeoutMs: 30_000,
      sendBufferBytes: 0,
      reconnectMsMin: 200,
      reconnectMsMax: 30_000,
      priority: 100,
    },
  ]);
});

test('groups are taken apart: redundancy is one channel, the others one for each member', () => {
  const { channels } = planned({
    destinations: [...DESTINATIONS, to('alone')],
    groups: [
      {
        name: 'pair',
        mode: 'redundancy',
        members: [
          { destination: 'a', priority: 10 },
          { destination: 'b', priority: 90 },
          { destination: 'c', priority: 10 },
        ],
      },
      { name: 'both', mode: 'multicast', members: members('a', 'b') },
      { name: 'farm', mode: 'load-balancing', members: members('c', 'a'), by: 'block' },
    ],
  });
  assert.deepEqual(
    channels.map(({ name, mode, destinations }) => [name, mode, destinations.map((d) => d.name)]),
    [
      ['alone', 'single', ['alone']],
      ['pair', 'redundancy', ['b', 'a', 'c']],
      ['both/a', 'multicast', ['a']],
      ['both/b', 'multicast', ['b']],
      ['farm/c', 'load-balancing', ['c']],
      ['farm/a', 'load-balancing', ['a']],
    ],
  );
  assert.deepEqual(
    channels[1]!.destinations.map(({ priority }) => priority),
    [90, 10, 10],
  );
  const [first, second] = channels.slice(4);
  const members2 = ['c', 'a'];
  assert.deepEqual(first!.balance, {
    by: 'block',
    field: 'subscriber_id',
    members: members2,
    self: 0,
  });
  assert.equal(second!.balance!.self, 1);
  assert.deepEqual([channels[1]!.switchOverMs, channels[1]!.switchBackMs], [5_000, 30_000]);
});

test('filters and sets of tags of group and destination must all hold', () => {
  assert.equal(combineFilters(['', ' a = 1 ', '']), 'a = 1');
  assert.equal(combineFilters(['a = 1 or b = 2', 'c = 3']), '(a = 1 or b = 2) and (c = 3)');
  const { channels } = planned({
    destinations: [
      to('a', { filter: 'server_port = 80 or server_port = 443', categories: ['usage', 'more'] }),
    ],
    groups: [
      { name: 'g', mode: 'multicast', members: members('a'), filter: 'not exporter = 10.0.0.1' },
    ],
    categories: { usage: ['TRANSACTION_USAGE', 0xf0f0_f438], more: [0xf0f0_f438, '0xf0f0f000'] },
  });
  assert.equal(
    channels[0]!.filter,
    '(not exporter = 10.0.0.1) and (server_port = 80 or server_port = 443)' +
      ' and (tag in (0xf0f0f438, 0xf0f0f000))',
  );
});

test('a filter may name the sets of tags, which the engine does not know', () => {
  const filterOf = (filter: string): string =>
    planned({
      destinations: [to('a', { filter })],
      categories: { usage: ['TRANSACTION_USAGE', 0x11] },
    }).channels[0]!.filter;
  assert.equal(filterOf('category = usage'), 'tag in (transaction_usage, 0x00000011)');
  assert.equal(
    filterOf('not category != usage and server_port = 80'),
    'not tag not in (transaction_usage, 0x00000011) and server_port = 80',
  );
  assert.equal(filterOf('tag = TUR  or server_port=80'), 'tag = TUR  or server_port=80');
});

test('a filter that cannot be understood says where, and what may have been meant', () => {
  const cases: [string, RegExp, string?][] = [
    ['subscriber = 1', /destinations\[a\]\.filter: filter, line 1, column 1: no field is called/],
    ['tag = ', /destinations\[a\]\.filter: .*column 7/],
    ['category = usage', /destinations\[a\]\.filter: .*no category is called "usage"/],
  ];
  for (const [filter, pattern] of cases) {
    refused({ destinations: [to('a', { filter })] }, pattern, 'MR_FILTER');
  }
  const groups = [{ name: 'g', mode: 'multicast', members: members('a'), filter: 'x' }];
  refused({ destinations: [to('a')], groups }, /groups\[g\]\.filter/, 'MR_FILTER');
});

test('names: unique over destinations and groups, and of few characters', () => {
  refused({ destinations: [to('a'), to('a')] }, /destinations\.1\.name: "a" is also .*\.0\.name/);
  refused(
    {
      destinations: DESTINATIONS,
      groups: [{ name: 'b', mode: 'multicast', members: members('a') }],
    },
    /groups\.0\.name: "b" is also forward\.destinations\.1\.name/,
  );
  for (const name of ['', 'A', '-a', 'a/b', '..', 'a b', 'x'.repeat(64)]) {
    refused({ destinations: [to(name)] }, /destinations(\.0|\[[^\]]+\])\.name: not a name/);
  }
});

test('members: known, once each, of a priority from 1 to 100, and at least one', () => {
  const group = (list: unknown) => ({
    destinations: DESTINATIONS,
    groups: [{ name: 'g', mode: 'redundancy', members: list }],
  });
  refused(
    group(members('a', 'z')),
    /members\.1\.destination: no destination "z": there are a, b, c/,
  );
  refused(group(members('a', 'b', 'a')), /members\.2\.destination: "a" is a member already/);
  refused(group([]), /groups\[g\]\.members: a group needs members/);
  for (const priority of [0, 101, 1.5, '5']) {
    refused(group([{ destination: 'a', priority }]), /members\.0\.priority/);
  }
});

test('sets: known, of known tags, not empty', () => {
  refused(
    { destinations: [to('a', { categories: ['x'] })] },
    /categories\.0: no set "x".*there are none/,
  );
  refused({ categories: { x: ['NO_SUCH'] } }, /categories\.x\.0: no record type "NO_SUCH"/);
  refused({ categories: { x: [] } }, /categories\.x: a set needs tags/);
  refused({ categories: { x: [-1] } }, /categories\.x\.0/);
});

test('keys of a destination: unknown, out of range, contradicting', () => {
  const cases: [object, RegExp][] = [
    [{ prot: 1 }, /destinations\[a\].*prot/],
    [{ prt: 1 }, /destinations\[a\]: Unrecognized key: "prt"; do you mean port\?/],
    [{ port: undefined }, /destinations\[a\]\.port: missing; expected number/],
    [{ protocol: 'ipfix' }, /destinations\[a\]\.protocol/],
    [{ port: 0 }, /destinations\[a\]\.port/],
    [{ port: 65_536 }, /destinations\[a\]\.port: .*; found 65536/],
    [{ host: '' }, /destinations\[a\]\.host/],
    [{ from: 'start' }, /destinations\[a\]\.from/],
    [{ filter: 5 }, /destinations\[a\]\.filter/],
    [{ lingerMs: -1 }, /destinations\[a\]\.lingerMs/],
    [{ localAddressByExporter: { nowhere: '10.0.0.1' } }, /localAddressByExporter/],
    [{ localAddressByExporter: { '10.0.0.1': 'x' } }, /localAddressByExporter.*not an IPv4/],
    [{ reconnectMsMin: 500, reconnectMsMax: 100 }, /reconnectMsMin: 500 is above/],
    [
      { connections: 'merged', localAddressByExporter: { '10.0.0.1': '10.0.0.2' } },
      /localAddressByExporter: there is one connection/,
    ],
  ];
  for (const [more, pattern] of cases) {
    refused({ destinations: [to('a', more as Partial<DestinationInput>)] }, pattern);
  }
});

test('a field that no record has cannot be hashed', () => {
  const group = (field: string) => ({
    destinations: DESTINATIONS,
    groups: [{ name: 'g', mode: 'load-balancing', members: members('a', 'b'), field }],
  });
  refused(group('subscriber_ip'), /groups\[g\]\.field: no record has a field "subscriber_ip"/);
  refused(group('SUBSCRIBER'), /groups\[g\]\.field: not a lower_snake name/);
  for (const field of ['exporter', 'package_id']) planned(group(field) as ForwardInput);
});

test('members of a redundancy group take turns at one stream: they agree on it', () => {
  const group = (more: Partial<DestinationInput>) => ({
    destinations: [to('a'), to('b', more)],
    groups: [{ name: 'g', mode: 'redundancy', members: members('a', 'b') }],
  });
  refused(group({ filter: 'tag = TUR' }), /"a" and "b" differ in filter/);
  refused(group({ onLag: 'drop-oldest' }), /differ in onLag/);
  refused(group({ resend: 'none' }), /differ in resend/);
  planned(group({ rateBytesPerSecond: 9 }) as ForwardInput);
});

test('stages without a journal have nothing to forward', () => {
  const forward = { destinations: [to('a')] };
  for (const stages of ['frame', 'decode'])
    refused(forward, /^stages: /, 'MR_CONFIG_KEY', { stages });
  planned(forward, { stages: 'journal' });
});

test('several problems are told at once', () => {
  refused({ destinations: [to('a'), to('a', { categories: ['x'] })] }, /is also.*; .*no set "x"/);
});

test('a destination that is one of our listeners is a loop', () => {
  const loops = (listen: string, host: string, place?: Partial<ForwardPlace>): boolean => {
    const config = makeConfig({ listen: [listen], forward: { destinations: [to('a', { host })] } });
    try {
      forwardOptions(config, place);
      return false;
    } catch (error) {
      assert.equal((error as MillraceError).code, 'MR_FORWARD_LOOP');
      assert.match((error as Error).message, /forward\.destinations\[a\]/);
      return true;
    }
  };
  assert.ok(loops('127.0.0.1:4000', '127.0.0.1'));
  assert.ok(loops('127.0.0.1:4000', 'localhost'));
  assert.ok(loops('localhost:4000', '::1'));
  assert.ok(loops('127.0.0.1:4000', '0.0.0.0'));
  assert.ok(loops('127.0.0.1:4000', '::ffff:127.0.0.1'));
  assert.ok(loops('0.0.0.0:4000', '127.9.9.9'));
  assert.ok(loops('[::]:4000', '0:0:0:0:0:0:0:1'));
  assert.ok(loops('Collector.Example:4000', 'collector.example'));
  assert.ok(!loops('127.0.0.1:4001', '127.0.0.1'), 'another port');
  assert.ok(!loops('127.0.0.1:4000', '127.0.0.2'), 'another address');
  assert.ok(!loops('[::]:4000', '127.0.0.1'), 'the other family');
  assert.ok(!loops('0.0.0.0:4000', '192.0.2.1'), 'not known to be ours');
  const place = { localAddresses: ['192.0.2.1', 'fe80::1'] };
  assert.ok(loops('0.0.0.0:4000', '192.0.2.1', place));
  assert.ok(!loops('[::]:4000', '192.0.2.1', place));
  // What the kernel chose for port 0.
  const real = { listeners: [{ host: '127.0.0.1', port: 4000 }] };
  assert.ok(loops('127.0.0.1:0', '127.0.0.1', real));
});

test('a destination that is our own page is a loop', () => {
  const forward = { destinations: [to('a', { host: '127.0.0.1' })] };
  refused(forward, /\[a\].*the page of this server/, 'MR_FORWARD_LOOP', { http: '0.0.0.0:4000' });
  planned(forward, { http: null });
  planned(forward, { http: '127.0.0.1:4001' });
});

test('a group of one works, and is warned about', () => {
  const config = makeConfig({
    forward: {
      destinations: DESTINATIONS,
      groups: [
        { name: 'one', mode: 'redundancy', members: members('a') },
        { name: 'two', mode: 'redundancy', members: members('b', 'c') },
      ],
    },
  });
  assert.equal(forwardOptions(config).channels.length, 2);
  assert.deepEqual(
    forwardWarnings(config).map((text) => text.split(':')[0]),
    ['forward.groups[one]', 'forward.groups[two].members'],
  );
});

test('a hundred destinations are a hundred channels', () => {
  const destinations = Array.from({ length: 100 }, (_, n) => to(`d${n}`));
  const { channels } = planned({ destinations });
  assert.equal(channels.length, 100);
  assert.equal(forwardLines({ channels, listeners: [] }).length, 201);
  const names = destinations.map(({ name }) => name);
  const group = { name: 'all', mode: 'load-balancing' as const, members: members(...names) };
  assert.equal(planned({ destinations, groups: [group] }).channels.length, 100);
});

test('what will be forwarded where can be read', () => {
  const text = forwardLines(
    planned({
      destinations: [...DESTINATIONS, to('alone', { host: '2001:db8::1', onLag: 'drop-oldest' })],
      groups: [
        {
          name: 'pair',
          mode: 'redundancy',
          members: members('a', 'b'),
          filter: 'server_port = 80',
        },
        { name: 'farm', mode: 'load-balancing', members: members('b', 'c') },
      ],
    }),
  ).join('\n');
  assert.match(text, /^forward: 4 channels to 4 destinations$/m);
  assert.match(text, /^ {2}alone: to \[2001:db8::1\]:4000$/m);
  assert.match(text, /pair: to the first that is up of a 192\.0\.2\.1:4000 \(priority 100\), b /);
  assert.match(text, /farm\/c: to 192\.0\.2\.1:4000, 1 of 2 shares \(by subscriber_id\) of farm/);
  assert.match(text, /records where server_port = 80/);
});

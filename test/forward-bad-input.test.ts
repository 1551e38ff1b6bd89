/**
 * Forwarding that is badly configured or badly answered: what cannot be meant is refused with a
 * code and a remedy, and what may come right is served, counted and tried again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ConfigInput, makeConfig } from '../src/server/config.ts';
import type { ChannelReport, DestinationReport } from '../src/server/forward/report.ts';
import { forwardOptions } from '../src/server/forward-plan.ts';
import { startServer } from '../src/server/index.ts';
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { ExporterSocket } from './support/exporter-socket.ts';
import { ForwardDestination } from './support/forward-destination.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { sleepMs } from './support/server-process.ts';
import { simulatedBytes } from './support/streams.ts';

type ForwardInput = NonNullable<ConfigInput['forward']>;
type DestinationInput = NonNullable<ForwardInput['destinations']>[number];

const needsAddon = { skip: addonSkipReason(), timeout: 120_000 };
const LISTEN = '127.0.0.1:4000';
const DESTINATIONS = 100;

function to(name: string, more: Partial<DestinationInput> = {}): DestinationInput {
  return { name, host: '192.0.2.1', port: 4000, ...more };
}

function withPriority(priority: number): ForwardInput {
  const members = [{ destination: 'a', priority }];
  return { destinations: [to('a')], groups: [{ name: 'pair', mode: 'redundancy', members }] };
}

const REFUSED: readonly (readonly [string, ForwardInput, string, RegExp, RegExp])[] = [
  [
    'an unknown field in a filter',
    { destinations: [to('a', { filter: 'tag = TUR and packge_id = 1' })] },
    'MR_FILTER',
    /^forward\.destinations\[a\]\.filter: .*column 15: no field is called "packge_id"/,
    /^do you mean package_id\?/,
  ],
  [
    'a destination that is ourselves, by its address',
    { destinations: [to('a'), to('self', { host: '127.0.0.1' })] },
    'MR_FORWARD_LOOP',
    /^forward\.destinations\[self\]: "self" is 127\.0\.0\.1:4000, where this server listens itself/,
    /the address of another collector, or listen on another port/,
  ],
  [
    'two destinations with one name',
    { destinations: [to('a'), to('b'), to('a', { port: 5 })] },
    'MR_CONFIG_KEY',
    /^forward\.destinations\.2\.name: "a" is also forward\.destinations\.0\.name/,
    /docs\/reference\/config\.md/,
  ],
  [
    'a priority above 100',
    withPriority(101),
    'MR_CONFIG_KEY',
    /forward\.groups\[pair\]\.members\.0\.priority: .*100/,
    /docs\/reference\/config\.md/,
  ],
  [
    'a priority below 1',
    withPriority(0),
    'MR_CONFIG_KEY',
    /forward\.groups\[pair\]\.members\.0\.priority: .*1/,
    /docs\/reference\/config\.md/,
  ],
];

for (const [what, forward, code, message, remedy] of REFUSED) {
  test(`refused: ${what}`, () => {
    assert.throws(
      () => forwardOptions(makeConfig({ listen: [LISTEN], forward })),
      (error: unknown) => {
        assert.ok(error instanceof MillraceError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, message);
        assert.match(error.remedy, remedy);
        return true;
      },
    );
  });
}

test('served: priorities 1 and 100', () => {
  for (const priority of [1, 100]) {
    const { channels } = forwardOptions(makeConfig({ forward: withPriority(priority) }));
    assert.equal(channels[0]!.destinations[0]!.priority, priority);
  }
});

function startPeers(t: TestContext) {
  const clock = { next: 0 };
  const many = new ForwardDestination('many', clock);
  const talker = new ForwardDestination('talker', clock);
  talker.isTalkingBack = true;
  const peers = [many, talker];
  for (const peer of peers) peer.start();
  t.after(() => {
    for (const peer of peers) peer.kill();
  });
  return { many, talker, peers };
}

test('served: a hundred destinations, one that talks, one without an address, and ourselves', {
  ...needsAddon,
}, async (t) => {
  const { many, talker, peers } = startPeers(t);
  const retry = { from: 'journal-start', reconnectMsMin: 10, reconnectMsMax: 50 } as const;
  const destinations: DestinationInput[] = Array.from({ length: DESTINATIONS - 2 }, (_, i) =>
    to(`d${i}`, { ...retry, host: '127.0.0.1', port: many.port }),
  );
  destinations.push(to('talker', { ...retry, host: '127.0.0.1', port: talker.port }));
  // No name may have an empty part: this is known without a question to the network.
  destinations.push(to('lost', { ...retry, host: 'no..where' }));
  const data = join(temporaryFolder(t), 'data');
  const config = makeConfig({
    listen: ['127.0.0.1:0'],
    http: null,
    data,
    sink: 'null',
    cpu: { pin: 'off' },
    forward: { destinations },
  });
  const server = await startServer(config);
  const port = Number(server.ports.listen[0]!.split(':')[1]);
  const channel = (name: string): ChannelReport | undefined =>
    server.snapshot().forward?.channels.find((one) => one.name === name);
  const destination = (name: string): DestinationReport | undefined =>
    channel(name)?.destinations[0];
  const until = async (what: string, isSo: () => boolean): Promise<void> => {
    for (const endMs = Date.now() + 60_000; !isSo(); await sleepMs(5)) {
      assert.ok(Date.now() < endMs, what);
      for (const peer of peers) peer.turn();
    }
  };
  const bytes = simulatedBytes(9, 100_000);
  const exporter = new ExporterSocket(port, 65_536);
  await exporter.sendUpTo(bytes, bytes.length);
  exporter.close();
  await until('a hundred are served, but one', () => {
    return many.bytes === (DESTINATIONS - 2) * bytes.length && talker.bytes === bytes.length;
  });
  assert.equal(many.connections.length, DESTINATIONS - 2);
  await until('what it says is counted', () => {
    return (destination('talker')?.talkedBackBytes ?? 0) > 0;
  });
  await until('it is tried again', () => (destination('lost')?.resolveErrors ?? 0) > 2);
  await until('the reason is told', () => /cannot be resolved/.test(destination('lost')!.why));
  assert.match(destination('lost')!.why, /no\.\.where cannot be resolved: /);
  assert.equal(channel('lost')!.pending, channel('lost')!.received);

  // The same address in other words, which only the resolver knows: the socket tells.
  const { forward: _, ...others } = config;
  const records = server.snapshot().journal.nextOrdinal;
  const forward = {
    destinations: [...destinations, to('self', { ...retry, host: '127.1', port })],
  };
  const { ok, text } = await server.reload({ ...others, forward });
  assert.ok(ok, text);
  await until('the loop is found', () => destination('self')?.state === 'loop');
  assert.match(destination('self')!.why, /this server itself/);
  assert.equal(destination('self')!.sentBytes, 0);
  await server.drain();
  await server.closed;
  const { journal, workerDeaths } = server.snapshot();
  assert.equal(journal.nextOrdinal, records, 'nothing came back');
  assert.equal(workerDeaths, 0);
});

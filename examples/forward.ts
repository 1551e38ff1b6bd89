/**
 * Example: a server from code that forwards. A simulated SCE sends to it, and two sinks get the
 * records: one all of them, one those that a filter lets through. Three parts, one process.
 *
 * node dist/examples/forward.js
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConfig, type Snapshot, startServer } from '../src/server/index.ts';
import {
  DEFAULT_START_SECONDS,
  namedMix,
  SubscriberPool,
  sendStreams,
} from '../src/simulator/index.ts';
import { Sink, type SinkOptions } from '../src/sink/index.ts';

const RECORDS = 20_000;
const SINK: SinkOptions = {
  host: '127.0.0.1',
  port: 0,
  verify: 'exact',
  isMarked: false,
  slow: null,
  stopAfterRecords: Infinity,
  resetAfterRecords: Infinity,
  isTalkingBack: false,
  outFolder: null,
};

type Channels = NonNullable<Snapshot['forward']>['channels'];

const all = new Sink(SINK);
const web = new Sink({ ...SINK, verify: 'order' });
const host = '127.0.0.1';
const data = mkdtempSync(join(tmpdir(), 'millrace-forward-'));
const server = await startServer(
  makeConfig({
    listen: ['127.0.0.1:0'],
    http: null,
    data,
    sink: 'null', // only the journal: nothing is decoded here
    log: { level: 'warn' },
    forward: {
      destinations: [
        { name: 'all', host, port: await all.start() },
        { name: 'web', host, port: await web.start(), filter: 'tag = TUR and server_port = 443' },
      ],
    },
  }),
);

await sendStreams({
  host,
  port: Number(server.ports.listen[0]!.split(':').at(-1)),
  records: RECORDS,
  connections: 1,
  exporters: 1,
  stream: {
    seed: 1,
    mix: namedMix('default'),
    subscribers: new SubscriberPool(1_000),
    startSeconds: DEFAULT_START_SECONDS,
  },
});

/** The snapshot is made once a second. */
async function settled(): Promise<Channels> {
  for (;;) {
    const channels = server.snapshot().forward?.channels ?? [];
    const isDone = channels.every(({ received, pending }) => received === RECORDS && pending === 0);
    if (channels.length > 0 && isDone) return channels;
    await sleep(100);
  }
}

for (const { name, received, delivered, filtered, destinations } of await settled()) {
  const { mechanism } = destinations[0]!;
  console.log(
    `${name}: ${received} records = ${delivered} delivered + ${filtered} filtered, by ${mechanism}`,
  );
}
await server.drain();
await server.closed;
for (const sink of [all, web]) {
  await sink.stop();
  const { records, findings } = sink.summary();
  console.log(`a sink got ${records} records; ${findings.join(', ') || 'nothing is wrong'}`);
}
rmSync(data, { recursive: true });

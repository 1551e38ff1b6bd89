/**
 * The forwarder's workers in a server: they start, are restarted when they die, drain.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConfig } from '../src/server/config.ts';
import { FRESH_MS } from '../src/server/forward/fresh.ts';
import { LOOK_AGAIN_MS } from '../src/server/forward/outbox-warmth.ts';
import { type Server, startServer } from '../src/server/index.ts';
import { FAULT_OPEN, type Fault } from '../src/server/setup.ts';
import { closeFd, EAGAIN, openFile, preadNoWait } from '../src/toolkit/sys/index.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { ExporterSocket } from './support/exporter-socket.ts';
import { ForwardDestination } from './support/forward-destination.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { simulatedBytes } from './support/streams.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 120_000 };

function start(
  t: { after(fn: () => void): void },
  faults: readonly Fault[] = [],
  host = '127.0.0.1',
  port = 9,
) {
  const data = join(temporaryFolder(t), 'data');
  const destinations = [{ name: 'a', host, port }];
  return startServer(makeConfig({ ...inputOf(data), forward: { destinations } }), faults);
}

/** Everything received is journaled, nothing is stored. */
function inputOf(data: string) {
  return {
    listen: ['127.0.0.1:0'],
    http: null,
    data,
    sink: 'null',
    cpu: { pin: 'off' },
  } as const;
}

/** 6 MB of records in the server's journal. */
async function journalBytes(server: Server): Promise<Uint8Array> {
  const bytes = simulatedBytes(9, 6_000_000);
  const exporter = new ExporterSocket(Number(server.ports.listen[0]!.split(':')[1]), 65_536);
  await exporter.sendUpTo(bytes, bytes.length);
  exporter.close();
  await until('it is journaled', () => server.snapshot().journal.position > bytes.length);
  return bytes;
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 3_000; i++) {
    if (condition()) return;
    await sleep(20);
  }
  assert.fail(what);
}

function names(server: Server): string[] {
  return server.snapshot().pinning.threads.map(({ name }) => name);
}

test('with a destination the workers run, and drain', needsAddon, async (t) => {
  const server = await start(t);
  assert.ok(names(server).includes('forward-0') && names(server).includes('catchup-0'));
  const snapshot = await server.drain();
  assert.equal(snapshot.state, 'stopped');
  assert.equal(snapshot.workerDeaths, 0);
  const left = snapshot.forward?.channels.map(({ name }) => name);
  assert.deepEqual(left, ['a'], 'the last report has the ledgers');
  await server.closed;
});

for (const role of ['forward', 'catchup'] as const) {
  test(`a ${role} worker that dies is started again, and drains`, needsAddon, async (t) => {
    const server = await start(t, [{ role, step: 'turn', time: 2 }]);
    await until('it died', () => server.snapshot().workerDeaths === 1);
    // The next life hears of a reload, so that it runs.
    const { forward, ...others } = server.config;
    const destinations = [...forward.destinations, { ...forward.destinations[0]!, name: 'b' }];
    const { ok, text } = await server.reload({ ...others, forward: { destinations } });
    assert.deepEqual([ok, text], [true, 'forward: 1 new (b), 1 untouched (a)']);
    await server.drain();
    await server.closed;
    assert.equal(server.snapshot().workerDeaths, 1);
  });
}

/**
 * Has the kernel forget what it has of a file; false: it keeps what stands at `offset`, or cannot
 * tell. What sockets hold of it stays.
 */
function isEvicted(path: string, offset = 0): boolean {
  const fd = openFile(path, ['read']);
  execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], {
    stdio: 'ignore',
    timeout: 60_000,
  });
  const got = preadNoWait(fd, new Uint8Array(4096), 0, 4096, offset);
  closeFd(fd);
  return got === -EAGAIN;
}

test(
  'a cold journal goes by the catch-up worker, and is forwarded whole',
  needsAddon,
  async (t) => {
    const destination = new ForwardDestination('a', { next: 0 });
    destination.start();
    const data = join(temporaryFolder(t), 'data');
    const server = await startServer(makeConfig(inputOf(data)));
    const bytes = await journalBytes(server);
    // What is younger is sent without a look at the page cache.
    await sleep(FRESH_MS);
    const journal = join(data, 'journal');
    const evicted = readdirSync(journal).map((name) => isEvicted(join(journal, name)));
    const { forward: _, ...others } = server.config;
    const destinations = [
      { name: 'a', host: '127.0.0.1', port: destination.port, from: 'journal-start' },
    ] as const;
    const { ok, text } = await server.reload({ ...others, forward: { destinations } });
    assert.ok(ok, text);
    await until('all is there', () => {
      destination.turn();
      return destination.bytes === bytes.length;
    });
    if (evicted.every(Boolean)) {
      await until('it is said', () => (server.snapshot().forward?.catchupBytes ?? 0) > 0);
      assert.ok(server.snapshot().forward!.coldReads > 0);
    } else t.diagnostic('this file system does not forget, or does not tell');
    await server.drain();
    await server.closed;
    destination.kill();
  },
);

test(
  'what waited for a stopped destination until it was cold goes by the catch-up worker, too',
  needsAddon,
  async (t) => {
    const destination = new ForwardDestination('a', { next: 0 });
    destination.start();
    const data = join(temporaryFolder(t), 'data');
    const options = { sendBufferBytes: 65_536, userTimeoutMs: 0, connections: 'merged' } as const;
    const to = { name: 'a', host: '127.0.0.1', port: destination.port, ...options };
    const server = await startServer(
      makeConfig({ ...inputOf(data), forward: { destinations: [to] } }),
    );
    destination.isReading = false;
    const bytes = await journalBytes(server);
    const sent = (): number => server.snapshot().forward!.channels[0]!.destinations[0]!.sentBytes;
    await until('the socket is full', () => sent() > 0);
    // What waits is looked at again, and what is read only now is no longer fresh.
    await sleep(FRESH_MS + LOOK_AGAIN_MS);
    const coldReads = server.snapshot().forward!.coldReads;
    const journal = join(data, 'journal');
    const paths = readdirSync(journal).map((name) => join(journal, name));
    const evicted = paths.map((path) => isEvicted(path, 3_000_000));
    destination.isReading = true;
    await until('all is there', () => {
      destination.turn();
      return destination.bytes === bytes.length;
    });
    if (evicted.every(Boolean)) {
      await until('it is said', () => server.snapshot().forward!.coldReads > coldReads);
    } else t.diagnostic('this file system does not forget, or does not tell');
    await server.drain();
    await server.closed;
    destination.kill();
  },
);

test('what a dead forwarder had open is closed', needsAddon, async (t) => {
  const destination = new ForwardDestination('a', { next: 0 });
  destination.start();
  const from = new Int32Array(new SharedArrayBuffer(4));
  const fault: Fault = { role: 'forward', step: 'turn', time: 1, from };
  const server = await start(t, [fault], '127.0.0.1', destination.port);
  const bytes = simulatedBytes(7, 100_000);
  const exporter = new ExporterSocket(Number(server.ports.listen[0]!.split(':')[1]), 65_536);
  const openFds = (): number => readdirSync('/proc/self/fd').length;
  await exporter.sendUpTo(bytes, bytes.length);
  await until('all is there', () => {
    destination.turn();
    return destination.bytes === bytes.length;
  });
  const before = openFds();
  assert.equal(server.snapshot().workerDeaths, 0, 'it lived when its fds were counted');
  Atomics.store(from, FAULT_OPEN, 1);
  await until('it died', () => server.snapshot().workerDeaths === 1);
  exporter.sent = 0;
  await exporter.sendUpTo(bytes, bytes.length);
  await until('its successor sends, and has as many open', () => {
    destination.turn();
    const [old, young] = destination.connections;
    // The first bytes once more, if the dead one had not written its position yet.
    const isSent = young !== undefined && young.bytes >= bytes.length;
    return isSent && old!.end !== 'open' && openFds() === before;
  });
  exporter.close();
  await server.drain();
  await server.closed;
  destination.kill();
});

test('a loop through port 0 is seen when the port is known', needsAddon, async (t) => {
  const data = join(temporaryFolder(t), 'data');
  const input = { listen: ['127.0.0.1:0'], http: null, data };
  const server = await startServer(makeConfig(input));
  const port = Number(server.ports.listen[0]!.split(':')[1]);
  await server.drain();
  await server.closed;
  const forward = { destinations: [{ name: 'self', host: 'localhost', port }] };
  await assert.rejects(startServer(makeConfig({ ...input, listen: [`:${port}`], forward })), {
    code: 'MR_FORWARD_LOOP',
  });
});

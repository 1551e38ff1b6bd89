import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  namedMix,
  RecordStream,
  Sender,
  type SendOptions,
  SubscriberPool,
  sendStreams,
} from './index.ts';
import { Pacer } from './pacer.ts';
import { Pieces } from './pieces.ts';

interface Received {
  readonly address: string;
  readonly port: number;
  bytes: number;
  readonly sha256: string;
}

/** A server that reads everything and remembers what each connection sent. */
class Sink {
  readonly server: Server;
  readonly received: Received[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(onSocket?: (socket: Socket) => void) {
    this.server = createServer((socket) => {
      this.#sockets.add(socket);
      onSocket?.(socket);
      const hash = createHash('sha256');
      let bytes = 0;
      const address = socket.remoteAddress ?? '';
      const port = socket.remotePort ?? 0;
      socket.on('data', (data: Buffer) => {
        hash.update(data);
        bytes += data.length;
      });
      socket.on('error', () => {
        // A test that breaks the connection expects it.
      });
      socket.on('end', () => {
        this.received.push({ address, port, bytes, sha256: hash.digest('hex') });
      });
    });
  }

  async listen(): Promise<number> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return (this.server.address() as AddressInfo).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
  }
}

const stream = { seed: 9, mix: namedMix('default'), subscribers: new SubscriberPool(1000) };

async function withSink(
  body: (options: SendOptions, sink: Sink) => Promise<void>,
  onSocket?: (socket: Socket) => void,
): Promise<void> {
  const sink = new Sink(onSocket);
  const port = await sink.listen();
  try {
    await body({ host: '127.0.0.1', port, stream }, sink);
  } finally {
    sink.close();
  }
}

function expectedBytes(connection: number, records: number): string {
  const own = new RecordStream({ ...stream, connection });
  const buffer = new Uint8Array(65_536);
  const hash = createHash('sha256');
  while (own.totals.records < records) {
    const made = own.fill(buffer, 0, buffer.length, records - own.totals.records);
    hash.update(buffer.subarray(0, made));
  }
  return hash.digest('hex');
}

test('every connection sends its own stream, from its own exporter', async () => {
  await withSink(async (options, sink) => {
    const ports = new Set<number | undefined>();
    const result = await sendStreams({
      ...options,
      records: 10_001,
      connections: 8,
      exporters: 4,
      onSocket: (socket) => ports.add(socket.localPort),
    });
    assert.equal(result.complete, true);
    assert.deepEqual(ports, new Set(result.connections.map(({ localPort }) => localPort)));
    assert.equal(result.records, 10_001);
    assert.equal(result.connections.length, 8);
    result.connections.forEach((connection, index) => {
      assert.equal(connection.records, index === 0 ? 1251 : 1250);
      assert.equal(connection.localAddress, `127.0.0.${2 + (index % 4)}`);
      assert.equal(connection.sha256, expectedBytes(index, connection.records));
      const there = sink.received.find(({ port }) => port === connection.localPort)!;
      assert.equal(there.address, connection.localAddress);
      assert.equal(there.bytes, connection.bytes);
      assert.equal(there.sha256, connection.sha256);
    });
    const bytes = result.connections.reduce((sum, connection) => sum + connection.bytes, 0);
    assert.equal(bytes, result.bytes);
  });
});

test('random cuts and a rate do not change the bytes', async () => {
  await withSink(async (options, sink) => {
    const cut = await sendStreams({ ...options, records: 3000, chunk: 'random' });
    const paced = await sendStreams({ ...options, records: 3000, rate: 20_000 });
    assert.equal(cut.connections[0]!.sha256, expectedBytes(0, 3000));
    assert.equal(paced.connections[0]!.sha256, expectedBytes(0, 3000));
    assert.deepEqual(
      sink.received.map(({ sha256 }) => sha256),
      [expectedBytes(0, 3000), expectedBytes(0, 3000)],
    );
  });
});

test('random cuts contain single bytes and large pieces', async () => {
  const pieces = new Pieces(1, 0);
  const lengths = Array.from({ length: 1000 }, () => pieces.next());
  assert.ok(lengths.filter((length) => length === 1).length > 50);
  assert.ok(lengths.some((length) => length > 10_004));
  assert.ok(lengths.every((length) => length >= 1));
  const again = new Pieces(1, 0);
  assert.deepEqual(
    lengths,
    lengths.map(() => again.next()),
  );
});

test('with faults a connection ends in half a record', async () => {
  await withSink(async (options) => {
    const faulty = { ...stream, malformedRatio: 0.2 };
    const result = await sendStreams({ ...options, stream: faulty, records: 2000, connections: 3 });
    assert.equal(result.truncated.runs, 3);
    assert.ok(result.truncated.bytes >= 3);
    const whole = await sendStreams({
      ...options,
      stream: faulty,
      records: 2000,
      halfRecordAtEnd: false,
    });
    assert.equal(whole.truncated.runs, 0);
  });
});

test('stop() ends behind a whole record, and the totals are of what was sent', async () => {
  await withSink(async (options, sink) => {
    const sender = new Sender({ ...options, connections: 2 });
    const running = sender.run();
    while (sender.progress().records < 200) await new Promise((resolve) => setTimeout(resolve, 5));
    sender.stop();
    const result = await running;
    assert.equal(result.complete, false);
    for (const connection of result.connections) {
      const index = result.connections.indexOf(connection);
      assert.equal(connection.sha256, expectedBytes(index, connection.records));
      assert.equal(
        sink.received.find(({ port }) => port === connection.localPort)!.bytes,
        connection.bytes,
      );
    }
  });
});

test('a lost connection is an error, and nothing connects again', async () => {
  let sockets = 0;
  await withSink(
    async (options) => {
      const sender = new Sender({ ...options, records: 10_000_000 });
      await assert.rejects(sender.run(), (error) => {
        assert.ok(error instanceof MillraceError);
        assert.equal(error.code, 'MR_CONNECT');
        assert.match(error.message, /lost the connection 127\.0\.0\.1:\d+/);
        return true;
      });
      const result = sender.result();
      assert.equal(result.complete, false);
      assert.ok(result.records > 0 && result.records < 10_000_000);
      assert.equal(result.connections[0]!.records, result.records);
      assert.equal(sockets, 1);
    },
    (socket) => {
      sockets++;
      socket.once('data', () => {
        socket.resetAndDestroy();
      });
    },
  );
});

test('many paced connections warn of nothing', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): number => warnings.push(warning);
  process.on('warning', note);
  try {
    await withSink(async (options) => {
      await sendStreams({ ...options, records: 48, connections: 16, rate: 400 });
    });
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('warning', note);
  }
  assert.deepEqual(warnings, []);
});

test('no listener is an error with the address', async () => {
  const sink = new Sink();
  const port = await sink.listen();
  sink.close();
  await once(sink.server, 'close');
  await assert.rejects(
    sendStreams({ host: '127.0.0.1', port, stream, records: 1, connections: 2 }),
    new RegExp(`cannot connect to 127.0.0.1:${port}`),
  );
});

test('options that cannot work are refused before anything is opened', () => {
  const good: SendOptions = { host: '127.0.0.1', port: 1, stream };
  const refused = (options: Partial<SendOptions>, pattern: RegExp): void => {
    assert.throws(() => new Sender({ ...good, ...options }), pattern);
  };
  refused({ exporters: 251 }, /exporters 251/);
  refused({ exporters: 2, host: '10.0.0.1' }, /cannot reach 10\.0\.0\.1/);
  refused({ connections: 0 }, /connections 0/);
  refused({ records: -1 }, /records -1/);
  refused({ records: 1.5 }, /records 1\.5/);
  refused({ rate: 0 }, /rate 0/);
  refused({ seconds: Number.NaN }, /seconds NaN/);
  refused({ port: 70_000 }, /port 70000/);
  refused({ stream: { ...stream, malformedRatio: 2 } }, /malformed/);
  refused({ stream: { ...stream, liesRatio: -1 } }, /lies/);
});

test('a pacer keeps the mean rate, and forgives a long stop', () => {
  const pacer = new Pacer(1000, 0);
  assert.equal(pacer.allowed(0), 0);
  assert.equal(pacer.waitMs(0), 5);
  assert.equal(pacer.allowed(10), 10);
  pacer.count(10);
  assert.equal(pacer.allowed(10), 0);
  assert.equal(pacer.allowed(500), 490);
  pacer.count(490);
  assert.equal(pacer.allowed(60_000), 1000);
  pacer.count(1000);
  assert.equal(pacer.allowed(60_000), 0);
  assert.equal(pacer.allowed(60_100), 100);

  const slow = new Pacer(0.5, 0);
  assert.equal(slow.allowed(1999), 0);
  assert.equal(slow.allowed(2000), 1);
  slow.count(1);
  assert.equal(slow.waitMs(2000), 2000);
});

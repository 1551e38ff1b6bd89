import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { startNettest, startRecv } from './support/nettest-rig.ts';

/**
 * The stream as the facts describe it, made and read by code of its own: bit by bit, in BigInt.
 */
const skip = addonSkipReason();

function slowCrc(bytes: Uint8Array): bigint {
  let register = 0n;
  for (const byte of bytes) {
    let entry = (((register >> 24n) & 0xffn) ^ BigInt(byte)) << 24n;
    for (let bit = 0; bit < 8; bit++) {
      entry = (entry & 0x8000_0000n) === 0n ? entry << 1n : (entry << 1n) ^ 0x1_04c1_1db7n;
    }
    register = ((register << 8n) & 0xffff_ffff_ffff_ffffn) ^ entry;
  }
  return register;
}

function message(payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(16 + payload.length);
  bytes.writeBigUInt64LE(BigInt(bytes.length), 0);
  bytes.writeBigUInt64LE(slowCrc(payload), 8);
  bytes.set(payload, 16);
  return bytes;
}

function payload(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + seed * 17 + (index >> 8)) & 0xff);
}

async function sendTo(port: number, pieces: readonly Uint8Array[]): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  // A receiver that stops at a bad message resets the connection.
  socket.on('error', () => {});
  for (const piece of pieces) socket.write(piece);
  socket.end();
  await once(socket, 'close');
}

for (const words of [['-r'], []]) {
  test(`recv ${words.join(' ')} takes the stream of another sender`, { skip }, async () => {
    const receiver = await startRecv(['-s', '500', ...words, '--json']);
    const stream = Buffer.concat([0, 1, 2, 3].map((seed) => message(payload(484, seed))));
    // Cut anywhere: messages do not come in one piece.
    await sendTo(receiver.port, [
      stream.subarray(0, 3),
      stream.subarray(3, 777),
      stream.subarray(777),
    ]);
    const { code, stdout, stderr } = await receiver.done;
    assert.equal(code, 0, stderr);
    const { messages, corrupt, bytes } = JSON.parse(stdout.toString()) as Record<string, number>;
    assert.deepEqual([messages, corrupt, bytes], [4, 0, 2000]);
  });
}

test('a message of 18 bytes, by hand', { skip }, async () => {
  const receiver = await startRecv(['-s18', '-r']);
  await sendTo(receiver.port, [Buffer.from('1200000000000000dcc119d2040000000100', 'hex')]);
  assert.equal((await receiver.done).code, 0);
});

test('a wrong checksum ends recv, with the sums in hexadecimal', { skip }, async () => {
  const receiver = await startRecv(['-s18', '-r']);
  await sendTo(receiver.port, [Buffer.from('1200000000000000dcc119d2050000000100', 'hex')]);
  const { code, stdout, stderr } = await receiver.done;
  assert.equal(code, 1);
  assert.match(stderr, /^crc error: got 4d219c1dc, wanted 5d219c1dc$/m);
  assert.match(stderr, /MR_NETTEST_CORRUPT: 1 of 1 messages were corrupt\n {2}\S/);
  assert.match(stdout.toString(), /^usr=\d+, sys=\d+, real=\d+$/m);
});

test('a length that lies ends recv; with --keep-going it goes on counting', { skip }, async () => {
  const good = message(payload(484, 1));
  const lies = Buffer.from(good);
  lies.writeUInt32LE(499, 0);
  const broken = Buffer.from(good);
  broken[300]! ^= 1;
  const stream = [good, lies, good, broken, good];

  const first = await startRecv(['-s', '500', '-r']);
  await sendTo(first.port, stream);
  const stopped = await first.done;
  assert.equal(stopped.code, 1);
  assert.match(stopped.stderr, /^Bad packet length: wanted 500, got 499$/m);
  assert.match(stopped.stderr, /1 of 2 messages were corrupt/);

  const second = await startRecv(['-s', '500', '-r', '--keep-going', '--json']);
  await sendTo(second.port, stream);
  const counted = await second.done;
  assert.equal(counted.code, 1);
  assert.match(counted.stderr, /2 of 5 messages were corrupt/);
  const totals = JSON.parse(counted.stdout.toString()) as { corruptBy: unknown };
  assert.deepEqual(totals.corruptBy, { length: 1, crc: 1, stamp: 0 });
});

test('a stream that ends inside a message is a lost connection', { skip }, async () => {
  for (const words of [['-r'], []]) {
    const receiver = await startRecv(['-s', '500', ...words]);
    await sendTo(receiver.port, [message(payload(484, 1)), new Uint8Array(100)]);
    const { code, stderr } = await receiver.done;
    assert.equal(code, 1);
    assert.match(stderr, /MR_CONNECT: a connection was lost after 1 good messages/);
  }
});

async function collect(server: Server): Promise<Buffer> {
  const [socket] = (await once(server, 'connection')) as [Socket];
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece));
  await once(socket, 'close');
  server.close();
  return Buffer.concat(pieces);
}

test('what xmit sends is what another receiver expects', { skip }, async () => {
  for (const words of [[], ['-n'], ['--fill', 'none'], ['--mechanism', 'file']]) {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const collected = collect(server);
    const sender = startNettest(['xmit', '-s1001', '-p5', ...words, String(port)]);
    const stream = await collected;
    assert.equal((await sender.done).code, 0);
    assert.equal(stream.length, 5005);
    const payloads = new Set<string>();
    for (let at = 0; at < stream.length; at += 1001) {
      assert.equal(stream.readBigUInt64LE(at), 1001n);
      const body = stream.subarray(at + 16, at + 1001);
      assert.equal(stream.readBigUInt64LE(at + 8), slowCrc(body));
      payloads.add(body.toString('hex'));
    }
    assert.equal(payloads.size, words.includes('none') ? 1 : 5, words.join(' '));
  }
});

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import { Prng } from '../base/prng.ts';
import { NO_PAGE, PagePool } from '../pages/index.ts';
import {
  addonSkipReason,
  bytesUnread,
  checked,
  closeFd,
  connect,
  EAGAIN,
  EBADF,
  ENODATA,
  failCall,
  setSocketOption,
  socketCreate,
} from '../sys/index.ts';
import { ApplicationAckReclaim } from './application-ack-reclaim.ts';
import { AutoWriter } from './auto-writer.ts';
import {
  type Connection,
  connected,
  fillPattern,
  openFdCount,
  Pump,
  readExactly,
  STREAMS,
} from './connections.test-data.ts';
import { NullWriter } from './null-writer.ts';
import { type OpenOutputOptions, openOutput } from './open-output.ts';
import { fileSource, type OutputSource, pageSources, payloadSource } from './output-source.ts';
import { type KernelProbe, probeKernel } from './probe.ts';
import { closeThreadDiag } from './sock-diag.ts';
import { TeePayload } from './tee-payload.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 60_000 };
const PAGE_BYTES = 65_536;
const PAYLOAD_BYTES = 400_000;

function isCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof MillraceError && error.code === code;
}

function chosen(writer: AutoWriter): string {
  return `${writer.choice.mechanism} ${writer.choice.reclaim}`;
}

interface Material {
  readonly payload: OutputSource;
  readonly tee: TeePayload;
  readonly other: OutputSource;
  readonly file: OutputSource;
  readonly bytes: Uint8Array;
}

function makeMaterial(t: TestContext): Material {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-auto-'));
  const bytes = fillPattern(new Uint8Array(PAYLOAD_BYTES));
  writeFileSync(join(folder, 'file'), bytes);
  const fileFd = openSync(join(folder, 'file'), 'r');
  const payload = payloadSource(bytes);
  const tee = TeePayload.fill(payload);
  t.after(() => {
    tee.close();
    closeSync(fileFd);
    rmSync(folder, { recursive: true });
  });
  return { payload, tee, other: payloadSource(bytes), file: fileSource(fileFd), bytes };
}

/** Pages, payloads, files of all sizes through one writer; pages are filled anew as they free. */
class Mixer {
  readonly #pool = PagePool.create({ pageBytes: PAGE_BYTES, pageCount: 8 });
  readonly #sources = pageSources(this.#pool);
  readonly #material: Material;
  readonly #prng: Prng;
  readonly #writer: AutoWriter;
  readonly #pump: Pump;

  constructor(writer: AutoWriter, connection: Connection, material: Material, prng: Prng) {
    this.#writer = writer;
    this.#material = material;
    this.#prng = prng;
    this.#pump = new Pump(writer, connection, prng);
  }

  run(rounds: number): void {
    for (let round = 0; round < rounds; round++) {
      if (this.#prng.chance(0.5)) this.#offerPage();
      else this.#offerOther();
    }
    this.#pump.finish();
  }

  /** Pages that are still in use. */
  heldCount(): number {
    this.#writer.reclaim();
    return this.#pool.pageCount - this.#pool.freeCount();
  }

  #length(bound: number): number {
    return 1 + this.#prng.below(this.#prng.chance(0.5) ? 5_000 : bound);
  }

  #offerPage(): void {
    let page = this.#pool.acquire(1);
    for (let tries = 0; page === NO_PAGE; tries++) {
      assert.ok(tries < 10_000, 'pages come back from a peer that reads');
      assert.ok(this.#writer.flush() >= 0);
      this.#pump.read(1 << 20);
      this.#writer.reclaim();
      page = this.#pool.acquire(1);
    }
    const { bytes, start } = this.#sources[page]! as { bytes: Uint8Array; start: number };
    fillPattern(bytes.subarray(start, start + PAGE_BYTES), this.#prng.below(1 << 30));
    this.#pool.retain(page);
    this.#pool.stopFilling(page);
    const length = this.#length(PAGE_BYTES);
    const offset = this.#prng.below(PAGE_BYTES - length + 1);
    const expected = bytes.slice(start + offset, start + offset + length);
    this.#pump.offer({ source: this.#sources[page]!, offset, length, expected });
    this.#pool.release(page);
  }

  #offerOther(): void {
    const { payload, other, file, bytes } = this.#material;
    const source = [payload, other, file][this.#prng.below(3)]!;
    const length = this.#length(PAYLOAD_BYTES);
    const offset = this.#prng.below(PAYLOAD_BYTES - length + 1);
    this.#pump.offer({ source, offset, length, expected: bytes.slice(offset, offset + length) });
  }
}

const OPENINGS: readonly { readonly name: string; readonly options: OpenOutputOptions }[] = [
  { name: 'pages', options: {} },
  { name: 'pages to a peer that receives', options: { peerReceives: true } },
  { name: 'payload', options: { payload: 'payload' } },
  { name: 'prepared payload', options: { payload: 'payload' } },
  { name: 'file', options: { payload: 'file' } },
  { name: 'pages by MSG_ZEROCOPY', options: { mechanism: 'msgZerocopy' } },
];

const CHOSEN: Readonly<Record<string, string>> = {
  pages: 'copy null',
  'pages to a peer that receives': 'splice peerQueue',
  payload: 'splice immutable',
  'prepared payload': 'tee immutable',
  file: 'file immutable',
  'pages by MSG_ZEROCOPY': 'msgZerocopy notification',
};

for (const stream of STREAMS) {
  for (const { name, options } of OPENINGS) {
    if (stream === 'unix' && options.mechanism !== undefined) continue;
    test(
      `${stream}, ${name}: every source and size, in order, no page too early`,
      needsAddon,
      (t) => {
        const seed = (Math.random() * 2 ** 32) >>> 0;
        t.diagnostic(`seed ${seed}`);
        const material = makeMaterial(t);
        const connection = connected(t, stream);
        const tee = name === 'prepared payload' ? { tee: material.tee } : {};
        const writer = openOutput(connection.fd, { ...options, ...tee });
        assert.equal(chosen(writer), CHOSEN[name], writer.choice.reason);
        const mixer = new Mixer(writer, connection, material, new Prng(seed));
        mixer.run(150);
        for (let tries = 0; tries < 1_000 && mixer.heldCount() > 0; tries++);
        assert.equal(mixer.heldCount(), 0, 'all pages are free');
        assert.equal(writer.flightCount, 0);
        writer.close();
        writer.close();
      },
    );
  }
}

test('what is too short is copied while nothing is pending', needsAddon, (t) => {
  const { payload, bytes } = makeMaterial(t);
  const connection = connected(t, 'unix');
  const writer = openOutput(connection.fd, { payload: 'payload' });
  const { copyBelowBytes, turnBelowBytes } = writer.choice;
  assert.ok(copyBelowBytes > 10 && turnBelowBytes > copyBelowBytes);
  const short = turnBelowBytes - 1;
  assert.equal(writer.write(payload, 0, short), short);
  assert.equal(writer.counts.copiedBytes, short);
  assert.equal(writer.pendingBytes, 0);
  assert.equal(writer.flush(), 0);
  const long = turnBelowBytes;
  assert.equal(writer.write(payload, 0, long), long);
  assert.equal(writer.pendingBytes, long, 'it waits in the pipe');
  assert.equal(writer.write(payload, 7, 10), 10, 'a short one keeps its place behind it');
  assert.equal(writer.pendingBytes, long + 10);
  assert.equal(bytesUnread(connection.peer), short);
  assert.equal(writer.flush(), 0);
  assert.equal(writer.counts.copiedBytes, short);
  // The last turn was worth it: the next starts by reference, but not with so little.
  const little = copyBelowBytes;
  assert.equal(writer.write(payload, 0, little), little);
  assert.equal(writer.pendingBytes, little);
  assert.equal(writer.flush(), 0);
  assert.equal(writer.write(payload, 0, little), little);
  assert.equal(writer.pendingBytes, 0);
  const found = readExactly(connection.peer, short + long + 10 + 2 * little);
  const expected = [
    [0, short],
    [0, long],
    [7, 17],
    [0, little],
    [0, little],
  ].map(([from, to]) => bytes.subarray(from, to));
  assert.equal(Buffer.compare(found, Buffer.concat(expected)), 0);
  writer.close();
});

/** A splice writer over a socket that takes `room` bytes more. */
class CrowdedWriter extends NullWriter {
  room = 0;

  override write(source: OutputSource, offset: number, length: number): number {
    const taken = Math.min(length, this.room);
    this.room -= taken;
    return taken === 0 ? -EAGAIN : super.write(source, offset, taken);
  }
}

test('a full socket ends no turn', needsAddon, (t) => {
  const { payload } = makeMaterial(t);
  const { fd } = connected(t, 'unix');
  const { choice, socket } = openOutput(fd, { payload: 'payload' });
  const crowded = new CrowdedWriter();
  const writer = new AutoWriter({ fd, writer: crowded, choice, socket });
  const { turnBelowBytes } = choice;
  crowded.room = turnBelowBytes;
  assert.equal(writer.write(payload, 0, turnBelowBytes + 1), turnBelowBytes);
  for (let round = 0; round < 10; round++) {
    writer.flush();
    crowded.room = 1500;
    assert.equal(writer.write(payload, 0, 1000), 1000);
    assert.equal(writer.write(payload, 0, 1000), 500);
    assert.equal(writer.write(payload, 0, 1000), -EAGAIN);
  }
  assert.equal(writer.counts.copiedBytes, 0);
  // Now the caller has no more than that a turn, twice.
  writer.flush();
  for (const isCopied of [false, true]) {
    crowded.room = 1000;
    assert.equal(writer.write(payload, 0, 1000), 1000);
    assert.equal(writer.counts.copiedBytes > 0, isCopied);
    writer.flush();
  }
});

test('nothing goes out after close, whatever its size', needsAddon, (t) => {
  const { payload } = makeMaterial(t);
  const writer = openOutput(connected(t, 'unix').fd, { payload: 'payload' });
  writer.close();
  assert.equal(writer.write(payload, 0, 10), -EBADF);
  assert.equal(writer.write(payload, 0, PAYLOAD_BYTES), -EBADF);
});

test('a file behind pending bytes waits for them', needsAddon, (t) => {
  const { payload, file, bytes } = makeMaterial(t);
  const connection = connected(t, 'unix', { sendBufferBytes: 65_536 });
  const writer = openOutput(connection.fd, { payload: 'payload' });
  let accepted = 0;
  for (;;) {
    const taken = writer.write(payload, accepted, PAYLOAD_BYTES - accepted);
    if (taken < 0) break;
    accepted += taken;
    if (accepted === PAYLOAD_BYTES) break;
  }
  assert.ok(writer.pendingBytes > 0, 'the socket is full');
  assert.ok(writer.write(file, 0, 100) < 0, 'not past them');
  let drained = 0;
  while (writer.flush() > 0) {
    const length = bytesUnread(connection.peer);
    readExactly(connection.peer, length);
    drained += length;
  }
  assert.equal(writer.write(file, 0, 100), 100);
  const rest = readExactly(connection.peer, accepted + 100 - drained);
  assert.deepEqual(rest.subarray(-100), bytes.subarray(0, 100));
  assert.equal(writer.write(file, PAYLOAD_BYTES, 1), -ENODATA);
  writer.close();
});

test('UDP: one write is one datagram, on this machine by copy', needsAddon, (t) => {
  const { payload, bytes } = makeMaterial(t);
  const connection = connected(t, 'udp');
  const writer = openOutput(connection.fd);
  assert.equal(chosen(writer), 'copy null');
  for (const length of [1, 1400, 30_000]) {
    assert.equal(writer.write(payload, 5, length), length);
    assert.deepEqual(readExactly(connection.peer, length), bytes.subarray(5, 5 + length));
  }
  assert.throws(
    () => openOutput(connection.fd, { payload: 'file' }),
    isCode('MR_OUTPUT_MECHANISM'),
  );
  writer.close();
});

test('what is asked for by name is had, or is one clear error', needsAddon, (t) => {
  const tcp = connected(t, 'tcp');
  const unix = connected(t, 'unix');
  const refusals: readonly [number, OpenOutputOptions][] = [
    [tcp.fd, { mechanism: 'splice' }],
    [tcp.fd, { reclaim: 'ackedBytes' }],
    [tcp.fd, { reclaim: 'doubleBuffer' }],
    [tcp.fd, { mechanism: 'splice', reclaim: 'doubleBuffer' }],
    [tcp.fd, { mechanism: 'splice', reclaim: 'notification' }],
    [tcp.fd, { reclaim: 'peerQueue' }],
    [tcp.fd, { reclaim: 'applicationAck' }],
    [tcp.fd, { mechanism: 'tee', payload: 'payload' }],
    [tcp.fd, { mechanism: 'file' }],
    [tcp.fd, { mechanism: 'copy', payload: 'file' }],
    [unix.fd, { mechanism: 'msgZerocopy' }],
    [unix.fd, { mechanism: 'uringZerocopy' }],
    [unix.fd, { reclaim: 'ackedBytes' }],
    [4_194_303, {}],
  ];
  for (const [fd, options] of refusals) {
    assert.throws(
      () => openOutput(fd, options),
      isCode('MR_OUTPUT_MECHANISM'),
      JSON.stringify(options),
    );
  }
  assert.throws(
    () => openOutput(tcp.fd, { override: 'remote' } as unknown as OpenOutputOptions),
    isCode('MR_USAGE'),
  );
  const granted: readonly [OpenOutputOptions, string][] = [
    [{ mechanism: 'copy' }, 'copy null'],
    [{ mechanism: 'null' }, 'null null'],
    [{ mechanism: 'splice', peerReceives: true }, 'splice peerQueue'],
    [{ applicationAck: new ApplicationAckReclaim() }, 'splice applicationAck'],
    [{ mechanism: 'splice', payload: 'payload' }, 'splice immutable'],
  ];
  for (const [options, want] of granted) {
    const writer = openOutput(tcp.fd, options);
    assert.equal(chosen(writer), want);
    writer.close();
  }
});

test('a policy that cannot be had after all means a copy', needsAddon, (t) => {
  const { fd } = connected(t, 'unix');
  probeKernel();
  for (let nth = 1; nth < 10; nth++) {
    const fault = failCall({ call: 'getsockopt', nth, errno: 5 });
    try {
      const { choice } = openOutput(fd, { peerReceives: true });
      const isSplice = choice.reclaim === 'peerQueue';
      assert.equal(choice.mechanism, isSplice ? 'splice' : 'copy');
    } catch (error) {
      assert.ok(isCode('MR_OUTPUT_MECHANISM')(error), String(error));
    }
    fault.restore();
  }
});

test('a peer that cannot be found, or a kernel that copies, means a copy', needsAddon, (t) => {
  const { fd } = connected(t, 'tcp');
  closeThreadDiag();
  const genuine = probeKernel();
  const before = openFdCount();
  // The route needs two netlink sockets, and then sock_diag one.
  const fault = failCall({ call: 'socketCreate', nth: 1, errno: 1, count: 100 });
  const lost = openOutput(fd, { peerReceives: true });
  fault.restore();
  assert.equal(chosen(lost), 'copy null');
  const verdict = lost.choice.considered.find(({ reclaim }) => reclaim === 'peerQueue');
  assert.equal(verdict?.verdict, 'unavailable');
  const copying: KernelProbe = {
    ...genuine,
    vmsplice: { available: false, detail: 'a pipe holds a copy' },
  };
  assert.equal(chosen(openOutput(fd, { payload: 'payload', probe: copying })), 'copy null');
  assert.equal(openFdCount(), before);
});

/** The IPv4 gateway, as 16 bytes, when it is reached over hardware. */
function gateway(): Uint8Array | null {
  for (const line of readFileSync('/proc/net/route', 'utf8').split('\n').slice(1)) {
    const [, target, via, flags] = line.split('\t');
    if (target !== '00000000' || (Number.parseInt(flags ?? '0', 16) & 2) === 0) continue;
    const word = Number.parseInt(via!, 16);
    const address = new Uint8Array(16);
    address.set([0xff, 0xff], 10);
    address.set([word & 255, (word >>> 8) & 255, (word >>> 16) & 255, word >>> 24], 12);
    return address;
  }
  return null;
}

test('what the socket refuses after all becomes a copy, with the reason', needsAddon, (t) => {
  const address = gateway();
  if (address === null) return t.skip('there is no default route');
  const fd = checked('socket', socketCreate(4, 'datagram'));
  t.after(() => closeFd(fd));
  // A connected UDP socket; nothing is sent.
  checked('connect', connect(fd, 4, address, 0, 9));
  const first = openOutput(fd);
  if (first.socket.place === 'local') return t.skip('the default route has no hardware');
  if (!probeKernel().msgZerocopy.available) return t.skip('no MSG_ZEROCOPY');
  assert.equal(chosen(first), 'msgZerocopy notification');
  first.close();
  checked('setsockopt', setSocketOption(fd, 'zeroCopy', 1));
  const second = openOutput(fd);
  assert.equal(chosen(second), 'copy null');
  assert.match(second.choice.reason, /SO_ZEROCOPY/);
  assert.equal(second.choice.considered.filter(({ verdict }) => verdict === 'chosen').length, 1);
  assert.throws(() => openOutput(fd, { mechanism: 'msgZerocopy' }), isCode('MR_OUTPUT_MECHANISM'));
  assert.equal(chosen(openOutput(fd, { override: 'local' })), 'copy null');
});

test('nothing is left open', needsAddon, (t) => {
  const connection = connected(t, 'tcp');
  const { payload } = makeMaterial(t);
  const before = openFdCount();
  for (let round = 0; round < 50; round++) {
    const writer = openOutput(connection.fd, { payload: 'payload' });
    const accepted = writer.write(payload, 0, 100_000);
    assert.ok(accepted > 0);
    assert.equal(writer.flush(), 0);
    readExactly(connection.peer, accepted);
    writer.close();
  }
  assert.equal(openFdCount(), before);
});

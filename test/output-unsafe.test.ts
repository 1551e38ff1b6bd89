/**
 * What must be caught: reclaim rules without a proof, and a planted bug in each that has one. A
 * test here that finds no corrupt page has lost its eyes, and fails.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../src/toolkit/base/prng.ts';
import {
  AckedBytesReclaim,
  ApplicationAckReclaim,
  DoubleBufferReclaim,
  MsgZerocopyWriter,
  PeerQueueReclaim,
  type ReclaimPolicy,
  SpliceWriter,
} from '../src/toolkit/output/index.ts';
import {
  addonSkipReason,
  closeFd,
  getSocketOption,
  pwriteFully,
  setSocketOption,
} from '../src/toolkit/sys/index.ts';
import { type Offer, offersOn } from './support/output-offers.ts';
import { connectPath, FdReader, type Path } from './support/output-rig.ts';
import {
  makePool,
  type OpenSession,
  openSession,
  pause,
  refillAll,
} from './support/output-session.ts';
import { runCellHere } from './support/paused-here.ts';
import type { Cell } from './support/paused-reader.ts';

const needsAddon = { skip: addonSkipReason() };

const CELL: Cell = {
  messageBytes: 65_536,
  start: 0,
  sendBuffer: 'auto',
  receiveBuffer: 4 << 20,
  // Longer than an acknowledgement is put off: what the rules wrongly say must have been said.
  quietMs: 60,
};

/** No rig with open eyes needs so long. */
const CATCH_MS_MAX = 30_000;

/** A policy as the writer's, and what the reader tells it. */
interface Told {
  readonly policy: ReclaimPolicy;
  readonly consumed?: (bytes: number) => void;
}

function spliceBy(name: string, make: (fd: number) => Told): Offer {
  return {
    name,
    paths: ['tcp4', 'tcp6', 'unix'],
    source: 'page',
    open(fd) {
      const { policy, consumed = () => {} } = make(fd);
      const writer = new SpliceWriter(fd, policy);
      return { writer, isAbandoned: true, consumed, close: () => writer.close() };
    },
  };
}

/** Answers 64 KiB too early. */
class EarlyReclaim implements ReclaimPolicy {
  readonly name;
  readonly isSafe = true;
  readonly #inner: ReclaimPolicy;

  constructor(inner: ReclaimPolicy) {
    this.name = inner.name;
    this.#inner = inner;
  }

  safeBytes(sentBytes: number): number {
    return Math.min(sentBytes, this.#inner.safeBytes(sentBytes) + 65_536);
  }
}

async function mustBeCaught(
  t: { diagnostic(text: string): void },
  offer: Offer,
  path: Path,
  cell: Cell,
): Promise<void> {
  // Several seeds, hence both sizes of the pool: neither may hide it.
  let [pieces, corrupt, rewritten] = [0, 0, 0];
  const words: string[] = [];
  for (let seed = 1; seed <= 4; seed++) {
    const result = await runCellHere(offer, path, cell, new Prng(seed));
    pieces += result.pieces;
    corrupt += result.corrupt;
    rewritten += result.rewritten;
    words.push(...result.words);
  }
  t.diagnostic(`${offer.name} on ${path}: ${corrupt} of ${pieces} pages corrupt, as ${words[0]}`);
  assert.ok(corrupt > 0, `${offer.name} on ${path} was not caught`);
  assert.ok(rewritten > corrupt / 2, 'most of them show a later life of the page');
}

test('doubleBuffer of 256 KiB is caught on TCP loopback', needsAddon, async (t) => {
  const offer = spliceBy('doubleBuffer 256 KiB', () => ({
    policy: new DoubleBufferReclaim(256 << 10),
  }));
  await mustBeCaught(t, offer, 'tcp4', CELL);
  await mustBeCaught(t, offer, 'tcp6', { ...CELL, messageBytes: 4096 });
});

test(
  'doubleBuffer of 2 x SO_SNDBUF is caught, where that is set explicitly',
  needsAddon,
  async (t) => {
    for (const sendBuffer of [4096, 65_536]) {
      const offer = spliceBy(`doubleBuffer 2 x SO_SNDBUF ${sendBuffer}`, (fd) => {
        const policy = new DoubleBufferReclaim(2 * getSocketOption(fd, 'sendBufferBytes'));
        return { policy };
      });
      await mustBeCaught(t, offer, 'tcp4', { ...CELL, sendBuffer });
    }
  },
);

test('ackedBytes is caught where the peer is on this machine', needsAddon, async (t) => {
  const offer = spliceBy('ackedBytes, the place misstated', (fd) => {
    // The ACK at once, so that the laps meet it.
    setSocketOption(fd, 'noDelay', 1);
    return { policy: new AckedBytesReclaim(fd, { peer: 'remote' }) };
  });
  await mustBeCaught(t, offer, 'tcp4', CELL);
});

test('ackedBytes refuses a peer that is not stated to be remote', needsAddon, () => {
  const { writer, reader } = connectPath('tcp4');
  const local = { peer: 'local' } as unknown as { peer: 'remote' };
  assert.throws(() => new AckedBytesReclaim(writer, local), { code: 'MR_OUTPUT_MECHANISM' });
  closeFd(writer);
  closeFd(reader);
});

const EARLY: Cell = { ...CELL, messageBytes: 4096 };

test('an answer 64 KiB too early is caught: applicationAck', needsAddon, async (t) => {
  const offer = spliceBy('applicationAck + 64 KiB', () => {
    const policy = new ApplicationAckReclaim();
    return {
      policy: new EarlyReclaim(policy),
      consumed: (bytes: number) => policy.acknowledge(bytes),
    };
  });
  for (const path of ['tcp4', 'unix'] as const) await mustBeCaught(t, offer, path, EARLY);
});

test('an answer 64 KiB too early is caught: peerQueue', needsAddon, async (t) => {
  const offer = spliceBy('peerQueue + 64 KiB', (fd) => {
    return { policy: new EarlyReclaim(new PeerQueueReclaim(fd, { reader: 'recv' })) };
  });
  for (const path of ['tcp4', 'unix'] as const) await mustBeCaught(t, offer, path, EARLY);
});

/** Reads what the socket takes, to the first corrupt page; the writer may have more to push. */
async function readToCorrupt({ session }: OpenSession): Promise<void> {
  const { counts } = session.writer;
  for (const endMs = Date.now() + CATCH_MS_MAX; session.findings.corrupt === 0; ) {
    const isMore = session.writer.flush() > 0 || session.findings.bytes < counts.sentBytes;
    if (!isMore || Date.now() > endMs) return;
    if ((await session.take(1 << 20)) === 0) await pause(2);
  }
}

/** What auto makes of pages for a peer on this machine is a copy, too. */
const COPIES: readonly string[] = ['copy', 'auto'];

/** Believes that every call is done as soon as it was made. */
class HastyZerocopyWriter extends MsgZerocopyWriter {
  protected override readNotices(): number {
    if (this.calls.openCount > 0) this.calls.complete(0, 2 ** 31 - 1, false);
    return 0;
  }
}

test('a notice that never came is caught: notification', needsAddon, async (t) => {
  const offer: Offer = {
    name: 'notification without notices',
    paths: ['tcp4'],
    source: 'page',
    open(fd) {
      const writer = new HastyZerocopyWriter(fd);
      return { writer, isAbandoned: true, consumed() {}, close: () => writer.close() };
    },
  };
  await mustBeCaught(t, offer, 'tcp4', { ...EARLY, receiveBuffer: 65_536 });
});

/** A small receive buffer: what cannot be sent yet still refers to our memory everywhere. */
const CROWDED = { sendBuffer: 'auto', receiveBuffer: 4096 } as const;
const SHAPE = { connection: 77, messageBytes: 4096, start: 0 };

for (const path of ['tcp4', 'unix'] as const) {
  for (const offer of offersOn(path).filter(({ name }) => !COPIES.includes(name))) {
    test(`${path}: memory rewritten in flight is caught: ${offer.name}`, needsAddon, async (t) => {
      const { writer, reader } = connectPath(path, CROWDED);
      const stream = new FdReader(reader);
      const opened = openSession(offer, writer, stream, { shape: SHAPE, bytes: 1 << 20 });
      const { session, open, bytes, pool } = opened;
      session.pump(1 << 20);
      session.stop();
      const content = open.source;
      if (content?.kind === 'file') pwriteFully(content.fd, bytes.fill(0xdb), 0, 1 << 20, 0);
      else bytes.fill(0xdb);
      await readToCorrupt(opened);
      const { corrupt, pieces } = session.findings;
      t.diagnostic(`${corrupt} of ${pieces} pages`);
      assert.ok(corrupt > 0, `${offer.name} on ${path} was not caught`);
      open.close();
      stream.close();
      closeFd(writer);
      if (pool !== null) assert.equal(pool.stats().free, pool.pageCount);
    });
  }
}

test(
  'a writer closed in flight is caught, where its pages are not made stale',
  needsAddon,
  async (t) => {
    const offer = offersOn('tcp4').find(({ name }) => name === 'splice+applicationAck')!;
    const { writer, reader } = connectPath('tcp4', CELL);
    const stream = new FdReader(reader);
    const pool = makePool(SHAPE, 1 << 20);
    pool.markStale = () => {};
    const opened = openSession(offer, writer, stream, { shape: SHAPE, bytes: 0, pool });
    opened.session.pump(1 << 20);
    opened.open.close();
    refillAll(pool);
    await readToCorrupt(opened);
    const { corrupt, pieces } = opened.session.findings;
    t.diagnostic(`${corrupt} of ${pieces} pages`);
    assert.ok(corrupt > 0);
    stream.close();
    closeFd(writer);
  },
);

/**
 * One page to many readers of different pace: it is filled again only when the last of them is
 * through. And: what auto refuses, whoever asks for it.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../src/toolkit/base/prng.ts';
import { type OpenOutputOptions, openOutput } from '../src/toolkit/output/index.ts';
import { addonSkipReason, closeFd, EAGAIN } from '../src/toolkit/sys/index.ts';
import { type OpenOffer, offersOn } from './support/output-offers.ts';
import { connectPath, FdReader, openFds, type Path } from './support/output-rig.ts';
import { makePool, PageFeed, type Portion, pause } from './support/output-session.ts';
import { closeThreads } from './support/peer-rig.ts';
import { type Stamp, StreamChecker } from './support/stamps.ts';

const needsAddon = { skip: addonSkipReason() };
const MESSAGE_BYTES = 10_000;
const MESSAGES = 2_000;
const SHAPE = { connection: 1, messageBytes: MESSAGE_BYTES, start: 0 };

/** One reader of the same stream as all others. */
class Branch {
  readonly open: OpenOffer;
  readonly checker: StreamChecker;
  readonly #fd: number;
  readonly #reader: FdReader;
  #sent = 0;

  constructor(path: Path, name: string, stamps: readonly Stamp[]) {
    const { writer, reader } = connectPath(path);
    this.#fd = writer;
    this.#reader = new FdReader(reader);
    const offer = offersOn(path).find((one) => one.name === name);
    assert.ok(offer, name);
    this.open = offer.open(writer, null);
    this.checker = new StreamChecker(MESSAGE_BYTES, stamps);
  }

  /** True when the whole message was accepted. */
  write({ source, offset }: Portion): boolean {
    const { writer } = this.open;
    while (this.#sent < MESSAGE_BYTES) {
      const taken = writer.write(source, offset + this.#sent, MESSAGE_BYTES - this.#sent);
      if (taken === -EAGAIN) return false;
      assert.ok(taken > 0, String(taken));
      this.#sent += taken;
    }
    return true;
  }

  next(): void {
    this.#sent = 0;
  }

  read(bytes: number): number {
    const taken = this.#reader.takeNow(bytes);
    this.checker.feed(taken);
    this.open.consumed(this.checker.findings.bytes);
    this.open.writer.flush();
    this.open.writer.reclaim();
    return taken.length;
  }

  close(): void {
    this.open.close();
    this.#reader.close();
    closeFd(this.#fd);
  }
}

const BRANCHES: readonly (readonly [Path, string])[] = [
  ['tcp4', 'splice+peerQueue'],
  ['tcp4', 'splice+applicationAck'],
  ['tcp6', 'splice+peerQueue'],
  ['unix', 'splice+peerQueue'],
  ['unix', 'splice+applicationAck'],
  ['tcp4', 'msgZerocopy'],
  ['tcp4', 'copy'],
];

/** Messages go to every branch; each reads at a pace of its own, some by chance not at all. */
async function runFanOut(feed: PageFeed, branches: readonly Branch[], stamps: Stamp[], prng: Prng) {
  for (let message = 0; message < MESSAGES; ) {
    const portion = feed.next();
    if (portion !== null) {
      stamps.push(portion.stamp);
      for (const branch of branches) {
        while (!branch.write(portion)) if (branch.read(65_536) === 0) await pause(1);
        branch.next();
      }
      portion.end();
      message++;
    }
    branches.forEach((branch, index) => {
      if (prng.chance(1 / (1 + index))) branch.read(1 + prng.below(60_000));
    });
    // Pages are away until the slowest has read.
    if (portion === null) {
      for (const branch of branches) branch.read(65_536);
      await pause(0);
    }
  }
}

test('a page goes to seven readers, and is filled again after the last', needsAddon, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  closeThreads();
  const fds = openFds();
  const stamps: Stamp[] = [];
  const pool = makePool(SHAPE, 1 << 19);
  const feed = new PageFeed(pool, SHAPE);
  const branches = BRANCHES.map(([path, name]) => new Branch(path, name, stamps));
  await runFanOut(feed, branches, stamps, new Prng(seed));
  for (const branch of branches) {
    const { findings } = branch.checker;
    for (const end = Date.now() + 30_000; findings.bytes < MESSAGES * MESSAGE_BYTES; ) {
      if (branch.read(1 << 20) === 0) await pause(1);
      assert.ok(Date.now() < end, `${findings.bytes} bytes`);
    }
    assert.equal(findings.corrupt, 0, `seed ${seed}: ${findings.words.join('; ')}`);
  }
  for (const end = Date.now() + 30_000; pool.stats().inFlight > 0; await pause(1)) {
    for (const { open } of branches) open.writer.reclaim();
    assert.ok(Date.now() < end, `${pool.stats().inFlight} pages never land`);
  }
  assert.equal(pool.stats().free, pool.pageCount);
  for (const branch of branches) branch.close();
  closeThreads();
  assert.equal(openFds(), fds);
  t.diagnostic(`${feed.refillCount} refills of ${pool.pageCount} pages, seed ${seed}`);
  assert.ok(feed.refillCount > MESSAGES / 2);
});

const REFUSED: readonly OpenOutputOptions[] = [
  { reclaim: 'doubleBuffer' },
  { mechanism: 'splice', reclaim: 'doubleBuffer' },
  { reclaim: 'ackedBytes' },
  { mechanism: 'splice', reclaim: 'ackedBytes', peerReceives: true },
  { mechanism: 'splice', reclaim: 'immutable' },
  { mechanism: 'splice', reclaim: 'peerQueue' },
  { mechanism: 'splice', reclaim: 'applicationAck' },
  { mechanism: 'splice', reclaim: 'notification' },
  { mechanism: 'splice' },
  { mechanism: 'tee' },
];

test('auto refuses what is not safe for a peer on this machine', needsAddon, () => {
  for (const path of ['tcp4', 'tcp6', 'unix'] as const) {
    const { writer, reader } = connectPath(path);
    for (const options of REFUSED) {
      const words = `${path} ${JSON.stringify(options)}`;
      assert.throws(() => openOutput(writer, options), { code: 'MR_OUTPUT_MECHANISM' }, words);
    }
    const { choice, socket } = openOutput(writer);
    assert.deepEqual([socket.place, choice.mechanism, choice.reclaim], ['local', 'copy', null]);
    const remote = { override: 'remote' } as unknown as OpenOutputOptions;
    assert.throws(() => openOutput(writer, remote), { code: 'MR_USAGE' });
    closeFd(writer);
    closeFd(reader);
  }
});

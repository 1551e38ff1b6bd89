/**
 * One connection, one writer that was chosen by itself, and sources of every kind in turn: pages,
 * a payload, a file; short writes and long ones. What proves pages free must not be misled by what
 * was sent another way in between.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../src/toolkit/base/prng.ts';
import {
  ApplicationAckReclaim,
  fileSource,
  type OpenOutputOptions,
  openOutput,
  TeePayload,
} from '../src/toolkit/output/index.ts';
import { addonSkipReason, closeFd } from '../src/toolkit/sys/index.ts';
import { fileOf } from './support/output-offers.ts';
import { connectPath, FdReader, openFds } from './support/output-rig.ts';
import {
  type Feed,
  makePool,
  OutputSession,
  PageFeed,
  PayloadFeed,
  pause,
  stampedPayload,
} from './support/output-session.ts';
import { closeThreads } from './support/peer-rig.ts';

const needsAddon = { skip: addonSkipReason() };
const MESSAGE_BYTES = 20_000;
const ROUNDS = 60;
/** Pages that are filled again, at the least: else nothing was put to the test. */
const REFILLS_MIN = 20;
const SHAPE = { messageBytes: MESSAGE_BYTES, start: 0 };

/** Messages of several feeds, by chance; pages when the others are not wanted. */
class MixedFeed implements Feed {
  readonly messageBytes = MESSAGE_BYTES;
  readonly #feeds: readonly Feed[];
  readonly #prng: Prng;

  constructor(feeds: readonly Feed[], prng: Prng) {
    this.#feeds = feeds;
    this.#prng = prng;
  }

  next() {
    return this.#feeds[this.#prng.below(this.#feeds.length)]!.next();
  }
}

interface Mixed {
  readonly corrupt: number;
  readonly pieces: number;
  readonly refills: number;
  readonly words: readonly string[];
}

async function runMixed(
  path: 'tcp4' | 'unix',
  options: OpenOutputOptions,
  prng: Prng,
): Promise<Mixed> {
  const { writer: fd, reader } = connectPath(path, { sendBuffer: 'auto', receiveBuffer: 4 << 20 });
  const stream = new FdReader(reader);
  const pool = makePool({ ...SHAPE, connection: 1 }, 1 << 19);
  const pages = new PageFeed(pool, { ...SHAPE, connection: 1 });
  const payload = stampedPayload({ ...SHAPE, connection: 2 }, 200_000);
  const inFile = stampedPayload({ ...SHAPE, connection: 3 }, 400_000);
  const file = fileOf(inFile);
  const prepared = options.payload === 'payload' ? TeePayload.fill(payload) : null;
  const writer = openOutput(fd, { ...options, ...(prepared && { tee: prepared }) });
  const feeds = [
    pages,
    pages,
    new PayloadFeed(payload, payload.length, { ...SHAPE, connection: 2 }),
    new PayloadFeed(fileSource(file), inFile.length, { ...SHAPE, connection: 3 }),
  ];
  const session = new OutputSession(writer, new MixedFeed(feeds, prng), stream);
  session.cut = (rest) => (prng.chance(0.6) ? rest : 1 + prng.below(rest));
  const roundsEndMs = Date.now() + 30_000;
  for (let round = 0; round < ROUNDS || pages.refillCount < REFILLS_MIN; round++) {
    assert.ok(Date.now() < roundsEndMs, `${pages.refillCount} refills: pages do not come back`);
    session.pump(1 + prng.below(300_000));
    writer.reclaim();
    if (prng.chance(0.7)) await session.take(1 + prng.below(200_000));
    options.applicationAck?.acknowledge(session.findings.bytes);
    writer.reclaim();
    if (prng.chance(0.1)) await pause(5);
  }
  session.stop();
  for (const end = Date.now() + 30_000; session.findings.bytes < writer.counts.acceptedBytes; ) {
    session.flush();
    if ((await session.take(1 << 20)) === 0) await pause(1);
    assert.ok(Date.now() < end, 'stuck');
  }
  options.applicationAck?.acknowledge(session.findings.bytes);
  for (const end = Date.now() + 30_000; writer.flightCount > 0; await pause(1)) {
    writer.reclaim();
    assert.ok(Date.now() < end, `${writer.flightCount} flights never land`);
  }
  assert.equal(pool.stats().free, pool.pageCount);
  writer.close();
  prepared?.close();
  for (const one of [fd, file]) closeFd(one);
  stream.close();
  return { ...session.findings, refills: pages.refillCount };
}

const WAYS: Readonly<Record<string, () => OpenOutputOptions>> = {
  'a copy': () => ({}),
  peerQueue: () => ({ peerReceives: true }),
  applicationAck: () => ({ applicationAck: new ApplicationAckReclaim() }),
  'a prepared payload': () => ({ payload: 'payload' }),
  'notifications, by name': () => ({ mechanism: 'msgZerocopy' }),
};

for (const path of ['tcp4', 'unix'] as const) {
  for (const [name, options] of Object.entries(WAYS)) {
    if (path === 'unix' && name.startsWith('notifications')) continue;
    test(`${path}: every kind of source through auto, ${name}`, needsAddon, async (t) => {
      const seed = (Math.random() * 2 ** 32) >>> 0;
      closeThreads();
      const fds = openFds();
      const result = await runMixed(path, options(), new Prng(seed));
      const { corrupt, pieces, refills, words } = result;
      t.diagnostic(`${pieces} pages, ${refills} refills, seed ${seed}`);
      assert.equal(corrupt, 0, `seed ${seed}: ${words.join('; ')}`);
      closeThreads();
      assert.equal(openFds(), fds);
    });
  }
}

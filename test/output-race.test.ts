/**
 * Reader and writer at the same time, in two threads: pages go round as fast as the policy allows.
 * A policy that asks its questions in the wrong order is wrong here alone, and must be caught.
 */
import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import {
  ApplicationAckReclaim,
  MsgZerocopyWriter,
  type OutputWriter,
  PeerQueueReclaim,
  type ReclaimPolicy,
  SockDiag,
  SpliceWriter,
} from '../src/toolkit/output/index.ts';
import { socketQuestion } from '../src/toolkit/output/sock-diag.ts';
import {
  addonSkipReason,
  bytesUnacked,
  closeFd,
  localName,
  peerName,
  SOCKADDR_BYTES_MAX,
} from '../src/toolkit/sys/index.ts';
import { connectPath, openFds, type Path } from './support/output-rig.ts';
import { type Feed, makePool, OutputSession, PageFeed, pause } from './support/output-session.ts';
import { closeThreads } from './support/peer-rig.ts';
import { OFFERED, RACE_CONNECTION, type RaceData, TOTAL_BYTES } from './support/racing-reader.ts';
import type { StreamFindings } from './support/stamps.ts';

const needsAddon = { skip: addonSkipReason() };
const SCRIPT = fileURLToPath(new URL('./support/racing-reader.js', import.meta.url));
const MESSAGE_BYTES = 4096;
const MESSAGES_MAX = 40_000;
/** Until pages were filled again so often; on a machine with other things to do, so long. */
const REFILLS = 1_500;
const RUN_MS_MAX = 20_000;
/** It came up in the first or the second run, in all trials. */
const RUNS_MAX = 15;
/** Few pages, so that each is filled again at once. */
const POOL_BYTES = 64 * 4096;

interface Race {
  readonly writer: OutputWriter;
  /** The reader has consumed so many bytes. */
  consumed?: (bytes: number) => void;
}

/** Tells the reader what comes before it comes. */
class ToldFeed implements Feed {
  readonly messageBytes = MESSAGE_BYTES;
  readonly #pages: PageFeed;
  readonly #data: RaceData;

  constructor(pages: PageFeed, data: RaceData) {
    this.#pages = pages;
    this.#data = data;
  }

  next() {
    const { control, generations } = this.#data;
    if (control[OFFERED] === MESSAGES_MAX) return null;
    const portion = this.#pages.next();
    if (portion === null) return null;
    generations[portion.stamp.sequence] = portion.stamp.generation;
    Atomics.add(control, OFFERED, 1);
    return portion;
  }
}

interface RaceResult extends StreamFindings {
  readonly refills: number;
}

function raceData(fd: number, seed: number): RaceData {
  const control = new Int32Array(new SharedArrayBuffer(8));
  control[TOTAL_BYTES] = -1;
  return {
    isRace: true,
    fd,
    messageBytes: MESSAGE_BYTES,
    seed,
    control,
    consumed: new Float64Array(new SharedArrayBuffer(8)),
    generations: new Int32Array(new SharedArrayBuffer(MESSAGES_MAX * 4)),
  };
}

async function race(path: Path, make: (fd: number) => Race, seed: number): Promise<RaceResult> {
  const { writer: fd, reader } = connectPath(path, { sendBuffer: 'auto', receiveBuffer: 'auto' });
  const data = raceData(reader, seed);
  const worker = new Worker(SCRIPT, { workerData: data });
  const answer = new Promise<StreamFindings>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const shape = { connection: RACE_CONNECTION, messageBytes: MESSAGE_BYTES, start: 0 };
  const pages = new PageFeed(makePool(shape, POOL_BYTES), shape);
  const { writer, consumed } = make(fd);
  const session = new OutputSession(writer, new ToldFeed(pages, data), {
    take: () => Promise.resolve(new Uint8Array(0)),
    close() {},
  });
  for (const end = Date.now() + RUN_MS_MAX; pages.refillCount < REFILLS && Date.now() < end; ) {
    for (let turn = 0; turn < 20; turn++) {
      session.pump(POOL_BYTES);
      consumed?.(data.consumed[0]!);
      writer.reclaim();
    }
    await pause(0);
  }
  session.stop();
  for (const end = Date.now() + 30_000; writer.flush() > 0; ) assert.ok(Date.now() < end, 'stuck');
  Atomics.store(data.control, TOTAL_BYTES, writer.counts.sentBytes);
  const findings = await answer;
  await ended;
  writer.close();
  closeFd(fd);
  closeFd(reader);
  return { ...findings, refills: pages.refillCount };
}

const RACES: readonly (readonly [string, readonly Path[], (fd: number) => Race])[] = [
  [
    'peerQueue',
    ['tcp4', 'tcp6', 'unix'],
    (fd) => ({ writer: new SpliceWriter(fd, new PeerQueueReclaim(fd, { reader: 'recv' })) }),
  ],
  [
    'applicationAck',
    ['tcp4', 'unix'],
    (fd) => {
      const policy = new ApplicationAckReclaim();
      const consumed = (bytes: number) => policy.acknowledge(bytes);
      return { writer: new SpliceWriter(fd, policy, { corkBytes: 0 }), consumed };
    },
  ],
  [
    'notification',
    ['tcp4'],
    (fd) => ({ writer: new MsgZerocopyWriter(fd, { copiedCallsMax: Number.POSITIVE_INFINITY }) }),
  ],
];

for (const [name, paths, make] of RACES) {
  for (const path of paths) {
    test(`${path}: pages go round while the reader reads: ${name}`, needsAddon, async (t) => {
      const seed = (Math.random() * 2 ** 32) >>> 0;
      closeThreads();
      const fds = openFds();
      const { corrupt, pieces, refills, words } = await race(path, make, seed);
      t.diagnostic(`${pieces} pages, ${refills} refills, seed ${seed}`);
      assert.equal(corrupt, 0, `seed ${seed}: ${words.join('; ')}`);
      assert.ok(refills > 0);
      closeThreads();
      await pause(5);
      assert.equal(openFds(), fds);
    });
  }
}

/** peerQueue with its two questions in the wrong order. */
class ReversedReclaim implements ReclaimPolicy {
  readonly name = 'peerQueue';
  readonly isSafe = true;
  readonly #fd: number;
  readonly #diag = new SockDiag();
  readonly #question;

  constructor(fd: number) {
    this.#fd = fd;
    const [local, peer] = [localName, peerName].map((name) => {
      const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
      return sockaddr.slice(0, name(fd, sockaddr));
    });
    this.#question = socketQuestion(peer!, local!);
  }

  safeBytes(sentBytes: number): number {
    if (this.#diag.ask(this.#question) < 0) return 0;
    const queued = this.#diag.receiveQueueBytes;
    return Math.max(0, sentBytes - bytesUnacked(this.#fd) - queued);
  }

  close(): void {
    this.#diag.close();
  }
}

const skip = addonSkipReason() || (availableParallelism() === 1 && 'needs two CPUs');

test('the wrong order of the questions is caught', { skip }, async (t) => {
  let corrupt = 0;
  for (let run = 0; run < RUNS_MAX && corrupt === 0; run++) {
    let policy: ReversedReclaim | null = null;
    const result = await race(
      'tcp4',
      (fd) => {
        policy = new ReversedReclaim(fd);
        return { writer: new SpliceWriter(fd, policy, { corkBytes: 0 }) };
      },
      run,
    );
    (policy as ReversedReclaim | null)?.close();
    corrupt += result.corrupt;
    t.diagnostic(`${result.corrupt} of ${result.pieces} pages`);
  }
  assert.ok(corrupt > 0, 'it was not caught');
});

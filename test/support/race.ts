/**
 * A race: reader and writer at the same time, in two threads, and pages that go round as fast as
 * the policy allows.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type OutputWriter, type ReclaimPolicy, SockDiag } from '../../src/toolkit/output/index.ts';
import { socketQuestion } from '../../src/toolkit/output/sock-diag.ts';
import {
  bytesUnacked,
  closeFd,
  localName,
  peerName,
  SOCKADDR_BYTES_MAX,
} from '../../src/toolkit/sys/index.ts';
import { connectPath, type Path } from './output-rig.ts';
import { type Feed, makePool, OutputSession, PageFeed, pause } from './output-session.ts';
import { OFFERED, RACE_CONNECTION, type RaceData, TOTAL_BYTES } from './racing-reader.ts';
import type { StreamFindings } from './stamps.ts';

const SCRIPT = fileURLToPath(new URL('./racing-reader.js', import.meta.url));
const MESSAGE_BYTES = 4096;
const MESSAGES_MAX = 40_000;
/** Until pages were filled again so often; on a machine with other things to do, so long. */
const REFILLS = 1_500;
const RUN_MS_MAX = 20_000;
/** Few pages, so that each is filled again at once. */
const POOL_BYTES = 64 * 4096;

export interface Race {
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

export interface RaceResult extends StreamFindings {
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

export async function race(
  path: Path,
  make: (fd: number) => Race,
  seed: number,
): Promise<RaceResult> {
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

/** peerQueue with its two questions in the wrong order. */
export class ReversedReclaim implements ReclaimPolicy {
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

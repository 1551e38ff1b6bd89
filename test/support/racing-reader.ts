/**
 * A reader in a thread of its own, at an uneven pace, while the writer works: what a policy asks of
 * the kernel changes between two questions.
 *
 * LAYOUT      control, int32: [ messages offered | bytes that will come, -1: not known yet ];
 *             consumed, one float64 written by the reader alone; generations, int32 a message,
 *             written before the message is offered.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { FdReader } from './output-rig.ts';
import { type Stamp, StreamChecker } from './stamps.ts';

export const OFFERED = 0;
export const TOTAL_BYTES = 1;
export const RACE_CONNECTION = 31;

export interface RaceData {
  readonly isRace: true;
  readonly fd: number;
  readonly messageBytes: number;
  readonly seed: number;
  readonly control: Int32Array;
  readonly consumed: Float64Array;
  readonly generations: Int32Array;
}

const PAUSE_MS_MAX = 3;
const IDLE_MS_MAX = 30_000;

function readRace(data: RaceData): StreamChecker['findings'] {
  const { control, generations, messageBytes } = data;
  const stamps: Stamp[] = [];
  const checker = new StreamChecker(messageBytes, stamps);
  const reader = new FdReader(data.fd);
  const prng = new Prng(data.seed);
  let idleSince = Date.now();
  while (checker.findings.bytes !== Atomics.load(control, TOTAL_BYTES)) {
    const taken = reader.takeNow(1 + prng.below(prng.chance(0.5) ? 5_000 : 300_000));
    for (let offered = Atomics.load(control, OFFERED); stamps.length < offered; ) {
      const sequence = stamps.length;
      const generation = generations[sequence]!;
      stamps.push({ connection: RACE_CONNECTION, sequence, generation });
    }
    checker.feed(taken);
    data.consumed[0] = checker.findings.bytes;
    if (taken.length > 0) idleSince = Date.now();
    else if (Date.now() - idleSince > IDLE_MS_MAX) throw new Error('nothing comes any more');
    if (prng.chance(taken.length > 0 ? 0.02 : 0.5)) {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, prng.below(PAUSE_MS_MAX));
    }
  }
  return checker.findings;
}

if (!isMainThread && (workerData as Partial<RaceData> | null)?.isRace === true) {
  parentPort!.postMessage(readRace(workerData as RaceData));
}

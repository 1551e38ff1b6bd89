/**
 * The pipeline with the guard loaded and idle, against without; and `serve --guard` itself.
 *
 * Servers of the same stages live side by side and are fed in turn, the order changing from pair to
 * pair. A figure is the quotient of a pair, measured within seconds; what counts is their median,
 * with the interval in which it lies in 95 of 100 such runs.
 */
import { fileURLToPath } from 'node:url';
import { type BenchRow, makeRow, median } from '../lib/result.ts';
import type { Stages } from '../lib/server.ts';
import { type StageRun, StageSession } from '../lib/stage-session.ts';
import { prepareStream } from '../lib/stream-file.ts';

const LOAD = fileURLToPath(new URL('load.js', import.meta.url));
const RATE = 400_000;
/** The servers that are only looked at take part in every so many pairs. */
const GUARDED_EVERY = 4;
const RATIO_MAX = 1.02;

export interface IdleOptions {
  readonly stages: Stages;
  readonly pairs: number;
  readonly seconds: number;
}

interface Sessions {
  readonly plain: StageSession;
  readonly loaded: StageSession;
  readonly guarded: StageSession;
}

/** Threads to the nanosecond; the process's own sum has steps of 10 ms. */
function cpuUs(run: StageRun): number {
  return [...run.threadUsPerRecord.values()].reduce((sum, us) => sum + us, 0);
}

async function startAll({ stages, seconds }: IdleOptions): Promise<Sessions> {
  const file = prepareStream({ records: 200_000, subscribers: 10_000, mix: 'default', seed: 1 });
  const load = { file, connections: 1, rate: RATE, seconds };
  return {
    plain: await StageSession.start(stages, load),
    loaded: await StageSession.start(stages, load, { node: ['--import', LOAD] }),
    guarded: await StageSession.start(stages, load, { more: ['--guard'] }),
  };
}

export async function measureIdle(
  options: IdleOptions,
  progress: (text: string) => void,
): Promise<BenchRow[]> {
  const sessions = await startAll(options);
  const found: Record<keyof Sessions, number[]> = { plain: [], loaded: [], guarded: [] };
  const ratios: number[] = [];
  const guardedRatios: number[] = [];
  const measure = async (name: keyof Sessions): Promise<number> => {
    const us = cpuUs(await sessions[name].run());
    found[name].push(us);
    return us;
  };
  try {
    for (const session of Object.values(sessions)) await session.warmUp();
    for (const session of Object.values(sessions)) await session.run();
    for (let pair = 0; pair < options.pairs; pair++) {
      const isPlainFirst = pair % 2 === 0;
      const first = await measure(isPlainFirst ? 'plain' : 'loaded');
      const second = await measure(isPlainFirst ? 'loaded' : 'plain');
      const [plain, loaded] = isPlainFirst ? [first, second] : [second, first];
      ratios.push(loaded / plain);
      if (pair % GUARDED_EVERY === 0) guardedRatios.push((await measure('guarded')) / plain);
      if (pair % 10 === 9) {
        progress(`pair ${pair + 1} of ${options.pairs}: median ${median(ratios).toFixed(4)}`);
      }
    }
  } finally {
    for (const session of Object.values(sessions)) await session.stop();
  }
  const { stages } = options;
  return [
    makeRow(`pipeline (${stages}), not loaded`, found.plain, 'µs/record'),
    makeRow(`pipeline (${stages}), guard loaded and idle`, found.loaded, 'µs/record'),
    makeRow(`pipeline (${stages}), serve --guard`, found.guarded, 'µs/record'),
    ratioRow('loaded and idle / not loaded', ratios, RATIO_MAX),
    ratioRow('serve --guard / not loaded', guardedRatios),
  ];
}

/** The spread of the row is the 95 % interval of its median. */
function ratioRow(name: string, ratios: readonly number[], atMost?: number): BenchRow {
  const row = makeRow(`${name}, ${ratios.length} pairs (spread: 95 % of medians)`, ratios, 'x', {
    ...(atMost === undefined ? {} : { atMost }),
  });
  return { ...row, spread: medianInterval(ratios) };
}

/** By order statistics: between which values the median of what was sampled lies, 95 in 100. */
export function medianInterval(values: readonly number[]): readonly [number, number] {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (1.96 * Math.sqrt(sorted.length)) / 2;
  const low = Math.max(0, Math.floor(sorted.length / 2 - half));
  const high = Math.min(sorted.length - 1, Math.ceil(sorted.length / 2 + half));
  return [sorted[low]!, sorted[high]!];
}

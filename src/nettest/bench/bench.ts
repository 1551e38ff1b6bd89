/**
 * The bench: every mechanism in every cell, in rounds, against C and plain node:net.
 *
 * WHY         Whether output by reference pays depends on the path, the size and the machine; so
 *             anybody can measure it on his own, in one command, with the yardstick beside it.
 * INVARIANTS  1. all contestants of a cell run within a round, one after the other, in an order
 *             that turns  2. a contestant that the kernel refuses is named with the reason, and the
 *             bench goes on  3. children, namespaces and files are gone when run() returns, throws
 *             or is aborted.
 */
import { loadavg } from 'node:os';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { schedGetAffinity } from '../../toolkit/sys/index.ts';
import { POOL_BYTES, RECEIVE_BYTES } from './agent-protocol.ts';
import { Book } from './book.ts';
import {
  type Cell,
  isTargetCell,
  makePlan,
  orderOfRound,
  PATHS,
  type Path,
  type Pin,
  REFERENCE,
  type Run,
} from './plan.ts';
import { type BenchResult, cellResults, describeMachine, systemCongestion } from './result.ts';
import { Session } from './session.ts';
import { targetRows } from './targets.ts';
import { buildYardstick } from './yardstick.ts';

export const BENCH_NAME = 'nettest-bench';
/** Before the first round: passes over all contestants, and each transfer's size and seconds. */
const WARM_PASSES = 2;
const WARM_MESSAGE_BYTES = [4096, 65_536] as const;
const WARM_SECONDS = 0.25;
/** The split into user and system time is sampled; where it has a target it gets more samples. */
const TARGET_CELL_TIMES = 3;
const BUSY_LOAD_PER_CPU = 0.3;

export interface BenchOptions {
  readonly only?: string | undefined;
  readonly isQuick?: boolean;
  readonly rounds: number;
  /** Of one transfer. */
  readonly seconds: number;
  readonly pin: Pin;
  /** Congestion control of the bench's TCP sockets; empty: as the machine has it. */
  readonly congestion: string;
  /** What was typed, for the result. */
  readonly command: string;
  readonly signal?: AbortSignal;
  /** After each run. */
  readonly onProgress?: (done: number, total: number, what: string) => void;
}

/** Throws MR_USAGE (--only), MR_ADDON, MR_CONNECT, MR_INTERRUPTED. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const cpus = schedGetAffinity();
  if (options.pin === 'two' && cpus.length < 2) throw tooFewCpus(cpus.length);
  const yardstick = buildYardstick();
  const notes = openingNotes(options, yardstick.reason);
  const refused = new Map<Path, string>();
  const planFor = (paths: readonly Path[]): readonly Run[] =>
    makePlan({
      ...options,
      paths,
      hasYardstick: yardstick.program !== null,
      cpuCount: cpus.length,
    });
  const paths = [...new Set(planFor(PATHS).map(({ cell }) => cell.path))];
  const { seconds, congestion } = options;
  const session = await Session.open(
    { paths, yardstick: yardstick.program, seconds, congestion, cpus },
    refused,
  );
  const abort = (): void => session.close();
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    for (const [path, reason] of refused) notes.push(`Not measured: ${path} (${reason}).`);
    const runs = planFor(session.paths);
    const book = new Book();
    await warmUp(session, runs, options);
    for (let round = 0; round < options.rounds; round++) {
      await measureRound(session, runs, round, book, options);
    }
    return makeResult(runs, book, notes, options, yardstick.program !== null);
  } catch (error) {
    if (options.signal?.aborted === true) throw interrupted();
    throw error;
  } finally {
    options.signal?.removeEventListener('abort', abort);
    session.close();
  }
}

/** The compiler's work is over before the first round: measured, it took half of a cold run. */
async function warmUp(
  session: Session,
  runs: readonly Run[],
  { signal, seconds, rounds, onProgress }: BenchOptions,
): Promise<void> {
  const firsts = new Map<string, Run>();
  for (const run of runs) {
    const key = `${run.cell.path} ${run.contestant.name}`;
    if (run.contestant.kind === 'agent' && !firsts.has(key)) firsts.set(key, run);
  }
  for (let pass = 0; pass < WARM_PASSES; pass++) {
    for (const { cell, contestant } of firsts.values()) {
      for (const messageBytes of WARM_MESSAGE_BYTES) {
        signal?.throwIfAborted();
        const warm = { cell: { ...cell, messageBytes, fanOut: 1 }, contestant };
        await session.measure(warm, Math.min(WARM_SECONDS, seconds));
      }
      onProgress?.(0, runs.length * rounds, `warming up, ${contestant.name} ${cell.path}`);
    }
  }
}

async function measureRound(
  session: Session,
  runs: readonly Run[],
  round: number,
  book: Book,
  options: BenchOptions,
): Promise<void> {
  const total = runs.length * options.rounds;
  let done = runs.length * round;
  for (const run of orderOfRound(runs, round)) {
    const { cell, contestant } = run;
    options.signal?.throwIfAborted();
    if (book.refusalOf(cell, contestant.name) === undefined) {
      const reply = await session.measure(run, secondsOf(cell, options));
      if (reply.state === 'done') book.add(cell, contestant.name, round, reply.value);
      else book.refuse(cell, contestant.name, `${reply.state}: ${reply.message}`);
    }
    done++;
    const size = `${cell.messageBytes / 1024}K`;
    const what = `${contestant.name} ${cell.path} ${size} x${cell.fanOut}`;
    options.onProgress?.(done, total, `round ${round + 1} of ${options.rounds}, ${what}`);
  }
}

function secondsOf(cell: Cell, { seconds, isQuick }: BenchOptions): number {
  return isTargetCell(cell) && isQuick !== true ? TARGET_CELL_TIMES * seconds : seconds;
}

function openingNotes(options: BenchOptions, yardstickReason: string): string[] {
  const system = systemCongestion();
  const congestion =
    options.congestion === ''
      ? `Congestion control: the machine's own (${system}).`
      : `Congestion control of these sockets: ${options.congestion} (the machine's: ${system}).`;
  const notes = [
    `All send from the same ${POOL_BYTES / 1024} KiB, which never change (huge page where ` +
      `granted; the same bytes in a file); the receiver reads into ${RECEIVE_BYTES / 1024} KiB.`,
    congestion,
  ];
  if (yardstickReason !== '') notes.push(`No C yardstick: ${yardstickReason}.`);
  const load = loadavg()[0]!;
  if (load > BUSY_LOAD_PER_CPU * schedGetAffinity().length) {
    notes.push(`The load average was ${load.toFixed(1)} at the start: others show in the figures.`);
  }
  return notes;
}

function makeResult(
  runs: readonly Run[],
  book: Book,
  notes: readonly string[],
  options: BenchOptions,
  hasYardstick: boolean,
): BenchResult {
  const reference = hasYardstick ? REFERENCE : 'copy';
  return {
    name: BENCH_NAME,
    date: new Date().toISOString().slice(0, 19).concat('Z'),
    machine: describeMachine(),
    command: options.command,
    rows: targetRows(runs, book, reference),
    reference,
    rounds: options.rounds,
    secondsPerRun: options.seconds,
    notes,
    chart: `${BENCH_NAME}.svg`,
    cells: cellResults(runs, book, reference),
  };
}

function tooFewCpus(count: number): MillraceError {
  const found = `--pin two needs two CPUs, and this process may use ${count}`;
  return new MillraceError('MR_USAGE', found, 'give --pin one or --pin none');
}

function interrupted(): MillraceError {
  return new MillraceError('MR_INTERRUPTED', 'the bench was stopped before its end', '');
}

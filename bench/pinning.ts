/**
 * The pinning bench: does it pay to pin the workers, alone and beside a neighbour?
 *
 * HOW        The whole server from socket to reader (`stages: latency`: journaled, not decoded)
 *            with cpu.pin off, auto and an explicit list; each without a neighbour, beside a
 *            program that burns one CPU and may run anywhere, and beside one that is pinned to the
 *            CPU of the list's journal. All cells once a round, in turn, so that they meet the same
 *            moments of the machine; a fresh server each, as `auto` decides at the start.
 * MEASURED   at a given rate: the time from the commit of a block by the collector to the reader
 *            (src/server/store/latency-stage.ts); then flat out: records a second until the
 *            server has taken all.
 * CHECKED    Nothing is lost in any cell. The reader's own dozing, 0.1 ms, is in all figures.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { type Bench, type BenchValues, numberOption } from './bench.ts';
import {
  blocksIn,
  type Cell,
  type CellRun,
  listFor,
  MODES,
  merge,
  NEIGHBOURS,
  quantile,
  runCell,
  usableCpus,
} from './lib/pinning-cell.ts';
import { type BenchRow, makeRow } from './lib/result.ts';
import { prepareStream } from './lib/stream-file.ts';

const PERCENTILES = [
  ['p50', 0.5],
  ['p99', 0.99],
  ['p99.9', 0.999],
  ['longest', 1],
] as const;

function cellsOf(values: BenchValues): Cell[] {
  const pick = <T extends string>(name: string, all: readonly T[]): readonly T[] => {
    const words = values[name]!.split(',');
    const wrong = words.find((word) => !all.some((one) => one === word));
    if (wrong === undefined) return all.filter((one) => words.includes(one));
    throw new MillraceError('MR_USAGE', `--${name}: ${wrong}`, `of ${all.join(', ')}`);
  };
  const modes = pick('modes', MODES);
  return pick('neighbours', NEIGHBOURS).flatMap((neighbour) =>
    modes.map((mode) => ({ mode, neighbour })),
  );
}

function nameOf({ mode, neighbour }: Cell): string {
  return neighbour === 'none' ? mode : `${mode}, neighbour ${neighbour}`;
}

function rowsOf(cell: Cell, runs: readonly CellRun[]): BenchRow[] {
  const name = nameOf(cell);
  const all = merge(runs.map(({ buckets }) => buckets));
  // Of all rounds together: one round has too few blocks for the last of a thousand.
  const times = PERCENTILES.map(([title, part]) => ({
    ...makeRow(
      `${name}: commit to reader, ${title}`,
      runs.map(({ buckets }) => quantile(buckets, part)),
      'µs',
    ),
    value: quantile(all, part),
  }));
  const rates = runs.map((run) => run.recordsPerSecond);
  const pinned = runs.map((run) => run.pinnedThreads);
  return [
    ...times,
    makeRow(
      `${name}: blocks timed in a round`,
      runs.map((run) => blocksIn(run.buckets)),
      'blocks',
    ),
    makeRow(`${name}: flat out`, rates, 'records/s'),
    makeRow(`${name}: threads pinned`, pinned, 'threads'),
  ];
}

async function runPinning(
  values: BenchValues,
  progress: (text: string) => void,
): Promise<readonly BenchRow[]> {
  const cells = cellsOf(values);
  const rounds = numberOption(values, 'rounds', 1);
  const load = {
    rate: numberOption(values, 'rate', 1),
    seconds: numberOption(values, 'seconds', 0.1),
    flatSeconds: numberOption(values, 'flat-seconds', 0.1),
    connections: numberOption(values, 'connections', 1),
    file: prepareStream({ records: 200_000, subscribers: 10_000, mix: 'default', seed: 1 }),
  };
  const list = listFor();
  progress(`explicit is ${JSON.stringify(list)}`);
  const runs = cells.map((): CellRun[] => []);
  for (let round = 1; round <= rounds; round++) {
    for (const [index, cell] of cells.entries()) {
      const run = await runCell(cell, list, load);
      runs[index]!.push(run);
      progress(
        `round ${round} of ${rounds}, ${nameOf(cell)}: p50 ${quantile(run.buckets, 0.5)} µs,` +
          ` p99.9 ${quantile(run.buckets, 0.999)} µs of ${blocksIn(run.buckets)} blocks,` +
          ` ${Math.round(run.recordsPerSecond)} records/s; ${run.decision}`,
      );
    }
  }
  return cells.flatMap((cell, index) => rowsOf(cell, runs[index]!));
}

export const pinningBench: Bench = {
  name: 'pinning',
  description: 'commit-to-reader latency and throughput with cpu.pin off, auto, explicit',
  options: [
    { name: 'modes', argument: 'LIST', default: MODES.join(','), help: 'of cpu.pin' },
    {
      name: 'neighbours',
      argument: 'LIST',
      default: NEIGHBOURS.join(','),
      help: 'none; one that may run anywhere; one on the CPU of the journal',
    },
    { name: 'rounds', argument: 'N', default: '3', help: 'rounds; the median counts' },
    { name: 'rate', argument: 'R', default: '100000', help: 'records/s of the latency part' },
    { name: 'seconds', argument: 'N', default: '2.5', help: 'latency part, 0.7 s of it warm-up' },
    { name: 'flat-seconds', argument: 'N', default: '1.5', help: 'throughput part' },
    { name: 'connections', argument: 'N', default: '16', help: 'connections of the sender' },
  ],
  note() {
    const { length } = usableCpus();
    const lines = [`Explicit is \`${JSON.stringify(listFor())}\`.`];
    if (length < 3) {
      lines.push(
        `With ${length} CPUs \`auto\` never pins (the collector and the journal want a core each,` +
          ' and one must remain): its rows repeat `off`. The sender, not pinned,' +
          ' runs on the same CPUs.',
      );
    }
    lines.push('Virtual CPUs without SMT and NUMA say nothing about siblings and far memory.');
    return lines.join(' ');
  },
  run: runPinning,
};

/**
 * `ring`: the rings against C++ yardsticks, MessagePort and ringbuf.js.
 *
 * METHOD   Threads pinned, one a CPU where there are enough. Sections of some 20 ms are timed
 *          inside of the threads, the items summed and checked. C++ and JavaScript take turns,
 *          group by group, round by round, in changing order. A quotient is made of two sections of
 *          one group and round; the median of the rounds counts, the spread is p10 .. p90. While it
 *          is timed a section runs under SCHED_FIFO where that is permitted (and not where threads
 *          share a CPU); one with an involuntary context switch is discarded.
 * CASES    bench/peers/ring.cpp and bench/ring/*-cases.ts do the same, item for item: 8-byte
 *          floats, the sender makes them, the receiver adds them up. Pages: the sender writes all
 *          512 items of a page, the receiver adds all up; indexes go there and back.
 * BEWARE   It cannot show: what a hypervisor takes away (steal is no context switch); how CPUs far
 *          apart (sockets, cache groups) behave; latency under load; arm64, where acquire and
 *          release cost less than here and sequential consistency more. p10 .. p90 of one machine
 *          is *          often three times wide: compare quotients, not throughputs of two days.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { schedGetAffinity } from '../src/toolkit/sys/index.ts';
import { type Bench, type BenchValues, numberOption } from './bench.ts';
import { type BenchRow, makeRow } from './lib/result.ts';
import { type MeasureOptions, Meter } from './ring/measure.ts';
import { RingPeer } from './ring/peer.ts';
import { firstItems, GROUPS, type Group, type RatioRow } from './ring/plan.ts';
import { Subject } from './ring/subjects.ts';

/** Throughput of each subject of a group in one round. */
type Round = ReadonlyMap<string, number | null>;

const QUICK = { rounds: 3, sectionMs: 10, warmMs: 100 };
const FULL = { rounds: 30, sectionMs: 20, warmMs: 300 };

export const ringBench: Bench = {
  name: 'ring',
  description: 'rings between threads against C++, MessagePort and ringbuf.js; needs g++',
  options: [
    { name: 'rounds', argument: 'N', default: '', help: `rounds; ${FULL.rounds} if not given` },
    { name: 'only', argument: 'NAME', default: '', help: GROUPS.map(nameOf).join(', ') },
    { name: 'quick', argument: 'yes|no', default: 'no', help: `${QUICK.rounds} short rounds` },
  ],
  async run(values, progress) {
    const groups = chosenGroups(values.only!);
    if (schedGetAffinity().length < 2) {
      throw new MillraceError('MR_INPUT', 'this process may use one CPU only', 'it needs two');
    }
    const peer = new RingPeer();
    const meters = new Map<string, Meter>();
    try {
      const { rounds, ...lengths } = lengthsOf(values);
      const options = { ...lengths, isFifo: await isFifoPermitted(peer) };
      await makeMeters(groups, peer, options, meters, progress);
      const found = new Map<Group, Round[]>(groups.map((group) => [group, []]));
      for (let round = 1; round <= rounds; round++) {
        if (round % 10 === 1) progress(`round ${round} of ${rounds}`);
        for (const group of groups) found.get(group)!.push(await runRound(group, meters, round));
      }
      return [...ratioRows(found), ...plainRows(found), ...methodRows(meters, options)];
    } finally {
      peer.close();
      for (const meter of meters.values()) await meter.subject.close();
    }
  },
};

function nameOf(group: Group): string {
  return group.name;
}

function chosenGroups(only: string): readonly Group[] {
  if (only === '') return GROUPS;
  const names = only.split(',');
  const unknown = names.find((name) => !GROUPS.some((group) => group.name === name));
  if (unknown === undefined) return GROUPS.filter((group) => names.includes(group.name));
  throw new MillraceError(
    'MR_USAGE',
    `there is no group ${unknown}`,
    `--only takes some of ${GROUPS.map(nameOf).join(',')}`,
  );
}

interface Lengths {
  readonly rounds: number;
  readonly sectionMs: number;
  readonly warmMs: number;
}

function lengthsOf(values: BenchValues): Lengths {
  const lengths = values.quick === 'no' ? FULL : QUICK;
  return values.rounds === '' ? lengths : { ...lengths, rounds: numberOption(values, 'rounds', 1) };
}

/** Tried on a thread of this process that does nothing, and undone. */
async function isFifoPermitted(peer: RingPeer): Promise<boolean> {
  const isPermitted = await peer.setFifo([process.pid], true);
  await peer.setFifo([process.pid], false);
  return isPermitted;
}

async function makeMeters(
  groups: readonly Group[],
  peer: RingPeer,
  options: MeasureOptions,
  meters: Map<string, Meter>,
  progress: (text: string) => void,
): Promise<void> {
  for (const group of groups) {
    progress(`warming up ${group.name}`);
    for (const name of group.subjects) {
      if (meters.has(name)) continue;
      const meter = new Meter(await Subject.start(name, peer), firstItems(name), options);
      meters.set(name, meter);
      await meter.warm();
    }
  }
  // Once more: V8 compiles in threads of its own, which a busy machine keeps waiting, and drops
  // code that met something new.
  progress('warming up all again');
  for (const meter of meters.values()) await meter.warm();
}

/** Measures the subjects of a group, forwards and backwards in turn. */
async function runRound(
  group: Group,
  meters: ReadonlyMap<string, Meter>,
  round: number,
): Promise<Round> {
  const found = new Map<string, number | null>();
  const names = round % 2 === 1 ? group.subjects : group.subjects.toReversed();
  const { isOrdinary = false } = group;
  for (const name of names) found.set(name, await meters.get(name)!.measure(isOrdinary));
  return found;
}

/** As makeRow, with p10 .. p90 as the spread. */
function spreadRow(...parameters: Parameters<typeof makeRow>): BenchRow {
  const row = makeRow(...parameters);
  const sorted = parameters[1].toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!;
  return { ...row, spread: [at(0.1), at(0.9)] };
}

function quotients({ over, under }: RatioRow, rounds: readonly Round[]): number[] {
  return rounds.flatMap((round) => {
    const dividend = round.get(over) ?? null;
    const divisor = round.get(under) ?? null;
    return dividend === null || divisor === null ? [] : [dividend / divisor];
  });
}

function ratioRows(found: ReadonlyMap<Group, readonly Round[]>): BenchRow[] {
  return [...found].flatMap(([group, rounds]) =>
    group.rows.flatMap((row) => {
      const values = quotients(row, rounds);
      const bound = row.atLeast === undefined ? {} : { atLeast: row.atLeast };
      return values.length === 0 ? [] : [spreadRow(row.name, values, 'x', bound)];
    }),
  );
}

/** Throughput, or time, of every subject, over all groups that it stands in. */
function plainRows(found: ReadonlyMap<Group, readonly Round[]>): BenchRow[] {
  const values = new Map<string, number[]>();
  for (const round of [...found.values()].flat()) {
    for (const [name, value] of round) {
      if (value === null) continue;
      const list = values.get(name) ?? [];
      list.push(value);
      values.set(name, list);
    }
  }
  return [...values].map(([name, list]) => {
    if (!name.includes('round-trip')) return spreadRow(name, list, 'M items/s');
    const times = list.map((perUs) => 1 / perUs);
    return spreadRow(name, times, 'us');
  });
}

function methodRows(meters: ReadonlyMap<string, Meter>, options: MeasureOptions): BenchRow[] {
  const all = [...meters.values()];
  const total = (key: 'sections' | 'discarded'): number =>
    all.reduce((sum, meter) => sum + meter[key], 0);
  return [
    makeRow('sections measured', [total('sections')], ''),
    makeRow('sections discarded for a context switch', [total('discarded')], ''),
    makeRow('SCHED_FIFO while timed (1: yes)', [options.isFifo ? 1 : 0], ''),
  ];
}

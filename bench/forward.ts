/**
 * The forward bench: CPU per GB of forwarding and latency, beside a C relay.
 *
 * HOW         One C sender feeds the server and the relay (bench/peers/relay.c) in turn, round by
 *             round; both send to one C sink. A value is a quotient of one round, the row the
 *             median of the rounds.
 * PACE        Twice: at a rate that neither saturates, where a turn of the forwarder moves a block
 *             or two and its wake-up costs as much as they do, and flat out, where it moves many.
 * FORWARDING  On the server's side the whole threads `forward` and `catchup`: finding blocks,
 *             sending, position files, reports. On the relay's side its write(2) alone (with a
 *             filter: also parsing, filtering, gathering), without its reads.
 * LOOPBACK    Who calls send pays for the receiver's TCP too: the packet is delivered in a softirq
 *             on the way back from the call. Acknowledgements are paid for by who reads, and what
 *             they set free to be sent is sent at his expense. So it is on both sides alike.
 * SOCKETS     Defaults, TCP_NODELAY, reno; for that the bench runs in a network namespace of its
 *             own where it may (namespace.ts).
 * CANNOT SHOW A network card and its offloads (segmentation and checksums are free on loopback);
 *             V8's helper threads (compiler, garbage collector), which work for all workers; what
 *             a slow disk does to ranges that are not in the page cache; jitter of CPUs that other
 *             guests of the host share.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { type Bench, type BenchValues, numberOption } from './bench.ts';
import { ALTERNATING_FILTER, prepareAlternating } from './forward/alternating.ts';
import { measureCrossover } from './forward/crossover.ts';
import { FLAT_OUT, Flow, type FlowCase, type FlowSide, msPerGb } from './forward/flow.ts';
import { measureLatency } from './forward/latency.ts';
import {
  congestionControl,
  endWithParent,
  needsNamespace,
  runInNamespace,
} from './forward/namespace.ts';
import { type BenchRow, type Bound, makeRow, median } from './lib/result.ts';
import { prepareStream, type StreamFile } from './lib/stream-file.ts';

/** Latency first: the flows leave gigabytes behind that the disk is busy with for a while. */
const PARTS = ['latency', 'one', 'eight', 'filter', 'crossover'] as const;
/** The crossover is a constant of the program: measured when that is in question. */
const DEFAULT_PARTS = PARTS.filter((part) => part !== 'crossover');
type Part = (typeof PARTS)[number];

const STREAM_RECORDS = 200_000;
const LATENCY_RATE = 20_000;
/** Twice the sum of the defaults collect.lingerMs and forward lingerMs. */
const LATENCY_MS_MAX = 50;
const KIB = 1024;

interface Settings {
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly rate: number;
  readonly latencySeconds: number;
}

interface FlowPart {
  readonly title: string;
  readonly destinations: number;
  readonly filter: string;
  readonly bound: Bound;
}

const FLOWS: Readonly<Record<Exclude<Part, 'latency' | 'crossover'>, FlowPart>> = {
  one: { title: '1 -> 1', destinations: 1, filter: '', bound: { atMost: 0.9 } },
  eight: { title: '1 -> 8', destinations: 8, filter: '', bound: { atMost: 0.5 } },
  filter: {
    title: '1 -> 4, every second record',
    destinations: 4,
    filter: ALTERNATING_FILTER,
    bound: { atMost: 1.5 },
  },
};

interface Round {
  readonly relay: FlowSide;
  readonly server: FlowSide;
}

/** The rows of one flow; a ratio is one of CPU per byte, as both sides send for the same time. */
export function flowRows(
  { title: flow, filter, bound }: FlowPart,
  pace: string,
  rounds: readonly Round[],
): BenchRow[] {
  const per = (side: keyof Round, what: 'cpuUs' | 'writeUs' | 'allUs'): number[] =>
    rounds.map((round) => msPerGb(round[side][what], round[side].bytesOut));
  const title = `${flow}, ${pace}`;
  const ours = per('server', 'cpuUs');
  const over = (theirs: readonly number[]): number[] => ours.map((ms, i) => ms / theirs[i]!);
  const base = per('relay', 'cpuUs');
  const what = filter === '' ? 'write()s alone' : 'parsing, filtering, write()s';
  const rows = [
    makeRow(`${title}: relay, ${what}`, base, 'ms/GB'),
    makeRow(`${title}: forwarding`, ours, 'ms/GB'),
    makeRow(`${title}: forwarding / relay, ${what}`, over(base), 'x', bound),
  ];
  if (filter !== '') {
    const all = over(per('relay', 'allUs'));
    rows.push(makeRow(`${title}: forwarding / relay, with its reads`, all, 'x'));
  }
  return rows;
}

/** Median of the blocks; the first and the last of a round are cut short by its ends. */
export function blockRows({ title }: FlowPart, blockBytes: readonly number[]): BenchRow[] {
  if (blockBytes.length === 0) return [];
  const inKib = blockBytes.map((bytes) => bytes / KIB);
  return [makeRow(`${title}: payload of a block`, [median(inKib)], 'KiB')];
}

function paceOf(rate: number): string {
  return rate === FLAT_OUT ? 'flat out' : `${rate} records/s`;
}

async function runFlow(
  part: FlowPart,
  file: StreamFile,
  settings: Settings,
  progress: (text: string) => void,
): Promise<BenchRow[]> {
  const { destinations, filter } = part;
  const { seconds, warmUpSeconds, rounds } = settings;
  const flowCase: FlowCase = { destinations, filter, file, seconds, warmUpSeconds };
  const flow = await Flow.start(flowCase);
  const paces = [settings.rate, FLAT_OUT].map((rate) => ({ rate, found: [] as Round[] }));
  try {
    progress(`${part.title}: warming up server ${flow.pid}`);
    await flow.warmUp();
    for (let round = 1; round <= rounds; round++) {
      for (const { rate, found } of paces) {
        const both = await flow.round(rate);
        found.push(both);
        const [ours, theirs] = [both.server, both.relay].map((side) =>
          msPerGb(side.cpuUs, side.bytesOut),
        );
        const text = `${ours!.toFixed(1)} / ${theirs!.toFixed(1)} ms/GB`;
        progress(`${part.title}, ${paceOf(rate)}, round ${round} of ${rounds}: ${text}`);
      }
    }
  } catch (error) {
    await flow.abandon();
    throw error;
  }
  const blockBytes = flow.blockBytes();
  await flow.stop();
  const rows = paces.flatMap(({ rate, found }) => flowRows(part, paceOf(rate), found));
  return [...rows, ...blockRows(part, blockBytes)];
}

async function runLatency(
  settings: Settings,
  progress: (text: string) => void,
): Promise<BenchRow[]> {
  const file = prepareStream({
    records: STREAM_RECORDS,
    subscribers: 10_000,
    mix: 'default',
    seed: 1,
  });
  const { rounds, latencySeconds } = settings;
  const options = { file, rate: LATENCY_RATE, seconds: latencySeconds, rounds };
  const found = await measureLatency(options, progress);
  const ms = (key: 'p50Us' | 'p99Us' | 'mostUs'): number[] => found.map((one) => one[key] / 1000);
  const title = `exporter -> destination, ${LATENCY_RATE} records/s`;
  return [
    makeRow(`${title}: p50`, ms('p50Us'), 'ms'),
    makeRow(`${title}: p99`, ms('p99Us'), 'ms', { atMost: LATENCY_MS_MAX }),
    makeRow(`${title}: greatest`, ms('mostUs'), 'ms'),
  ];
}

function partsOf(values: BenchValues): readonly Part[] {
  return values.parts!.split(',').map((name) => {
    const part = PARTS.find((one) => one === name);
    if (part !== undefined) return part;
    throw new MillraceError('MR_USAGE', `--parts: ${name}`, `some of ${PARTS.join(', ')}`);
  });
}

async function runForward(
  values: BenchValues,
  progress: (text: string) => void,
): Promise<readonly BenchRow[]> {
  const parts = partsOf(values);
  const settings: Settings = {
    rounds: numberOption(values, 'rounds', 1),
    seconds: numberOption(values, 'seconds', 0.1),
    warmUpSeconds: numberOption(values, 'warm-up-seconds', 0.1),
    rate: numberOption(values, 'rate', 1),
    latencySeconds: numberOption(values, 'latency-seconds', 0.1),
  };
  if (needsNamespace()) {
    const options = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
    const rows = await runInNamespace(['forward', ...options]);
    if (typeof rows !== 'string') return rows;
    progress(`${rows}: the sockets have ${congestionControl()}`);
  }
  endWithParent();
  const rows: BenchRow[] = [];
  for (const part of parts) {
    if (part === 'latency') {
      rows.push(...(await runLatency(settings, progress)));
      continue;
    }
    if (part === 'crossover') {
      const congestion = congestionControl();
      rows.push(...(await measureCrossover({ rounds: settings.rounds, congestion })));
      continue;
    }
    const file =
      part === 'filter'
        ? prepareAlternating(STREAM_RECORDS)
        : prepareStream({ records: STREAM_RECORDS, subscribers: 10_000, mix: 'tur', seed: 1 });
    rows.push(...(await runFlow(FLOWS[part], file, settings, progress)));
  }
  return rows;
}

export const forwardBench: Bench = {
  name: 'forward',
  description: 'CPU per GB of forwarding and its latency, beside a relay in C',
  options: [
    {
      name: 'parts',
      argument: 'LIST',
      default: DEFAULT_PARTS.join(','),
      help: `of ${PARTS.join(', ')}`,
    },
    { name: 'rounds', argument: 'N', default: '5', help: 'rounds; the median counts' },
    { name: 'seconds', argument: 'N', default: '3', help: 'length of a round, of each side' },
    { name: 'warm-up-seconds', argument: 'N', default: '4', help: 'before the rounds' },
    { name: 'rate', argument: 'R', default: '200000', help: 'records/s of the flows at a pace' },
    { name: 'latency-seconds', argument: 'N', default: '5', help: 'length of a round of latency' },
  ],
  note() {
    return [
      'Forwarding is all that the threads forward and catchup do; of the relay only its write()s',
      'count (with a filter: also parsing, filtering and gathering), not its reads. On loopback',
      "who sends pays for the receiver's TCP, on both sides alike. Sockets have reno where the",
      'bench may make a network namespace (root), else what the machine has.',
    ].join(' ');
  },
  run: runForward,
};

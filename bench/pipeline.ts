/**
 * The pipeline bench: CPU per record of the whole server, stage by stage, beside a C yardstick.
 *
 * HOW         A stream made once by the simulator is sent by a C process (bench/peers/sender.c) to
 *             the server and to the yardstick in turn, several rounds, so that both meet the same
 *             moments of the machine. One server process a stage, warmed up before the rounds.
 * PACE        The sender keeps a rate, by default below what the stage can take: flat out, loopback
 *             charges the protocol's work to the sender or to the receiver by chance, and the same
 *             yardstick varies by a factor of two. --rate 0 is flat out.
 * CHECKED     After every round the server's own counts must equal what was sent: nothing lost.
 * ROWS        yardsticks; per stage: total CPU µs per record, its ratio to the yardstick, the
 *             share of each thread, peak RSS; for `all` also the rate that it sustained.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import { type Bench, type BenchValues, numberOption } from './bench.ts';
import { runYardstick } from './lib/peers.ts';
import { type BenchRow, type Bound, makeRow, median } from './lib/result.ts';
import type { Stages } from './lib/server.ts';
import { type StageRun, StageSession } from './lib/stage-session.ts';
import { prepareStream, type StreamFile } from './lib/stream-file.ts';

/** The length of record that the yardstick's own bounds speak of. */
const YARDSTICK_RECORD_BYTES = 248;
const YARDSTICK_BOUNDS = { frame: 0.12, walk: 0.3 } as const;
const WIDE_CONNECTIONS = 50;
const WIDE_SUBSCRIBERS = 1_000_000;
/** Threads below this share are one row. */
const THREAD_SHARE_MIN = 0.01;
const STAGE_NAMES = ['frame', 'journal', 'decode', 'all', 'wide'] as const;
/** --stages with this word: the yardsticks alone. */
const NO_STAGES = 'yardstick';

type StageName = (typeof STAGE_NAMES)[number];

/** The bounds: times the yardstick's frame or walk, µs, or times the stage `all`. */
const RATIO_BOUNDS = {
  frame: { of: 'frame', atMost: 1.5 },
  journal: { of: 'frame', atMost: 4.5 },
  decode: { of: 'walk', atMost: 2.4 },
} as const;
const ALL_US_MAX = 5;
const ALL_RATE_MIN = 200_000;
const ALL_RSS_MB_MAX = 700;
const WIDE_RATIO_MAX = 1.3;

interface Settings {
  readonly stages: readonly StageName[];
  readonly connections: number;
  readonly subscribers: number;
  readonly seconds: number;
  readonly rounds: number;
  readonly fileRecords: number;
  readonly mix: string;
  readonly receiveBufferBytes: number;
  /** Records per second; null = by stage. */
  readonly rate: number | null;
  readonly allSeconds: number;
}

function settingsOf(values: BenchValues): Settings {
  const names = values.stages === NO_STAGES ? [] : values.stages!.split(',');
  const stages = names.map((name) => {
    const stage = STAGE_NAMES.find((one) => one === name);
    if (stage !== undefined) return stage;
    throw new MillraceError('MR_USAGE', `--stages: ${name}`, `one of ${STAGE_NAMES.join(', ')}`);
  });
  return {
    stages,
    connections: numberOption(values, 'connections', 1),
    subscribers: numberOption(values, 'subscribers', 1),
    seconds: numberOption(values, 'seconds', 0.1),
    rounds: numberOption(values, 'rounds', 1),
    fileRecords: numberOption(values, 'file-records', 1000),
    mix: values.mix!,
    receiveBufferBytes: numberOption(values, 'receive-buffer', 0),
    rate: values.rate === 'auto' ? null : numberOption(values, 'rate', 0),
    allSeconds: numberOption(values, 'all-seconds', 0.1),
  };
}

/** Below what the stage can take on two CPUs, above what is asked of it. */
function rateOf(settings: Settings, stage: StageName): number {
  if (settings.rate !== null) return settings.rate;
  return stage === 'all' || stage === 'wide' ? 250_000 : 400_000;
}

type YardstickUs = Record<'frame' | 'walk', number[]>;

async function measureYardstick(
  settings: Settings,
  stream: StreamFile,
  found: YardstickUs,
): Promise<void> {
  for (const mode of ['frame', 'walk'] as const) {
    const totals = await runYardstick({
      mode,
      file: stream.path,
      connections: settings.connections,
      seconds: settings.seconds,
      rate: settings.rate ?? 400_000,
      receiveBufferBytes: settings.receiveBufferBytes,
    });
    found[mode].push(totals.cpuUsPerRecord);
  }
}

function yardstickRows(found: YardstickUs, stream: StreamFile): BenchRow[] {
  return (['frame', 'walk'] as const).flatMap((mode) => {
    const scale = YARDSTICK_RECORD_BYTES / stream.bytesPerRecord;
    const scaled = found[mode].map((us) => us * scale);
    const name = `yardstick, receive + ${mode}`;
    return [
      makeRow(name, found[mode], 'µs/record'),
      makeRow(`${name}, per 248 bytes`, scaled, 'µs', { atMost: YARDSTICK_BOUNDS[mode] }),
    ];
  });
}

function threadRows(name: string, runs: readonly StageRun[]): BenchRow[] {
  const names = new Set(runs.flatMap((run) => [...run.threadUsPerRecord.keys()]));
  const total = median(runs.map((run) => run.cpuUsPerRecord));
  const rows: BenchRow[] = [];
  for (const thread of names) {
    const found = runs.map((run) => run.threadUsPerRecord.get(thread) ?? 0);
    if (median(found) < total * THREAD_SHARE_MIN) continue;
    rows.push(makeRow(`${name}: thread ${thread}`, found, 'µs/record'));
  }
  return rows.toSorted((a, b) => b.value - a.value);
}

function stageRows(
  name: StageName,
  runs: readonly StageRun[],
  yardstick: YardstickUs,
  session: StageSession,
): BenchRow[] {
  const us = runs.map((run) => run.cpuUsPerRecord);
  const isStore = name === 'all' || name === 'wide';
  const bound: Bound = name === 'all' ? { atMost: ALL_US_MAX } : {};
  const rows = [makeRow(`${name}, total CPU`, us, 'µs/record', bound)];
  if (!isStore) {
    const { of, atMost } = RATIO_BOUNDS[name];
    const base = median(yardstick[of]);
    const ratios = us.map((one) => one / base);
    rows.push(makeRow(`${name} / yardstick ${of}`, ratios, 'times', { atMost }));
  }
  rows.push(...threadRows(name, runs));
  const rates = runs.map((run) => run.recordsPerSecond);
  rows.push(
    makeRow(`${name}, rate`, rates, 'records/s', name === 'all' ? { atLeast: ALL_RATE_MIN } : {}),
  );
  if (isStore) {
    rows.push(
      makeRow(
        `${name}, caught up after`,
        runs.map((run) => run.catchUpSeconds),
        's',
      ),
    );
  }
  const rssMb = [session.peakRssBytes() / 1e6];
  rows.push(makeRow(`${name}, peak RSS`, rssMb, 'MB', isStore ? { atMost: ALL_RSS_MB_MAX } : {}));
  return rows;
}

interface Case {
  readonly name: StageName;
  readonly stages: Stages;
  readonly stream: StreamFile;
  readonly connections: number;
}

function caseOf(settings: Settings, name: StageName, stream: StreamFile): Case {
  if (name !== 'wide') return { name, stages: name, stream, connections: settings.connections };
  const wide = prepareStream({
    records: Math.max(settings.fileRecords, WIDE_SUBSCRIBERS),
    subscribers: WIDE_SUBSCRIBERS,
    mix: settings.mix,
    seed: 1,
  });
  return { name, stages: 'all', stream: wide, connections: WIDE_CONNECTIONS };
}

async function runPipeline(
  values: BenchValues,
  progress: (text: string) => void,
): Promise<readonly BenchRow[]> {
  const settings = settingsOf(values);
  progress(`preparing a stream of ${settings.fileRecords} records`);
  const stream = prepareStream({
    records: settings.fileRecords,
    subscribers: settings.subscribers,
    mix: settings.mix,
    seed: 1,
  });
  const yardstick: YardstickUs = { frame: [], walk: [] };
  const rows: BenchRow[] = [];
  let allUs: number | null = null;
  for (let round = 1; settings.stages.length === 0 && round <= settings.rounds; round++) {
    await measureYardstick(settings, stream, yardstick);
  }
  for (const name of settings.stages) {
    const { stages, stream: file, connections } = caseOf(settings, name, stream);
    const isLong = name === 'all' || name === 'wide';
    const session = await StageSession.start(stages, {
      file,
      connections,
      rate: rateOf(settings, name),
      seconds: isLong ? settings.allSeconds : settings.seconds,
    });
    const runs: StageRun[] = [];
    try {
      await session.warmUp();
      for (let round = 1; round <= settings.rounds; round++) {
        await measureYardstick(settings, stream, yardstick);
        const run = await session.run();
        runs.push(run);
        const us = run.cpuUsPerRecord.toFixed(3);
        progress(`${name}, round ${round} of ${settings.rounds}: ${us} µs/record`);
      }
      rows.push(...stageRows(name, runs, yardstick, session));
    } finally {
      await session.stop();
    }
    const total = median(runs.map((run) => run.cpuUsPerRecord));
    if (name === 'all') allUs = total;
    if (name === 'wide' && allUs !== null) {
      const ratios = runs.map((run) => run.cpuUsPerRecord / allUs!);
      rows.push(makeRow('wide / all', ratios, 'times', { atMost: WIDE_RATIO_MAX }));
    }
  }
  const size = makeRow('bytes per record', [stream.bytesPerRecord], 'bytes');
  return [size, ...yardstickRows(yardstick, stream), ...rows];
}

export const pipelineBench: Bench = {
  name: 'pipeline',
  description: 'CPU per record of the server, stage by stage, beside a C yardstick',
  options: [
    {
      name: 'stages',
      argument: 'LIST',
      default: STAGE_NAMES.join(','),
      help: 'how far records go; wide: 50 connections, 1 M subscribers; or yardstick',
    },
    { name: 'connections', argument: 'N', default: '1', help: 'connections of the sender' },
    { name: 'subscribers', argument: 'N', default: '10000', help: 'subscribers in the stream' },
    { name: 'seconds', argument: 'N', default: '4', help: 'length of a round' },
    { name: 'all-seconds', argument: 'N', default: '60', help: 'length of a round of all, wide' },
    { name: 'rounds', argument: 'N', default: '3', help: 'rounds; the median counts' },
    { name: 'rate', argument: 'R', default: 'auto', help: 'records/s; 0 = flat out' },
    { name: 'mix', argument: 'NAME', default: 'default', help: 'mix of the simulator' },
    { name: 'file-records', argument: 'N', default: '1000000', help: 'records in the stream file' },
    { name: 'receive-buffer', argument: 'BYTES', default: '0', help: 'SO_RCVBUF; 0 = the kernel' },
  ],
  run: runPipeline,
};

/**
 * One cell of the pinning bench: a server, perhaps a neighbour, a paced run and a flat-out one.
 */
import { spawn } from 'node:child_process';
import type { ConfigInput } from '../../src/server/config.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { topology } from '../../src/toolkit/cpu/index.ts';
import { schedSetAffinity } from '../../src/toolkit/sys/index.ts';
import { findLosses, isFinished } from './ledger-check.ts';
import { runSender } from './peers.ts';
import { type Server, sleep, startServer } from './server.ts';
import type { StreamFile } from './stream-file.ts';

export const MODES = ['off', 'auto', 'explicit'] as const;
export const NEIGHBOURS = ['none', 'free', 'pinned'] as const;

export interface Cell {
  readonly mode: (typeof MODES)[number];
  readonly neighbour: (typeof NEIGHBOURS)[number];
}

export interface CellLoad {
  readonly rate: number;
  readonly seconds: number;
  readonly flatSeconds: number;
  readonly connections: number;
  readonly file: StreamFile;
}

export interface CellRun {
  /** Least time of each bucket, µs, and the blocks in it, in order. */
  readonly buckets: Buckets;
  readonly recordsPerSecond: number;
  readonly pinnedThreads: number;
  /** What cpu.pin came to, in words. */
  readonly decision: string;
}

export type Buckets = readonly (readonly [us: number, blocks: number])[];

export type PinList = Readonly<Record<string, string>>;

interface Sent {
  readonly records: number;
  readonly bytes: number;
}

/** One sender gives some 500 times a second: too few blocks to see the last of a thousand. */
const SENDERS = 4;
const POLL_MS = 50;
const STANDSTILL_MS = 30_000;

export function usableCpus(): readonly number[] {
  return topology().usable;
}

/** A list for this machine: collector, journal and reader apart as far as there are CPUs. */
export function listFor(cpus: readonly number[] = usableCpus()): PinList {
  const at = (back: number): string => `${cpus[Math.max(0, cpus.length - 1 - back)]!}`;
  const own = Math.min(3, Math.max(1, cpus.length - 1));
  const rest = cpus.slice(0, Math.max(1, cpus.length - own)).join(',');
  const others = { keeper: rest, main: rest, helpers: rest };
  return {
    collect: at(0),
    journal: own > 1 ? at(1) : rest,
    store: own > 2 ? at(2) : rest,
    ...others,
  };
}

/** A program of its own that wants all of one CPU; null: any. Ends it when called. */
function startNeighbour(cpuIndex: number | null): () => void {
  const child = spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' });
  const end = (): void => {
    child.kill('SIGKILL');
  };
  process.once('exit', end);
  if (cpuIndex !== null && schedSetAffinity(child.pid!, [cpuIndex]) < 0) {
    end();
    throw new MillraceError('MR_CPU', `the neighbour cannot be pinned to CPU ${cpuIndex}`);
  }
  return () => {
    process.off('exit', end);
    end();
  };
}

export async function runCell(cell: Cell, list: PinList, load: CellLoad): Promise<CellRun> {
  const cpu = cell.neighbour === 'pinned' ? Number.parseInt(list.journal!, 10) : null;
  const endNeighbour = cell.neighbour === 'none' ? () => {} : startNeighbour(cpu);
  try {
    const keys: ConfigInput = {
      cpu: { pin: cell.mode === 'explicit' ? { ...list } : cell.mode },
      // Many blocks, and no more in memory than a moment's worth.
      collect: { lingerMs: 1 },
      pages: { arenaBytes: 32 * 1024 * 1024 },
    };
    const server = await startServer('latency', [], undefined, keys);
    try {
      return await measure(server, load);
    } finally {
      await server.stop();
    }
  } finally {
    endNeighbour();
  }
}

async function measure(server: Server, load: CellLoad): Promise<CellRun> {
  const { rate, seconds, flatSeconds, connections, file } = load;
  const decided = await until(server, (status) => status.pinning.state !== 'watching');
  const { port } = server;
  const send = { file: file.path, port, connections };
  const part = { file: file.path, port, connections: Math.ceil(connections / SENDERS) };
  const senders = Array.from({ length: SENDERS }, () =>
    runSender({ ...part, rate: rate / SENDERS, seconds }),
  );
  const sent = sum(await Promise.all(senders));
  const paced = await finish(server, sent);
  const flat = await runSender({ ...send, rate: 0, seconds: flatSeconds });
  await finish(server, sum([sent, flat]));
  const buckets = bucketsOf(paced);
  const { mode, state, reasons, threads } = decided.pinning;
  return {
    buckets,
    recordsPerSecond: flat.records / flat.settledSeconds,
    pinnedThreads: threads.filter(({ name, cpus }) => name !== 'helpers' && cpus !== '').length,
    decision: mode === 'auto' ? `${state}: ${reasons[0] ?? ''}` : state,
  };
}

function sum(all: readonly Sent[]): Sent {
  return {
    records: all.reduce((total, { records }) => total + records, 0),
    bytes: all.reduce((total, { bytes }) => total + bytes, 0),
  };
}

function bucketsOf({ tables }: Snapshot): Buckets {
  return Object.entries(tables)
    .map(([name, blocks]) => [Number(name.slice('us-'.length)), blocks] as const)
    .toSorted(([a], [b]) => a - b);
}

export function blocksIn(buckets: Buckets): number {
  return buckets.reduce((sum, [, count]) => sum + count, 0);
}

export function merge(all: readonly Buckets[]): Buckets {
  const sums = new Map<number, number>();
  for (const [us, count] of all.flat()) sums.set(us, (sums.get(us) ?? 0) + count);
  return [...sums].toSorted(([a], [b]) => a - b);
}

/** The time that this part of the blocks stayed below, µs; 1: the longest. */
export function quantile(buckets: Buckets, part: number): number {
  const blocks = blocksIn(buckets);
  let seen = 0;
  for (const [us, count] of buckets) {
    seen += count;
    if (seen >= part * blocks) return us;
  }
  return Number.NaN;
}

async function until(server: Server, condition: (status: Snapshot) => boolean): Promise<Snapshot> {
  const limit = performance.now() + STANDSTILL_MS;
  for (;;) {
    const status = await server.status();
    if (condition(status)) return status;
    if (performance.now() > limit) throw new MillraceError('MR_INPUT', 'the server stands still');
    await sleep(POLL_MS);
  }
}

async function finish(server: Server, expected: Sent): Promise<Snapshot> {
  const snapshot = await until(server, (status) => isFinished(status, 'latency', expected));
  const losses = findLosses(snapshot, 'latency', expected);
  if (losses.length > 0) throw new MillraceError('MR_INPUT', losses.join('; '));
  return snapshot;
}

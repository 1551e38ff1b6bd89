/**
 * The C programs of bench/peers: built on demand into build/peers, run as processes of their own.
 *
 * The yardstick receives and frames (or walks) a stream; the sender feeds the yardstick and the
 * server alike, so that both are measured under the same input.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { MillraceError } from '../../src/toolkit/base/errors.ts';

/** `npm run bench` runs in the package's folder; so does `node dist/bench/main.js`. */
export const ROOT: string = process.cwd();
/** What the programs include of ours. */
const HEADERS = ['rdr.h'];
const FLAGS = ['-O2', '-Wall', '-Wextra', '-Werror', '-pthread'];

interface Language {
  readonly extension: string;
  readonly compiler: string;
  readonly standard: string;
}

const C: Language = {
  extension: 'c',
  compiler: process.env.CC ?? 'cc',
  standard: '-std=gnu11',
};
const CXX: Language = {
  extension: 'cpp',
  compiler: process.env.CXX ?? 'g++',
  standard: '-std=c++17',
};

export type PeerName =
  | 'yardstick'
  | 'sender'
  | 'ring'
  | 'guard'
  | 'corrupt'
  | 'relay'
  | 'sink'
  | 'pulse';

/** Path of the built program; compiles it when its source or the flags have changed. */
export function buildPeer(name: PeerName): string {
  const { extension, compiler, standard } = name === 'ring' ? CXX : C;
  const flags = [...FLAGS, standard];
  const source = join(ROOT, 'bench/peers', `${name}.${extension}`);
  const target = join(ROOT, 'build/peers', name);
  const hash = createHash('sha256').update(flags.join(' ')).update(readFileSync(source));
  for (const header of HEADERS) hash.update(readFileSync(join(ROOT, 'bench/peers', header)));
  const stamp = hash.digest('hex');
  const stampPath = `${target}.hash`;
  if (existsSync(target) && existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp) {
    return target;
  }
  mkdirSync(join(ROOT, 'build/peers'), { recursive: true });
  const partial = `${target}.${process.pid}`;
  try {
    execFileSync(compiler, [...flags, source, '-o', partial], { stdio: 'inherit' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new MillraceError(
      'MR_INPUT',
      `there is no compiler ${compiler}, which builds bench/peers/${name}.${extension}`,
      'install it (Debian: apt-get install g++), or name another by CC or CXX',
      { cause: error },
    );
  }
  renameSync(partial, target);
  writeFileSync(stampPath, stamp);
  return target;
}

export interface YardstickTotals {
  readonly mode: 'frame' | 'walk';
  readonly records: number;
  readonly bytes: number;
  readonly reads: number;
  readonly cpuUs: number;
  readonly seconds: number;
  readonly cpuUsPerRecord: number;
}

export interface SenderTotals {
  readonly records: number;
  readonly bytes: number;
  /** Until the last byte was handed to the kernel. */
  readonly seconds: number;
  /** Until the receiver had closed every connection. */
  readonly settledSeconds: number;
  readonly cpuUs: number;
  readonly recordsInFile: number;
  readonly settled: boolean;
}

export interface SenderOptions {
  readonly file: string;
  readonly port: number;
  readonly connections: number;
  /** One of both: how much, or how long. */
  readonly records?: number;
  readonly seconds?: number;
  /** Records per second over all connections; 0 = as fast as TCP takes them. */
  readonly rate: number;
  readonly sources?: number;
}

const children = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** Starts a program that ends with this process at the latest. */
export function startChild(
  program: string,
  parameters: readonly string[],
  input: 'ignore' | 'pipe' = 'ignore',
): ChildProcess {
  const child = spawn(program, parameters, { stdio: [input, 'pipe', 'pipe'] });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** Runs a program to its end: the lines of its standard output. */
async function* linesOf(program: string, parameters: readonly string[]): AsyncGenerator<string> {
  const child = startChild(program, parameters);
  let complaint = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    complaint += chunk.toString();
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  for await (const line of createInterface({ input: child.stdout! })) yield line;
  const code = await ended;
  if (code !== 0) {
    throw new MillraceError('MR_INPUT', `${program} ended with ${code}: ${complaint.trim()}`);
  }
}

export async function runSender(options: SenderOptions): Promise<SenderTotals> {
  const { file, port, connections, records, seconds, rate, sources = 1 } = options;
  const parameters = [file, '127.0.0.1', String(port), '--connections', String(connections)];
  if (records !== undefined) parameters.push('--records', String(records));
  if (seconds !== undefined) parameters.push('--seconds', String(seconds));
  if (rate > 0) parameters.push('--rate', String(rate));
  if (sources > 1) parameters.push('--sources', String(sources));
  let last = '';
  for await (const line of linesOf(buildPeer('sender'), parameters)) last = line;
  return JSON.parse(last) as SenderTotals;
}

export interface YardstickOptions extends Omit<SenderOptions, 'port'> {
  readonly mode: 'frame' | 'walk';
  readonly receiveBufferBytes: number;
}

/** One run of the yardstick, fed by the sender; checks that it received what was sent. */
export async function runYardstick(options: YardstickOptions): Promise<YardstickTotals> {
  const parameters = [options.mode, '--connections', String(options.connections)];
  parameters.push('--receive-buffer', String(options.receiveBufferBytes));
  const lines = linesOf(buildPeer('yardstick'), parameters);
  const first = await lines.next();
  const { port } = JSON.parse(String(first.value)) as { port: number };
  const sent = runSender({ ...options, port });
  const [second, sender] = await Promise.all([lines.next(), sent]);
  const totals = JSON.parse(String(second.value)) as YardstickTotals;
  await lines.next();
  if (totals.records !== sender.records || totals.bytes !== sender.bytes) {
    throw new MillraceError(
      'MR_INPUT',
      `the yardstick received ${totals.records} records of ${sender.records} sent`,
    );
  }
  return totals;
}

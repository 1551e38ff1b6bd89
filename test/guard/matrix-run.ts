/**
 * Runs rows of the matrix in children and says of each cell what is wrong with it.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { GuardFrame, GuardReport } from '../../src/toolkit/guard/index.ts';
import { CELLS } from './matrix-cells.ts';
import type { Outcome, Tier } from './matrix-child.ts';
import type { Exactness } from './matrix-expected.ts';

export type { Tier } from './matrix-child.ts';

const CHILD = fileURLToPath(new URL('./matrix-child.js', import.meta.url));
const CELLS_FILE = fileURLToPath(new URL('./matrix-cells.js', import.meta.url));
const DOOR = new URL('../../src/toolkit/guard/index.js', import.meta.url).href;
const TIMEOUT_MS = 120_000;
export const MAJOR = Number.parseInt(process.versions.node, 10);

export const THREADS = ['main', 'worker'] as const;
export type Thread = (typeof THREADS)[number];

/** Bits of V8's %GetOptimizationStatus(); from Node 26 on each is one lower. */
const STATUS = {
  optimized: 1 << 4,
  maglevved: 1 << 5,
  turbofanned: 1 << 6,
  interpreted: 1 << 7,
  baseline: 1 << 15,
};

const TIER_STATUS: Readonly<Record<Tier, number>> = {
  interpreted: STATUS.interpreted,
  baseline: STATUS.baseline,
  maglev: STATUS.optimized | STATUS.maglevved,
  optimised: STATUS.optimized | STATUS.turbofanned,
  inlined: STATUS.optimized | STATUS.turbofanned,
};

const TIER_NOTE = {
  interpreted: 'interpreted',
  baseline: 'baseline',
  maglev: 'optimized',
  optimised: 'optimized',
  inlined: 'optimized',
} as const;

function flagsOf(tier: Tier, major: number): string[] {
  const noMaglev = major >= 22 ? ['--no-maglev'] : [];
  const common = ['--allow-natives-syntax', '--no-warnings', ...noMaglev];
  if (tier === 'maglev')
    return ['--allow-natives-syntax', '--no-warnings', '--maglev', '--no-use-osr'];
  if (tier === 'interpreted') return [...common, '--no-opt', '--no-sparkplug'];
  if (tier === 'baseline') return [...common, '--no-opt', '--always-sparkplug'];
  return [...common, '--no-use-osr'];
}

export interface RowOptions {
  readonly tier: Tier;
  readonly thread: Thread;
  /** The binary of Node.js, and its major version. */
  readonly node?: string;
  readonly major?: number;
  readonly flags?: readonly string[];
}

export interface Row {
  readonly outcomes: readonly Outcome[];
  readonly text: string;
}

/** One child; rejects with its stderr where it did not come to its end. */
export async function runRow(options: RowOptions): Promise<Row> {
  const { tier, thread, node = process.execPath, flags = [] } = options;
  const { major = MAJOR } = options;
  const parameters = [...flagsOf(tier, major), ...flags, CHILD, tier, thread, DOOR];
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', node, ...parameters];
  const child = spawn('sh', shell, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const closed = new Promise<string>((resolve) => {
    child.once('close', (code, signal) => resolve(`${code ?? signal}`));
  });
  const [out, text, end] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    closed,
  ]);
  if (end !== '0') throw new Error(`${tier} in ${thread} ended with ${end}: ${text.slice(-4000)}`);
  return { outcomes: JSON.parse(out) as Outcome[], text };
}

async function readText(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

const cellLines = readFileSync(CELLS_FILE, 'utf8').split('\n');

/** From 1. */
function lineWith(text: string): number {
  return cellLines.findIndex((line) => line.includes(text)) + 1;
}

function describe(frame: GuardFrame | undefined): string {
  if (frame === undefined) return 'nobody';
  const place = `${frame.file.split('/').at(-1)}:${frame.line}:${frame.column}`;
  return `${frame.function} (${place}) ${frame.notes.join(' ')}`;
}

/** What is wrong with a cell; empty: nothing. */
export function problemsOf(
  outcome: Outcome,
  { tier, thread, major = MAJOR }: RowOptions,
  exactness: Exactness,
): string[] {
  const { cell, reports, status } = outcome;
  const found: string[] = [];
  const expected = CELLS.find(({ name }) => name === cell)!;
  const wanted = major >= 26 ? TIER_STATUS[tier] >> 1 : TIER_STATUS[tier];
  if ((status & wanted) !== wanted) {
    found.push(`ran in another tier: status ${status.toString(2)}`);
  }
  if (outcome.after !== expected.expected) found.push(`the bytes are ${outcome.after}`);
  if (reports.length === 0) found.push('no report');
  if (outcome.missed > 0) found.push(`${outcome.missed} reports missed`);
  for (const report of reports) {
    const wrong = reportProblems(report, { cell, tier, thread, exactness });
    if (wrong.length > 0) found.push(...wrong.map((text) => `report ${report.seq}: ${text}`));
  }
  return found.map((text) => `${tier} ${cell} in ${thread}: ${text}`);
}

interface Expected {
  readonly cell: string;
  readonly tier: Tier;
  readonly thread: Thread;
  readonly exactness: Exactness;
}

function reportProblems(report: GuardReport, expected: Expected): string[] {
  const { cell, tier, thread, exactness } = expected;
  const found: string[] = [];
  const frame = report.frames[report.culprit ?? -1];
  const check = (isRight: boolean, what: string) => {
    if (!isRight) found.push(`${what}; culprit: ${describe(frame)}`);
  };
  check(report.label === 'matrix' && report.place === 'view', 'label or place');
  check(report.threadName === (thread === 'main' ? 'main' : 'worker 1'), 'name of the thread');
  check((report.tid === report.pid) === (thread === 'main'), 'tid');
  check(frame?.kind === 'js' && frame.file.endsWith('/matrix-cells.js'), 'not a function of ours');
  if (frame === undefined) return found;
  const isInlined = tier === 'inlined';
  if (exactness === 'caller') {
    check(frame.line === lineWith(`=> ${cell}(target, offset)`), 'not the line of the caller');
    check(frame.notes.includes('may-hide-inlined'), 'does not say that it may hide');
    return found;
  }
  const line = exactness === 'line' ? `// culprit: ${cell}` : `function ${cell}(`;
  check(frame.function === cell, 'not the function');
  check(frame.line === lineWith(line), `not line ${lineWith(line)}`);
  check(frame.notes.includes('function-line') === (exactness === 'function'), 'exactness');
  check(frame.notes.includes(TIER_NOTE[tier]), 'tier');
  check(frame.notes.includes('inlined') === isInlined, 'inlined or not');
  const next = report.frames[report.culprit! + 1];
  const caller = isInlined ? lineWith(`=> ${cell}(target, offset)`) : next?.line;
  check(next?.kind === 'js' && next.line === caller, `caller: ${describe(next)}`);
  return found;
}

/**
 * One row of the matrix: all cells in one tier in one thread, in the mode `continue`.
 *
 * USAGE   node [flags of the tier] matrix-child.js TIER main|worker ENTRY
 *         ENTRY is the door of the guard. Prints an Outcome a cell as JSON.
 * TIERS   interpreted and baseline come by flags; optimised and inlined are asked for by V8's own
 *         test functions, since waiting for the optimiser would be luck. The functions learn their
 *         types before the memory is protected.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type * as GuardDoor from '../../src/toolkit/guard/index.ts';
import { CELLS, type Cell, START, type Target } from './matrix-cells.ts';

/** `maglev`: the compiler between baseline and optimising, in Node.js 24 and later. */
export type Tier = 'interpreted' | 'baseline' | 'maglev' | 'optimised' | 'inlined';

export interface Outcome {
  readonly cell: string;
  /** As V8 says itself: bits of %GetOptimizationStatus. */
  readonly status: number;
  readonly after: string;
  readonly missed: number;
  readonly reports: readonly GuardDoor.GuardReport[];
}

interface Row {
  readonly tier: Tier;
  readonly door: string;
}

const MEMORY_BYTES = 65_536;
const CELL_BYTES = 64;
/** Cells write behind the first page: copyWithin reads there. */
const FIRST_OFFSET = 4096;
const WARM_CALLS = 40;
const OPTIMISE_TIMES = 3;

type Hot = (target: Target, offset: number) => void;

function native(body: string): (hot: Hot) => unknown {
  // oxlint-disable-next-line no-implied-eval -- this syntax exists behind a flag only
  return new Function('hot', body) as (hot: Hot) => unknown;
}

function makeTarget(): Target {
  const memory = new SharedArrayBuffer(MEMORY_BYTES, { maxByteLength: MEMORY_BYTES });
  const buffer = Buffer.from(memory);
  buffer.write(START, 'hex');
  return {
    bytes: new Uint8Array(memory),
    doubles: new Float64Array(memory),
    longs: new BigInt64Array(memory),
    words: new Int32Array(memory),
    data: new DataView(memory),
    buffer,
  };
}

/** Brings the cell into its tier; what is to be called then. */
function heat(cell: Cell, tier: Tier, target: Target): Hot {
  const hot = tier === 'inlined' ? cell.caller : cell.write;
  const isCompiled = tier !== 'interpreted' && tier !== 'baseline';
  if (isCompiled) {
    const prepare = native('%PrepareFunctionForOptimization(hot)');
    prepare(cell.write);
    prepare(hot);
  }
  for (let i = 0; i < WARM_CALLS; i++) hot(target, FIRST_OFFSET);
  if (!isCompiled) return hot;
  const compile = tier === 'maglev' ? '%OptimizeMaglevOnNextCall' : '%OptimizeFunctionOnNextCall';
  // What it learns from the first optimised calls may throw the code away once or twice.
  for (let i = 0; i < OPTIMISE_TIMES; i++) {
    native(`${compile}(hot)`)(hot);
    for (let call = 0; call < WARM_CALLS; call++) hot(target, FIRST_OFFSET);
  }
  return hot;
}

async function runRow({ tier, door }: Row): Promise<Outcome[]> {
  const { onReport, protect } = (await import(door)) as typeof GuardDoor;
  const target = makeTarget();
  const status = native('return %GetOptimizationStatus(hot)');
  const guard = protect(target.bytes, { label: 'matrix', mode: 'continue' });
  guard.unprotect();
  const all = CELLS.map((cell) => ({ cell, hot: heat(cell, tier, target) }));
  target.bytes.fill(0, FIRST_OFFSET);
  guard.protect();
  const outcomes = all.map(({ cell, hot }, index) => {
    const found: GuardDoor.GuardReport[] = [];
    let missed = 0;
    const subscription = onReport((report, gone) => {
      found.push(report);
      missed += gone;
    });
    const offset = FIRST_OFFSET + index * CELL_BYTES;
    hot(target, offset);
    subscription.end();
    const after = target.buffer.toString('hex', offset, offset + 8);
    return { cell: cell.name, status: status(hot) as number, after, missed, reports: found };
  });
  guard.end();
  return outcomes;
}

async function main() {
  const [tier, thread, door] = process.argv.slice(2);
  const row = { tier: tier as Tier, door: door! };
  if (thread === 'main') {
    process.stdout.write(JSON.stringify(await runRow(row)));
    return;
  }
  const worker = new Worker(new URL(import.meta.url), { workerData: row, name: 'scribbler' });
  worker.once('message', (outcomes) => process.stdout.write(JSON.stringify(outcomes)));
}

if (isMainThread) await main();
else parentPort!.postMessage(await runRow(workerData as Row));

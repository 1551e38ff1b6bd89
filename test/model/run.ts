/**
 * Runs Promela models: spin makes a verifier in C, cc compiles it, it sees every state.
 *
 * Everything happens in a temporary folder that is removed. Searches run two at a time; the hash
 * table and the memory limit keep each below a gigabyte.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Model, ModelRun, SeededBug } from './models.ts';
import { faultOfClean, faultOfSeeded, parseSearch, type SearchResult } from './spin-output.ts';

const execute = promisify(execFile);

/** The sources, not dist. */
const FOLDER = fileURLToPath(new URL('../../../test/model', import.meta.url));
const SEARCH_TIMEOUT_MS = 300_000;
const DEPTH_MAX = 20_000;
const MEMORY_MEGABYTES_MAX = 900;
const CONCURRENCY = 2;
/** Only safety: the models have no loop in which nothing happens. */
const COMMON_FLAGS = ['-DSAFETY', `-DMEMLIM=${MEMORY_MEGABYTES_MAX}`];

export interface ModelReport {
  readonly file: string;
  readonly run: ModelRun;
  /** null: the model as it is. */
  readonly bug: SeededBug | null;
  readonly result: SearchResult;
  readonly elapsedMs: number;
  /** null: as it should be. */
  readonly fault: string | null;
}

/** What is missing to run models, as a sentence with what to do; null when all is there. */
export async function missingTools(): Promise<string | null> {
  const missing: string[] = [];
  for (const [tool, flag] of [
    ['spin', '-V'],
    ['cc', '--version'],
  ] as const) {
    try {
      await execute(tool, [flag]);
    } catch {
      missing.push(tool);
    }
  }
  if (missing.length === 0) return null;
  return (
    `models need spin (6.5 or newer) and a C compiler; not found: ${missing.join(', ')}. ` +
    'Debian: apt-get install spin gcc libc6-dev.'
  );
}

/** One search in a folder of its own. */
export async function runSearch(
  folder: string,
  model: Model,
  modelRun: ModelRun,
  bug: SeededBug | null,
): Promise<ModelReport> {
  const startedMs = performance.now();
  await mkdir(folder);
  const options = { cwd: folder, timeout: SEARCH_TIMEOUT_MS, maxBuffer: 2 ** 24 };
  const defines = bug === null ? modelRun.defines : [...modelRun.defines, `-DBUG_${bug.name}`];
  await execute('spin', [...defines, '-a', join(FOLDER, model.file)], options);
  const optimize = bug === null ? '-O1' : '-O0';
  await execute('cc', [optimize, ...COMMON_FLAGS, '-o', 'pan', 'pan.c'], options);
  const { stdout } = await execute('./pan', [`-m${DEPTH_MAX}`, '-w20'], options);
  await rm(folder, { recursive: true });
  const result = parseSearch(stdout);
  return {
    file: model.file,
    run: modelRun,
    bug,
    result,
    elapsedMs: performance.now() - startedMs,
    fault: bug === null ? faultOfClean(result) : faultOfSeeded(result),
  };
}

/** Every run and every bug of a model; `report` hears of each when it has ended. */
export async function checkModel(
  model: Model,
  report: (one: ModelReport) => void,
): Promise<readonly ModelReport[]> {
  const folder = await mkdtemp(join(tmpdir(), 'millrace-model-'));
  const jobs: { readonly run: ModelRun; readonly bug: SeededBug | null }[] = [
    ...model.runs.map((one) => ({ run: one, bug: null })),
    ...model.bugs.map((bug) => ({ run: runOf(model, bug), bug })),
  ];
  const done: ModelReport[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < jobs.length) {
      const index = next++;
      const job = jobs[index]!;
      const one = await runSearch(join(folder, String(index)), model, job.run, job.bug);
      done.push(one);
      report(one);
    }
  };
  try {
    await Promise.all(Array.from({ length: CONCURRENCY }, work));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return done;
}

function runOf(model: Model, bug: SeededBug): ModelRun {
  const found = model.runs.find((one) => one.name === bug.run);
  if (found === undefined) throw new Error(`${model.file}: ${bug.name} names no run`);
  return found;
}

/** Probes that no run without a bug came to. */
export function missedProbes(model: Model, reports: readonly ModelReport[]): string[] {
  const clean = reports.filter((one) => one.file === model.file && one.bug === null);
  const reached = new Set(clean.flatMap((one) => one.result.reached));
  return model.probes.filter((probe) => !reached.has(probe));
}

/** Statements that no run without a bug came to. */
export function unreachedByAll(model: Model, reports: readonly ModelReport[]): string[] {
  const clean = reports.filter((one) => one.file === model.file && one.bug === null);
  const first = clean[0]?.result.unreached ?? [];
  return first.filter((line) => clean.every((one) => one.result.unreached.includes(line)));
}

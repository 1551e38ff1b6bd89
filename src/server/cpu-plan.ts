/**
 * CPU plan: which worker wants which CPU, by `cpu.pin` of the configuration.
 *
 * WHY      `serve`, `serve --print-plan` and `millrace cpu advise` must say the same.
 * NAMES    Workers are named by role and index (collect-0); `collect` means all of that role.
 *          `main` is the main thread, `helpers` all threads that are nobody's worker.
 * AUTO     The collectors and the journal, between which every block waits, want a core each; the
 *          store gets one where there is one more. The keeper mostly waits for the disk.
 */
import {
  type Advice,
  type AdviseOptions,
  advise,
  CpuError,
  cpusOf,
  formatCpuList,
  place,
  type Topology,
  topology,
  type WorkerWish,
} from '../toolkit/cpu/index.ts';
import type { Config } from './config.ts';
import type { Plan, PlannedWorker } from './plan.ts';

/** Not workers, and named as such. */
export const MAIN_NAME = 'main';
export const HELPERS_NAME = 'helpers';

export function workerName({ role, index }: Pick<PlannedWorker, 'role' | 'index'>): string {
  return `${role}-${index}`;
}

/** Of a name in an explicit `cpu.pin`: neither the main thread nor helpers. */
export function isWorkerName(name: string): boolean {
  return name !== MAIN_NAME && name !== HELPERS_NAME;
}

/**
 * The CPUs by name, of an explicit `cpu.pin`; empty for `auto` and `off`. Throws CpuError: a name
 * without a worker, a CPU that is unknown, offline or outside the cpuset.
 */
export function explicitCpus(
  config: Config,
  plan: Plan,
  machine: Topology = topology(),
): ReadonlyMap<string, readonly number[]> {
  const { pin } = config.cpu;
  const found = new Map<string, readonly number[]>();
  if (typeof pin === 'string') return found;
  // A name with an index says more than one without: it comes last.
  const isIndexed = ([name]: readonly [string, unknown]): number => Number(/\d/.test(name));
  const entries = Object.entries(pin).toSorted((a, b) => isIndexed(a) - isIndexed(b));
  for (const [name, spec] of entries) {
    const names = namesOf(name, plan);
    if (names.length === 0) throw noSuchWorker(name, plan);
    const cpus = cpusOfEntry(name, `${spec}`, machine);
    for (const one of names) found.set(one, cpus);
  }
  return found;
}

function namesOf(name: string, plan: Plan): readonly string[] {
  if (name === MAIN_NAME || name === HELPERS_NAME) return [name];
  return plan.workers
    .filter((one) => name === one.role || name === workerName(one))
    .map(workerName);
}

function noSuchWorker(name: string, plan: Plan): CpuError {
  const there = plan.workers.map(workerName).join(', ');
  return new CpuError(
    'unknown',
    `cpu.pin.${name}: this configuration has no such worker`,
    `it has ${there}, and main and helpers`,
  );
}

function cpusOfEntry(name: string, spec: string, machine: Topology): readonly number[] {
  try {
    return cpusOf(spec, machine);
  } catch (error) {
    if (!(error instanceof CpuError)) throw error;
    const found = `cpu.pin.${name}: ${error.message}`;
    throw new CpuError(error.problem, found, error.remedy, { cause: error });
  }
}

/** What `auto` asks for on this machine. */
function wishesOf(plan: Plan, machine: Topology): readonly WorkerWish[] {
  const wishes = (hasStore: boolean): readonly WorkerWish[] =>
    plan.workers.map((worker) => ({
      name: workerName(worker),
      isBusy:
        worker.role === 'collect' ||
        worker.role === 'journal' ||
        (hasStore && worker.role === 'store'),
    }));
  const most = wishes(true);
  return place(most, machine).problem === '' ? most : wishes(false);
}

/** Watches the CPUs for about a second and says what `auto` does. */
export async function advisePlan(plan: Plan, options: AdviseOptions = {}): Promise<Advice> {
  return advise(wishesOf(plan, topology(options)), options);
}

/** For people: where each worker goes, or why none is pinned. */
export interface CpuPlanText {
  readonly head: string;
  /** By name; '' or missing: not pinned. */
  readonly cpus: ReadonlyMap<string, string>;
  readonly lines: readonly string[];
}

/** Throws what explicitCpus throws; with `auto` it takes about a second. */
export async function describeCpus(config: Config, plan: Plan): Promise<CpuPlanText> {
  const { pin } = config.cpu;
  const textOf = (all: Iterable<readonly [string, readonly number[]]>) =>
    new Map([...all].map(([name, cpus]) => [name, formatCpuList(cpus)] as const));
  if (pin === 'off') return { head: 'not pinned: cpu.pin is off', cpus: new Map(), lines: [] };
  if (pin !== 'auto') {
    const cpus = textOf(explicitCpus(config, plan));
    const others = [MAIN_NAME, HELPERS_NAME].flatMap((name) =>
      cpus.has(name) ? [`  ${name.padEnd(24)} CPU ${cpus.get(name)}`] : [],
    );
    return { head: 'pinned by cpu.pin', cpus, lines: others };
  }
  const { shouldPin, reasons, placements, otherCpus } = await advisePlan(plan);
  if (!shouldPin) {
    const lines = reasons.map((reason) => `  why: ${reason}`);
    return { head: 'not pinned: cpu.pin is auto', cpus: new Map(), lines };
  }
  const rest = `  main and helpers: CPU ${formatCpuList(otherCpus)}`;
  const cpus = textOf(placements.map(({ name, cpus: list }) => [name, list] as const));
  return { head: 'pinned: cpu.pin is auto, and these CPUs are quiet now', cpus, lines: [rest] };
}

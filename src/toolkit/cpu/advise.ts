/**
 * Advise: should these workers be pinned here and now, where, and why not.
 *
 * WHY         Pinning pays on CPUs that are ours alone and hurts on all others. The answer is "no"
 *             by default: a reason of any kind is enough, and each is told with what was seen.
 * ORDER       1. Is there room? (cores, affinity, cpuset, quota): no watching without it.  2. All
 *             usable CPUs are watched for about a second.  3. Quiet cores are chosen.  4. What
 *             speaks against one of them, or against all, makes it "no".
 */
import { AUDIT_LIMITS, type Audit, audit, percent } from './audit.ts';
import { type Placement, place, usableCpus, type WorkerWish } from './placement.ts';
import { systemFiles } from './system-files.ts';
import { readTopology, type Topology } from './topology.ts';
import { adviceTexts, readTunings, type Tuning } from './tuning.ts';

export interface Advice {
  readonly shouldPin: boolean;
  /** Why not; empty when it should. */
  readonly reasons: readonly string[];
  /** Where each worker would go; empty when there is no room. */
  readonly placements: readonly Placement[];
  /** Where all other threads would go. */
  readonly otherCpus: readonly number[];
  /** What was seen; null when there was no room, so that nothing was watched. */
  readonly audit: Audit | null;
  /** Files of the kernel that would keep those CPUs quieter; never written by themselves. */
  readonly tunings: readonly Tuning[];
  /** The same for what cannot be written. */
  readonly texts: readonly string[];
}

export interface AdviseOptions {
  /** How long the CPUs are watched; 1,000 by default. */
  readonly watchMs?: number;
  /** Watch also where there is no room: for people who ask. */
  readonly alwaysWatch?: boolean;
  /** CPUs that the caller has chosen already: the tunings and texts are for these. */
  readonly chosenCpus?: readonly number[];
  /** Whose threads and limits are "ours"; this process by default. */
  readonly pid?: number;
  readonly root?: string;
}

export async function advise(
  workers: readonly WorkerWish[],
  options: AdviseOptions = {},
): Promise<Advice> {
  const files = systemFiles(options.root);
  const machine = readTopology(files, options.pid === undefined ? 'self' : `${options.pid}`);
  const first = place(workers, machine);
  const hasRoom = first.problem === '';
  const watched =
    hasRoom || options.alwaysWatch === true ? await audit(usableCpus(machine), options) : null;
  const advice = conclude(workers, machine, watched);
  const { chosenCpus } = options;
  const cpus = chosenCpus ?? aloneCpus(advice.placements);
  const isFree = (cpu: number): boolean => !cpus.includes(cpu);
  const others = chosenCpus === undefined ? advice.otherCpus : machine.usable.filter(isFree);
  // Without another CPU there is nowhere to send interrupts to.
  if (cpus.length === 0 || others.length === 0) return { ...advice, tunings: [], texts: [] };
  return {
    ...advice,
    tunings: readTunings(files, cpus, others),
    texts: adviceTexts(machine, cpus),
  };
}

/** The verdict over the machine and what was seen; pure. */
export function conclude(
  workers: readonly WorkerWish[],
  machine: Topology,
  watched: Audit | null,
): Omit<Advice, 'tunings' | 'texts'> {
  const shared = new Map(
    (watched?.cpus ?? []).map(({ cpuIndex, reasons }) => [cpuIndex, reasons] as const),
  );
  const placed = place(workers, machine, (cpu) => (shared.get(cpu) ?? []).length === 0);
  const cpus = aloneCpus(placed.placements);
  const reasons: string[] = [];
  if (placed.problem !== '') reasons.push(placed.problem);
  const quota = machine.limits.quotaCpus;
  if (quota !== null && quota < cpus.length + 1) {
    reasons.push(
      `the quota of ${quota} CPUs is less than the ${cpus.length} of the workers and one for` +
        ' all others: a quota stops pinned threads as well',
    );
  }
  // Whoever runs on a sibling slows the core.
  const siblings = machine.cpus.filter(({ cpuIndex }) => cpus.includes(cpuIndex));
  const watchedCpus = cpus.length > 0 ? siblings.flatMap((cpu) => cpu.siblings) : machine.usable;
  for (const cpu of watchedCpus) reasons.push(...(shared.get(cpu) ?? []));
  reasons.push(...(watched?.reasons ?? []));
  const isIsolated = cpus.length > 0 && cpus.every((cpu) => machine.isolated.includes(cpu));
  const pressure = Math.min(1, watched?.pressureFraction ?? 0);
  if (!isIsolated && pressure > AUDIT_LIMITS.pressureFraction) {
    reasons.push(
      `the machine is full: somebody waited for a CPU ${percent(pressure)} of the time (PSI)`,
    );
  }
  return {
    shouldPin: reasons.length === 0,
    reasons,
    placements: placed.placements,
    otherCpus: placed.otherCpus,
    audit: watched,
  };
}

function aloneCpus(placements: readonly Placement[]): readonly number[] {
  return placements.flatMap(({ isAlone, cpus }) => (isAlone ? cpus : []));
}

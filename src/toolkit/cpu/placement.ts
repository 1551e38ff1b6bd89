/**
 * Placement: which worker on which CPU, given the machine and what is known of its CPUs; pure.
 *
 * WHY         Workers that hand data to each other gain by a common L3 cache and lose by a common
 *             core. Everything that is not theirs (main thread, pools, kernel) needs a core too.
 * RULES       1. A busy worker gets a core alone; the SMT siblings of its core stay empty.  2. One
 *             core at least remains for everybody else.  3. Isolated CPUs first, if they suffice:
 *             then nobody else is there.  4. Of a hybrid machine performance cores only.  5. All in
 *             one L3 group if it has room, else in one node, else where there is room.  6. Quiet
 *             cores before shared ones, high indexes before low ones: CPU 0 does the kernel's work.
 *             7. Workers that mostly wait live with everybody else.
 * REFUSED     Two busy workers on the threads of one core (they fight for its caches and units).
 */
import type { Topology } from './topology.ts';

export interface WorkerWish {
  readonly name: string;
  /** True: it has work most of the time and deserves a core. */
  readonly isBusy: boolean;
}

export interface Placement {
  readonly name: string;
  readonly cpus: readonly number[];
  /** True: alone on its core. */
  readonly isAlone: boolean;
}

export interface Placed {
  /** Every worker, in the order of the wishes; empty when there is no room. */
  readonly placements: readonly Placement[];
  /** Where the main thread, the pools and the waiting workers live. */
  readonly otherCpus: readonly number[];
  /** Why there is no room; empty when there is. */
  readonly problem: string;
}

type Core = readonly number[];

/** `isQuiet` says of a CPU that nobody else was seen there. */
export function place(
  wishes: readonly WorkerWish[],
  machine: Topology,
  isQuiet: (cpu: number) => boolean = () => true,
): Placed {
  const usable = usableCpus(machine);
  const busy = wishes.filter((wish) => wish.isBusy);
  const cores = machine.cores
    .map((core) => core.filter((cpu) => usable.includes(cpu)))
    .filter((core) => core.length > 0);
  const candidates = candidatesOf(cores, machine, busy.length);
  if (candidates === null) return noRoom(busy.length, cores.length, usable);
  const chosen = choose(candidates, machine, busy.length, (core) => core.every(isQuiet));
  // The whole core, also threads of it that are not ours to use.
  const taken = new Set(chosen.flatMap((core) => machine.cpus[indexOf(machine, core)]!.siblings));
  const left = usable.filter((cpu) => !taken.has(cpu));
  const common = left.filter((cpu) => !machine.isolated.includes(cpu));
  const otherCpus = common.length > 0 ? common : left;
  let next = 0;
  const placements = wishes.map(({ name, isBusy }) =>
    isBusy
      ? { name, cpus: [chosen[next++]![0]!], isAlone: true }
      : { name, cpus: otherCpus, isAlone: false },
  );
  return { placements, otherCpus, problem: '' };
}

/**
 * What a placement may use: usable, and in the mask that the process was started with. Isolated
 * CPUs are in nobody's mask unless somebody put them there: they count where the mask has all
 * others.
 */
export function usableCpus(machine: Topology): readonly number[] {
  const { affinity } = machine.limits;
  const isIn = (cpu: number): boolean => affinity.length === 0 || affinity.includes(cpu);
  const isDefault = machine.usable.every((cpu) => isIn(cpu) || machine.isolated.includes(cpu));
  return isDefault ? machine.usable : machine.usable.filter(isIn);
}

function indexOf(machine: Topology, core: Core): number {
  return machine.cpus.findIndex(({ cpuIndex }) => cpuIndex === core[0]);
}

/** Null: not enough cores. */
function candidatesOf(
  cores: readonly Core[],
  machine: Topology,
  count: number,
): readonly Core[] | null {
  const isolated = cores.filter((core) => core.every((cpu) => machine.isolated.includes(cpu)));
  if (isolated.length >= count && cores.length > count) return isolated;
  const common = cores.filter((core) => !isolated.includes(core));
  const small = common.filter(
    (core) => machine.cpus[indexOf(machine, core)]!.kind === 'efficiency',
  );
  const big = common.filter((core) => !small.includes(core));
  const spare = small.length > 0 ? 0 : 1;
  return big.length >= count + spare ? big : null;
}

function noRoom(busy: number, cores: number, usable: readonly number[]): Placed {
  const workers = busy === 1 ? '1 worker wants a core' : `${busy} workers want a core each`;
  const has = `${cores} ${cores === 1 ? 'core' : 'cores'}`;
  const problem = `${workers} and one must remain for all others; this process may use ${has}`;
  return { placements: [], otherCpus: usable, problem };
}

function choose(
  candidates: readonly Core[],
  machine: Topology,
  count: number,
  isQuiet: (core: Core) => boolean,
): readonly Core[] {
  if (count === 0) return [];
  const ranked = [...candidates].sort(
    (a, b) => Number(isQuiet(b)) - Number(isQuiet(a)) || b[0]! - a[0]!,
  );
  for (const groups of [machine.l3Groups, machine.nodes.map(({ cpus }) => cpus)]) {
    const fitting = groups
      .map((group) => ranked.filter((core) => group.includes(core[0]!)))
      .filter((group) => group.length >= count)
      .sort((a, b) => quietOf(b) - quietOf(a) || a.length - b.length || b[0]![0]! - a[0]![0]!);
    if (fitting.length > 0) return fitting[0]!.slice(0, count).reverse();
  }
  return ranked.slice(0, count).reverse();

  /** Quiet cores of a group, as far as they are needed. */
  function quietOf(group: readonly Core[]): number {
    return Math.min(count, group.filter(isQuiet).length);
  }
}

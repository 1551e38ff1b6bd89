/**
 * Tuning: what an operator may do so that CPUs stay quiet; as text, and applied only when asked.
 *
 * WHY         Interrupts and the kernel's packet work run where they were told to, also on the CPU
 *             of a pinned worker. Changing that concerns the whole machine: here it is only said,
 *             with the value that is there now, so that it can be put back.
 * REFUSED     Writing to /proc/irq by default; stopping irqbalance; anything that needs a reboot.
 */
import { formatCpuList, formatCpuMask, parseCpuList, parseCpuMask } from './cpu-list.ts';
import { type SystemFiles, systemFiles } from './system-files.ts';
import type { Topology } from './topology.ts';

/** One file of the kernel that could hold another value. */
export interface Tuning {
  /** From the root of the file system. */
  readonly path: string;
  readonly value: string;
  readonly before: string;
  readonly what: string;
}

export interface TuningResult {
  readonly tuning: Tuning;
  /** '' when it was written; else the error of the system, as EACCES or EIO. */
  readonly error: string;
}

/** Interrupts and RPS masks that may hit these CPUs; `others` are to have them instead. */
export function readTunings(
  files: SystemFiles,
  cpus: readonly number[],
  others: readonly number[],
): readonly Tuning[] {
  return [...irqTunings(files, cpus, others), ...rpsTunings(files, cpus)];
}

function irqTunings(
  files: SystemFiles,
  cpus: readonly number[],
  others: readonly number[],
): Tuning[] {
  const names = new Map(
    (files.read('proc/interrupts') ?? '')
      .split('\n')
      .map((line) => /^\s*(\d+):.*?(\S+)$/.exec(line))
      .flatMap((match) => (match === null ? [] : [[match[1]!, match[2]!] as const])),
  );
  const found: Tuning[] = [];
  for (const [irq, name] of names) {
    const path = `/proc/irq/${irq}/smp_affinity_list`;
    const before = files.read(path.slice(1));
    const now = parseCpuList(before ?? '') ?? [];
    if (before === null || !now.some((cpu) => cpus.includes(cpu))) continue;
    const rest = now.filter((cpu) => !cpus.includes(cpu));
    const value = formatCpuList(rest.length > 0 ? rest : others);
    if (value !== '') found.push({ path, value, before, what: `interrupt of ${name}` });
  }
  return found;
}

function rpsTunings(files: SystemFiles, cpus: readonly number[]): Tuning[] {
  const found: Tuning[] = [];
  for (const device of files.list('sys/class/net')) {
    const queues = `sys/class/net/${device}/queues`;
    for (const queue of files.list(queues)) {
      const before = files.read(`${queues}/${queue}/rps_cpus`);
      const now = parseCpuMask(before ?? '') ?? [];
      if (before === null || !now.some((cpu) => cpus.includes(cpu))) continue;
      const value = formatCpuMask(now.filter((cpu) => !cpus.includes(cpu)));
      const what = `packet steering (RPS) of ${device} ${queue}`;
      found.push({ path: `/${queues}/${queue}/rps_cpus`, value, before, what });
    }
  }
  return found;
}

/** Sentences about what cannot be changed while the machine runs, or from inside. */
export function adviceTexts(machine: Topology, cpus: readonly number[]): readonly string[] {
  const list = formatCpuList(cpus);
  const found: string[] = [];
  if (!cpus.every((cpu) => machine.isolated.includes(cpu))) {
    found.push(
      `to keep all other tasks away, boot with isolcpus=${list} nohz_full=${list}` +
        ` rcu_nocbs=${list} (or make a cpuset partition: cgroup v2,` +
        ' cpuset.cpus.partition = isolated)',
    );
  }
  if (machine.limits.quotaCpus !== null) {
    found.push(
      'give this container a cpuset of its own instead of a quota (docker run --cpuset-cpus,' +
        ' Kubernetes: static CPU manager and whole CPUs in a guaranteed pod)',
    );
  }
  found.push(`irqbalance, where it runs, needs IRQBALANCE_BANNED_CPULIST=${list}`);
  return found;
}

/**
 * Writes the values, each by itself: an interrupt that its driver manages answers EIO and stays.
 * Nothing puts them back but the same call with `value` and `before` exchanged.
 */
export function applyTunings(tunings: readonly Tuning[], root?: string): readonly TuningResult[] {
  const files = systemFiles(root);
  return tunings.map((tuning) => {
    try {
      files.write(tuning.path.slice(1), tuning.value);
      return { tuning, error: '' };
    } catch (error) {
      return { tuning, error: (error as NodeJS.ErrnoException).code ?? String(error) };
    }
  });
}

/**
 * Spec: which CPUs a text like "core:2" means on this machine.
 *
 * FORMS       "3", "0-3", "0-3,8"   CPUs by index: every one must be usable
 *             "core:2"              all threads of a core, "l3:0" of those that share an L3 cache,
 *                                   "node:1" of a NUMA node, "socket:0" of a socket: those of it
 *                                   that are usable, at least one
 *             "isolated"            the usable CPUs that isolcpus= keeps free of other tasks
 *             "last", "last-1"      the usable CPU with the highest index, the one before, ...
 *             "all"                 all usable CPUs
 */
import { CpuError } from './cpu-error.ts';
import { formatCpuList, parseCpuList } from './cpu-list.ts';
import type { Topology } from './topology.ts';

/** A text as above, or CPU indexes. */
export type CpuSpec = string | readonly number[];

/** The usable CPUs that are meant, sorted, at least one. Throws CpuError with what there is. */
export function cpusOf(spec: CpuSpec, machine: Topology): readonly number[] {
  const listed = typeof spec === 'string' ? parseCpuList(spec) : sorted(spec);
  if (listed !== null && listed.length > 0) {
    for (const cpu of listed) checkUsable(cpu, machine);
    return listed;
  }
  const named = typeof spec === 'string' ? groupOf(spec.trim(), machine) : [];
  const usable = named.filter((cpu) => machine.usable.includes(cpu));
  if (usable.length > 0) return usable;
  throw new CpuError(
    'unknown',
    `"${String(spec)}" names no CPU that this process may use`,
    `it may use ${formatCpuList(machine.usable)}; \`millrace cpu\` shows cores, caches and nodes`,
  );
}

function sorted(cpus: readonly number[]): readonly number[] {
  return [...new Set(cpus)].sort((a, b) => a - b);
}

function groupOf(spec: string, machine: Topology): readonly number[] {
  if (spec === 'all') return machine.usable;
  if (spec === 'isolated') return machine.isolated;
  const [, back] = /^last(?:-(\d+))?$/.exec(spec) ?? [];
  if (spec === 'last' || back !== undefined) {
    const cpu = machine.usable.at(-1 - Number(back ?? 0));
    return cpu === undefined || Number(back ?? 0) >= machine.usable.length ? [] : [cpu];
  }
  const [, kind, digits] = /^(core|l3|node|socket):(\d+)$/.exec(spec) ?? [];
  const index = Number(digits);
  if (kind === 'core') return machine.cores[index] ?? [];
  if (kind === 'l3') return machine.l3Groups[index] ?? [];
  if (kind === 'node') return machine.nodes.find(({ node }) => node === index)?.cpus ?? [];
  if (kind === 'socket') return machine.sockets.find((found) => found.socket === index)?.cpus ?? [];
  throw new CpuError(
    'unknown',
    `"${spec}" is no way to name CPUs`,
    'write 3, 0-3, core:2, l3:0, node:1, socket:0, isolated, last, last-1 or all',
  );
}

/** Says which of the three reasons it is. */
function checkUsable(cpu: number, machine: Topology): void {
  if (machine.usable.includes(cpu)) return;
  const info = machine.cpus.find(({ cpuIndex }) => cpuIndex === cpu);
  const problem =
    info === undefined
      ? `there is no CPU ${cpu}`
      : info.isOnline
        ? `CPU ${cpu} is outside the cpuset of this process`
        : `CPU ${cpu} is offline`;
  const remedy =
    info === undefined || info.isOnline
      ? ''
      : ` (online again: echo 1 > /sys/devices/system/cpu/cpu${cpu}/online)`;
  throw new CpuError(
    info === undefined ? 'unknown' : info.isOnline ? 'outside' : 'offline',
    problem,
    `this process may use ${formatCpuList(machine.usable)}${remedy}`,
  );
}

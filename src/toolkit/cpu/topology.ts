/**
 * Topology: sockets, cores, SMT siblings, caches, NUMA nodes and limits, from sysfs and procfs.
 *
 * WHY         A worker that is to have a CPU of its own needs to know what that CPU shares with
 *             which other one, and whether this process may use it at all.
 * INVARIANTS  1. CPUs are named by the kernel's index and may have holes; cores and L3 groups are
 *             numbered here from 0, in the order of their lowest CPU.  2. An offline CPU is listed,
 *             in no core: the kernel takes its topology away.  3. `usable` = online and in the
 *             cpuset of the process; it is what a pin may name.
 * SOURCE      Documentation/ABI/stable/sysfs-devices-system-cpu, admin-guide/cputopology.rst.
 * REFUSED     /proc/cpuinfo (differs by architecture), lscpu (a program that may not be there).
 */
import { parseCpuList } from './cpu-list.ts';
import { type CpuLimits, readLimits } from './limits.ts';
import { type SystemFiles, systemFiles } from './system-files.ts';

/** A CPU of a hybrid machine; null where all are alike. */
export type CpuKind = 'performance' | 'efficiency';

export interface CpuCache {
  readonly level: number;
  readonly type: 'Data' | 'Instruction' | 'Unified';
  readonly bytes: number;
  /** CPUs that share it, this one included. */
  readonly cpus: readonly number[];
}

export interface CpuInfo {
  readonly cpuIndex: number;
  readonly isOnline: boolean;
  /** Online and in the cpuset of this process. */
  readonly isUsable: boolean;
  /** isolcpus= or an isolated partition: the kernel puts no task there by itself. */
  readonly isIsolated: boolean;
  /** nohz_full=: no timer tick while one task runs. */
  readonly isNohzFull: boolean;
  readonly kind: CpuKind | null;
  /** physical_package_id; -1 when offline or not known. */
  readonly socket: number;
  /** Index into `cores`, -1 when offline. */
  readonly core: number;
  /** Index into `l3Groups`, -1: no L3, or offline. */
  readonly l3: number;
  /** NUMA node, -1 when not known. */
  readonly node: number;
  /** CPUs of the same core, this one included. */
  readonly siblings: readonly number[];
  readonly caches: readonly CpuCache[];
}

export interface NumaNode {
  readonly node: number;
  readonly cpus: readonly number[];
  readonly memoryBytes: number;
  /** Relative distances to the nodes, in their order; 10 is the node itself. */
  readonly distances: readonly number[];
}

export interface Topology {
  /** All present CPUs, by index. */
  readonly cpus: readonly CpuInfo[];
  readonly online: readonly number[];
  readonly offline: readonly number[];
  /** What a pin may name. */
  readonly usable: readonly number[];
  readonly isolated: readonly number[];
  readonly nohzFull: readonly number[];
  /** CPUs by core: more than one where it has SMT siblings. */
  readonly cores: readonly (readonly number[])[];
  /** CPUs that share an L3 cache. */
  readonly l3Groups: readonly (readonly number[])[];
  readonly sockets: readonly { readonly socket: number; readonly cpus: readonly number[] }[];
  /** Nodes with and without CPUs; empty where the kernel has no NUMA support. */
  readonly nodes: readonly NumaNode[];
  readonly limits: CpuLimits;
}

export interface TopologyOptions {
  /** Whose limits; this process by default. */
  readonly pid?: number;
  /** Root of a recorded tree; '/' by default. */
  readonly root?: string;
}

const CPU_FOLDER = 'sys/devices/system/cpu';

/** The machine as this process may use it, now: CPUs come and go. Needs no addon. */
export function topology(options: TopologyOptions = {}): Topology {
  const { root, pid } = options;
  return readTopology(systemFiles(root), pid === undefined ? 'self' : `${pid}`);
}

export function readTopology(files: SystemFiles, pid = 'self'): Topology {
  const limits = readLimits(files, pid);
  const list = (name: string) => parseCpuList(files.read(`${CPU_FOLDER}/${name}`) ?? '') ?? [];
  const online = orElse(list('online'), limits.affinity);
  const present = orElse(list('present'), online);
  const inGroup = new Set(limits.cgroup ?? present);
  const usable = online.filter((cpu) => inGroup.has(cpu));
  const isolated = list('isolated');
  const nohzFull = list('nohz_full');
  const nodes = readNodes(files);
  const kinds = readKinds(files, online);
  const isOnline = new Set(online);
  const cores = groupsOf(online, (cpu) => readSiblings(files, cpu));
  const caches = new Map(online.map((cpu) => [cpu, readCaches(files, cpu)]));
  const l3Groups = groupsOf(
    online,
    (cpu) => caches.get(cpu)!.find((cache) => cache.level === 3)?.cpus ?? [],
  );
  const coreOf = indexesOf(cores);
  const l3Of = indexesOf(l3Groups);
  const nodeOf = new Map(nodes.flatMap(({ node, cpus }) => cpus.map((cpu) => [cpu, node])));
  const cpus = present.map((cpuIndex): CpuInfo => {
    const core = coreOf.get(cpuIndex) ?? -1;
    return {
      cpuIndex,
      isOnline: isOnline.has(cpuIndex),
      isUsable: usable.includes(cpuIndex),
      isIsolated: isolated.includes(cpuIndex),
      isNohzFull: nohzFull.includes(cpuIndex),
      kind: kinds.get(cpuIndex) ?? null,
      socket: isOnline.has(cpuIndex) ? readSocket(files, cpuIndex) : -1,
      core,
      l3: l3Of.get(cpuIndex) ?? -1,
      node: nodeOf.get(cpuIndex) ?? -1,
      siblings: cores[core] ?? [],
      caches: caches.get(cpuIndex) ?? [],
    };
  });
  const offline = present.filter((cpu) => !isOnline.has(cpu));
  return {
    cpus,
    online,
    offline,
    usable,
    isolated,
    nohzFull,
    cores,
    l3Groups,
    sockets: socketsOf(cpus),
    nodes,
    limits,
  };
}

function orElse(list: readonly number[], other: readonly number[]): readonly number[] {
  return list.length > 0 ? list : other;
}

/** Disjoint groups in the order of their lowest CPU; a CPU whose group is empty is in none. */
function groupsOf(
  cpus: readonly number[],
  groupOf: (cpu: number) => readonly number[],
): (readonly number[])[] {
  const groups: (readonly number[])[] = [];
  const placed = new Set<number>();
  const isThere = new Set(cpus);
  for (const cpu of cpus) {
    if (placed.has(cpu)) continue;
    const group = groupOf(cpu).filter((other) => isThere.has(other) && !placed.has(other));
    if (!group.includes(cpu)) continue;
    for (const other of group) placed.add(other);
    groups.push(group);
  }
  return groups;
}

function indexesOf(groups: readonly (readonly number[])[]): ReadonlyMap<number, number> {
  return new Map(groups.flatMap((group, index) => group.map((cpu) => [cpu, index] as const)));
}

/** A kernel without topology files: every CPU is a core of its own. */
function readSiblings(files: SystemFiles, cpu: number): readonly number[] {
  const folder = `${CPU_FOLDER}/cpu${cpu}/topology`;
  // core_cpus_list is the name since Linux 5.3.
  for (const name of ['core_cpus_list', 'thread_siblings_list']) {
    const siblings = parseCpuList(files.read(`${folder}/${name}`) ?? '') ?? [];
    if (siblings.includes(cpu)) return siblings;
  }
  return [cpu];
}

function readSocket(files: SystemFiles, cpu: number): number {
  const text = files.read(`${CPU_FOLDER}/cpu${cpu}/topology/physical_package_id`);
  return text === null || !/^\d+$/.test(text) ? -1 : Number(text);
}

function socketsOf(cpus: readonly CpuInfo[]): Topology['sockets'] {
  const bySocket = new Map<number, number[]>();
  for (const { socket, cpuIndex } of cpus) {
    if (socket < 0) continue;
    bySocket.set(socket, [...(bySocket.get(socket) ?? []), cpuIndex]);
  }
  return [...bySocket]
    .map(([socket, members]) => ({ socket, cpus: members }))
    .sort((a, b) => a.socket - b.socket);
}

const CACHE_UNITS: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 * 1024 };

function readCaches(files: SystemFiles, cpu: number): readonly CpuCache[] {
  const folder = `${CPU_FOLDER}/cpu${cpu}/cache`;
  const found: CpuCache[] = [];
  for (const name of files.list(folder)) {
    if (!/^index\d+$/.test(name)) continue;
    const type = files.read(`${folder}/${name}/type`);
    if (type !== 'Data' && type !== 'Instruction' && type !== 'Unified') continue;
    const size = /^(\d+)([KM]?)$/.exec(files.read(`${folder}/${name}/size`) ?? '');
    found.push({
      level: Number(files.read(`${folder}/${name}/level`) ?? 0),
      type,
      bytes: size === null ? 0 : Number(size[1]) * CACHE_UNITS[size[2]!]!,
      cpus: parseCpuList(files.read(`${folder}/${name}/shared_cpu_list`) ?? '') ?? [cpu],
    });
  }
  return found.sort((a, b) => a.level - b.level || a.type.localeCompare(b.type));
}

const NODE_FOLDER = 'sys/devices/system/node';

function readNodes(files: SystemFiles): readonly NumaNode[] {
  return files
    .list(NODE_FOLDER)
    .flatMap((name) => /^node(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b)
    .map((node) => {
      const folder = `${NODE_FOLDER}/node${node}`;
      const meminfo = files.read(`${folder}/meminfo`) ?? '';
      const distances = (files.read(`${folder}/distance`) ?? '').split(/\s+/);
      return {
        node,
        cpus: parseCpuList(files.read(`${folder}/cpulist`) ?? '') ?? [],
        memoryBytes: 1024 * Number(/MemTotal:\s+(\d+) kB/.exec(meminfo)?.[1] ?? 0),
        distances: distances.filter((text) => text !== '').map(Number),
      };
    });
}

/** Intel names the two kinds as devices; elsewhere the capacity (of 1,024) differs. */
function readKinds(files: SystemFiles, online: readonly number[]): ReadonlyMap<number, CpuKind> {
  const device = (name: string) => parseCpuList(files.read(`sys/devices/${name}/cpus`) ?? '') ?? [];
  const [big, small] = [device('cpu_core'), device('cpu_atom')];
  if (big.length > 0 && small.length > 0) {
    return new Map([
      ...big.map((cpu) => [cpu, 'performance'] as const),
      ...small.map((cpu) => [cpu, 'efficiency'] as const),
    ]);
  }
  const capacities = new Map<number, number>();
  for (const cpu of online) {
    const text = files.read(`${CPU_FOLDER}/cpu${cpu}/cpu_capacity`);
    if (text === null) return new Map();
    capacities.set(cpu, Number(text));
  }
  const most = Math.max(0, ...capacities.values());
  if (Math.min(most, ...capacities.values()) === most) return new Map();
  return new Map(
    [...capacities].map(([cpu, value]) => [cpu, value === most ? 'performance' : 'efficiency']),
  );
}

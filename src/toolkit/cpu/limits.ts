/**
 * Limits: which CPUs this process may use, and how much of them, by affinity and cgroup.
 *
 * WHY         A container sees all CPUs of the machine in sysfs. What it may use stands in its
 *             cgroup (which CPUs, how much time) and in the mask that its parent left it.
 * SOURCE      cgroups(7), cpuset(7), Documentation/admin-guide/cgroup-v2.rst (cpu.max,
 *             cpuset.cpus.effective), cgroup-v1/cpusets.rst and scheduler/sched-bwc.rst.
 */
import { posix } from 'node:path';
import { parseCpuList } from './cpu-list.ts';
import type { SystemFiles } from './system-files.ts';

export interface CpuLimits {
  /** Cpus_allowed_list of the process: what `taskset` or its parent left it. */
  readonly affinity: readonly number[];
  /** CPUs of its cpuset; null: there is none, or it cannot be seen from here. */
  readonly cgroup: readonly number[] | null;
  /** Mems_allowed_list: NUMA nodes that it may take memory from. */
  readonly memoryNodes: readonly number[];
  /** CPU time per time, in CPUs (1.5 = 150 ms every 100 ms); null: no quota. */
  readonly quotaCpus: number | null;
  /** Folder of the cgroup that sets the quota, '' without one. */
  readonly quotaFolder: string;
  /** Version of the hierarchy that has the CPU controller; null: none was found. */
  readonly cgroupVersion: 1 | 2 | null;
  /** Folder of the process in that hierarchy, from the root of the file system; '' for none. */
  readonly cgroupFolder: string;
}

interface Hierarchy {
  readonly version: 1 | 2;
  /** From the root of the file system, without the slash in front. */
  readonly mount: string;
  readonly folder: string;
}

/** The limits of the process `pid` of that tree ('self' by default). */
export function readLimits(files: SystemFiles, pid = 'self'): CpuLimits {
  const status = files.read(`proc/${pid}/status`) ?? '';
  const listOf = (name: string): readonly number[] =>
    parseCpuList(new RegExp(`^${name}:\\s*(\\S*)$`, 'm').exec(status)?.[1] ?? '') ?? [];
  const cpu = findHierarchy(files, pid, 'cpu');
  const quota = cpu === null ? null : readQuota(files, cpu);
  return {
    affinity: listOf('Cpus_allowed_list'),
    cgroup: readCpuset(files, findHierarchy(files, pid, 'cpuset')),
    memoryNodes: listOf('Mems_allowed_list'),
    quotaCpus: quota?.cpus ?? null,
    quotaFolder: quota?.folder ?? '',
    cgroupVersion: cpu?.version ?? null,
    cgroupFolder: cpu?.folder ?? '',
  };
}

/** Where a controller is mounted, and the folder of the process in it. */
function findHierarchy(
  files: SystemFiles,
  pid: string,
  controller: 'cpu' | 'cpuset',
): Hierarchy | null {
  const memberships = (files.read(`proc/${pid}/cgroup`) ?? '').split('\n');
  const mounts = (files.read(`proc/${pid}/mountinfo`) ?? '').split('\n').map(parseMount);
  for (const line of memberships) {
    const [, controllers = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (!controllers.split(',').includes(controller)) continue;
    const mount = mounts.find(
      (found) => found?.type === 'cgroup' && found.options.includes(controller),
    );
    if (mount) return { version: 1, mount: mount.point, folder: folderOf(mount, path) };
  }
  const path = memberships.find((line) => line.startsWith('0::'))?.slice(3);
  const mount = mounts.find((found) => found?.type === 'cgroup2');
  if (path === undefined || !mount) return null;
  const folder = folderOf(mount, path);
  const offered = files.read(`${mount.point}/cgroup.controllers`);
  // Beside a v1 hierarchy with the controller, the unified one does not offer it.
  if (offered !== null && !offered.split(' ').includes(controller)) return null;
  return { version: 2, mount: mount.point, folder };
}

interface Mount {
  readonly root: string;
  readonly point: string;
  readonly type: string;
  readonly options: readonly string[];
}

/** One line of proc_pid_mountinfo(5). */
function parseMount(line: string): Mount | null {
  const [before, after] = line.split(' - ');
  const fields = (before ?? '').split(' ');
  const [type = '', , options = ''] = (after ?? '').split(' ');
  if (fields.length < 6 || !type.startsWith('cgroup')) return null;
  return { root: fields[3]!, point: fields[4]!.slice(1), type, options: options.split(',') };
}

/** A cgroup namespace shows "/" or "/../..": then the mount point is the nearest that is seen. */
function folderOf(mount: Mount, path: string): string {
  if (path.startsWith('/..')) return mount.point;
  const isBelow = mount.root !== '/' && (path === mount.root || path.startsWith(`${mount.root}/`));
  const relative = isBelow ? path.slice(mount.root.length) : mount.root === '/' ? path : '';
  return posix.join(mount.point, relative).replace(/\/$/, '');
}

/** The folder, its parents up to the mount point. */
function upwards(hierarchy: Hierarchy): string[] {
  const found: string[] = [];
  let folder = hierarchy.folder;
  for (;;) {
    found.push(folder);
    if (folder === hierarchy.mount || !folder.includes('/')) return found;
    folder = posix.dirname(folder);
  }
}

/** The tightest quota of the cgroup and its ancestors. */
function readQuota(
  files: SystemFiles,
  hierarchy: Hierarchy,
): { readonly cpus: number; readonly folder: string } | null {
  let least: { cpus: number; folder: string } | null = null;
  for (const folder of upwards(hierarchy)) {
    const [quotaUs, periodUs] =
      hierarchy.version === 2
        ? (files.read(`${folder}/cpu.max`) ?? 'max').split(' ').map(Number)
        : ['quota', 'period'].map((name) => Number(files.read(`${folder}/cpu.cfs_${name}_us`)));
    if (quotaUs === undefined || !(quotaUs > 0) || !(periodUs! > 0)) continue;
    const cpus = quotaUs / periodUs!;
    if (least === null || cpus < least.cpus) least = { cpus, folder };
  }
  return least;
}

function readCpuset(files: SystemFiles, hierarchy: Hierarchy | null): readonly number[] | null {
  if (hierarchy === null) return null;
  const names =
    hierarchy.version === 2 ? ['cpuset.cpus.effective'] : ['cpuset.effective_cpus', 'cpuset.cpus'];
  for (const folder of upwards(hierarchy)) {
    for (const name of names) {
      const cpus = parseCpuList(files.read(`${folder}/${name}`) ?? '');
      if (cpus !== null && cpus.length > 0) return cpus;
    }
  }
  return null;
}

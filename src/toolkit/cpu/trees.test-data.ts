/**
 * Trees: sysfs and procfs of machines that the tests do not have, as maps of path to text.
 *
 * `RECORDED_VM` was read on a virtual machine (Linux 6.18, 2 CPUs, cgroup v1 beside an empty
 * unified hierarchy). The others are built from a few words in the kernel's own formats.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatCpuList } from './cpu-list.ts';
import type { SystemFiles } from './system-files.ts';

export type Tree = Map<string, string>;

export interface Shape {
  readonly sockets?: number;
  readonly coresPerSocket: number;
  readonly threadsPerCore?: number;
  /** Cores that share an L3 cache; all of a socket by default, 0: there is no L3. */
  readonly coresPerL3?: number;
  /** Adds this to the index of every CPU above the first half: a hole. */
  readonly hole?: number;
  readonly offline?: readonly number[];
  readonly isolated?: string;
  readonly nohzFull?: string;
}

const CPU = 'sys/devices/system/cpu';

/**
 * Siblings are numbered as x86 firmware does it: first one thread of every core of all sockets,
 * then the second ones. One node a socket.
 */
export function makeTree(shape: Shape): Tree {
  const { sockets = 1, coresPerSocket, threadsPerCore = 1 } = shape;
  const { offline = [], coresPerL3 = coresPerSocket } = shape;
  const tree: Tree = new Map();
  const coreCount = sockets * coresPerSocket;
  const half = Math.ceil((coreCount * threadsPerCore) / 2);
  const indexOf = (core: number, thread: number): number => {
    const plain = thread * coreCount + core;
    return plain < half ? plain : plain + (shape.hole ?? 0);
  };
  const threads = Array.from({ length: threadsPerCore }, (_, thread) => thread);
  const cpusOf = (cores: readonly number[]): number[] =>
    threads
      .flatMap((thread) => cores.map((core) => indexOf(core, thread)))
      .filter((cpu) => !offline.includes(cpu));
  const range = (start: number, count: number) =>
    Array.from({ length: count }, (_, index) => start + index);
  const allCores = range(0, coreCount);
  for (const core of allCores) {
    const socket = Math.floor(core / coresPerSocket);
    for (const cpu of cpusOf([core])) {
      const folder = `${CPU}/cpu${cpu}`;
      tree.set(`${folder}/topology/physical_package_id`, `${socket}`);
      tree.set(`${folder}/topology/core_id`, `${core % coresPerSocket}`);
      tree.set(`${folder}/topology/core_cpus_list`, formatCpuList(cpusOf([core])));
      setCache(tree, `${folder}/cache/index0`, 1, 'Data', '32K', cpusOf([core]));
      setCache(tree, `${folder}/cache/index2`, 2, 'Unified', '1M', cpusOf([core]));
      if (coresPerL3 === 0) continue;
      const first = core - ((core % coresPerSocket) % coresPerL3);
      const sharing = cpusOf(range(first, coresPerL3));
      setCache(tree, `${folder}/cache/index3`, 3, 'Unified', '32768K', sharing);
    }
  }
  for (const socket of range(0, sockets)) {
    const folder = `sys/devices/system/node/node${socket}`;
    const cpus = cpusOf(range(socket * coresPerSocket, coresPerSocket));
    tree.set(`${folder}/cpulist`, formatCpuList(cpus));
    tree.set(`${folder}/meminfo`, `Node ${socket} MemTotal:       16777216 kB`);
    const distances = range(0, sockets).map((other) => (other === socket ? 10 : 21));
    tree.set(`${folder}/distance`, distances.join(' '));
  }
  const present = [...cpusOf(allCores), ...offline];
  tree.set(`${CPU}/present`, formatCpuList(present));
  tree.set(`${CPU}/online`, formatCpuList(cpusOf(allCores)));
  tree.set(`${CPU}/isolated`, shape.isolated ?? '');
  if (shape.nohzFull !== undefined) tree.set(`${CPU}/nohz_full`, shape.nohzFull);
  const mems = formatCpuList(range(0, sockets));
  const allowed = formatCpuList(cpusOf(allCores));
  tree.set(
    'proc/self/status',
    `Name:\tnode\nCpus_allowed_list:\t${allowed}\nMems_allowed_list:\t${mems}`,
  );
  return tree;
}

function setCache(
  tree: Tree,
  folder: string,
  level: number,
  type: string,
  size: string,
  cpus: readonly number[],
): void {
  tree.set(`${folder}/level`, `${level}`);
  tree.set(`${folder}/type`, type);
  tree.set(`${folder}/size`, size);
  tree.set(`${folder}/shared_cpu_list`, formatCpuList(cpus));
}

/** A cgroup v2 of a container as its host shows it: `folder` below the mount point. */
export function addCgroup2(tree: Tree, folder: string, files: Readonly<Record<string, string>>) {
  tree.set('proc/self/cgroup', `0::/${folder}`);
  tree.set(
    'proc/self/mountinfo',
    '24 30 0:22 / /proc rw - proc proc rw\n' +
      '35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate',
  );
  tree.set('sys/fs/cgroup/cgroup.controllers', 'cpuset cpu io memory pids');
  for (const [name, text] of Object.entries(files)) tree.set(`sys/fs/cgroup/${name}`, text);
}

/** cgroup v1 as a container sees it: its own folder is the root of the mounts. */
export function addCgroup1(tree: Tree, files: Readonly<Record<string, string>>) {
  tree.set(
    'proc/self/cgroup',
    '5:cpuset:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc',
  );
  tree.set(
    'proc/self/mountinfo',
    '41 40 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n' +
      '42 40 0:32 /docker/abc /sys/fs/cgroup/cpuset ro - cgroup cgroup rw,cpuset',
  );
  for (const [name, text] of Object.entries(files)) tree.set(`sys/fs/cgroup/${name}`, text);
}

/** The tree as the readers take it, without a file system. */
export function filesOf(tree: Tree): SystemFiles {
  return {
    root: '(a tree of the test)',
    read: (path) => tree.get(path)?.trim() ?? null,
    list: (path) => {
      const names = [...tree.keys()]
        .filter((key) => key.startsWith(`${path}/`))
        .map((key) => key.slice(path.length + 1).split('/')[0]!);
      return [...new Set(names)];
    },
    write: (path, text) => {
      tree.set(path, text);
    },
  };
}

/** The tree as files below a folder. */
export function writeTree(tree: Tree, folder: string): void {
  for (const [path, text] of tree) {
    const target = join(folder, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, `${text}\n`);
  }
}

const VM_CPUS = [0, 1].flatMap((cpu): [string, string][] => [
  [`${CPU}/cpu${cpu}/cpu_capacity`, '1024'],
  [`${CPU}/cpu${cpu}/topology/core_id`, `${cpu}`],
  [`${CPU}/cpu${cpu}/topology/core_cpus_list`, `${cpu}`],
  [`${CPU}/cpu${cpu}/topology/thread_siblings_list`, `${cpu}`],
  [`${CPU}/cpu${cpu}/topology/physical_package_id`, '0'],
  [`${CPU}/cpu${cpu}/cache/index0/level`, '1'],
  [`${CPU}/cpu${cpu}/cache/index0/type`, 'Data'],
  [`${CPU}/cpu${cpu}/cache/index0/size`, '32K'],
  [`${CPU}/cpu${cpu}/cache/index0/shared_cpu_list`, `${cpu}`],
  [`${CPU}/cpu${cpu}/cache/index1/level`, '1'],
  [`${CPU}/cpu${cpu}/cache/index1/type`, 'Instruction'],
  [`${CPU}/cpu${cpu}/cache/index1/size`, '32K'],
  [`${CPU}/cpu${cpu}/cache/index1/shared_cpu_list`, `${cpu}`],
  [`${CPU}/cpu${cpu}/cache/index2/level`, '2'],
  [`${CPU}/cpu${cpu}/cache/index2/type`, 'Unified'],
  [`${CPU}/cpu${cpu}/cache/index2/size`, '512K'],
  [`${CPU}/cpu${cpu}/cache/index2/shared_cpu_list`, `${cpu}`],
  [`${CPU}/cpu${cpu}/cache/index3/level`, '3'],
  [`${CPU}/cpu${cpu}/cache/index3/type`, 'Unified'],
  [`${CPU}/cpu${cpu}/cache/index3/size`, '32768K'],
  [`${CPU}/cpu${cpu}/cache/index3/shared_cpu_list`, '0-1'],
]);

export const RECORDED_VM: ReadonlyMap<string, string> = new Map([
  ...VM_CPUS,
  [`${CPU}/online`, '0-1'],
  [`${CPU}/offline`, ''],
  [`${CPU}/possible`, '0-1'],
  [`${CPU}/present`, '0-1'],
  [`${CPU}/isolated`, ''],
  ['sys/devices/system/node/node0/cpulist', '0-1'],
  ['sys/devices/system/node/node0/distance', '10'],
  ['sys/devices/system/node/node0/meminfo', 'Node 0 MemTotal:       24684096 kB'],
  ['proc/self/status', 'Cpus_allowed:\t3\nCpus_allowed_list:\t0-1\nMems_allowed_list:\t0'],
  [
    'proc/self/cgroup',
    '9:name=systemd:/\n8:pids:/\n4:memory:/jobs/1\n3:cpuset:/\n2:cpuacct:/\n1:cpu:/\n0::/',
  ],
  [
    'proc/self/mountinfo',
    '31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n' +
      '32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n' +
      '34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n' +
      '41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw',
  ],
  ['sys/fs/cgroup/cpu/cpu.cfs_quota_us', '-1'],
  ['sys/fs/cgroup/cpu/cpu.cfs_period_us', '100000'],
  ['sys/fs/cgroup/cpuset/cpuset.cpus', '0-1'],
  ['sys/fs/cgroup/cpuset/cpuset.effective_cpus', '0-1'],
  ['sys/fs/cgroup/unified/cgroup.controllers', ''],
]);

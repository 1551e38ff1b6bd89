import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { cpus as nodeCpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readTopology, topology } from './topology.ts';
import {
  addCgroup1,
  addCgroup2,
  filesOf,
  makeTree,
  RECORDED_VM,
  type Shape,
  type Tree,
  writeTree,
} from './trees.test-data.ts';

const read = (tree: Tree) => readTopology(filesOf(tree));
const shaped = (shape: Shape) => read(makeTree(shape));

test('SMT: the second threads of all cores come last, siblings are found', () => {
  const found = shaped({ coresPerSocket: 4, threadsPerCore: 2 });
  assert.deepEqual(found.cores, [
    [0, 4],
    [1, 5],
    [2, 6],
    [3, 7],
  ]);
  assert.deepEqual(found.cpus[5]!.siblings, [1, 5]);
  assert.equal(found.cpus[5]!.core, 1);
  assert.deepEqual(found.l3Groups, [[0, 1, 2, 3, 4, 5, 6, 7]]);
  assert.deepEqual(found.sockets, [{ socket: 0, cpus: [0, 1, 2, 3, 4, 5, 6, 7] }]);
});

test('two sockets: a node and two L3 groups each', () => {
  const found = shaped({ sockets: 2, coresPerSocket: 4, threadsPerCore: 2, coresPerL3: 2 });
  assert.deepEqual(found.l3Groups, [
    [0, 1, 8, 9],
    [2, 3, 10, 11],
    [4, 5, 12, 13],
    [6, 7, 14, 15],
  ]);
  assert.deepEqual(
    found.sockets.map(({ cpus }) => cpus),
    [
      [0, 1, 2, 3, 8, 9, 10, 11],
      [4, 5, 6, 7, 12, 13, 14, 15],
    ],
  );
  assert.deepEqual(found.nodes[1], {
    node: 1,
    cpus: [4, 5, 6, 7, 12, 13, 14, 15],
    memoryBytes: 16 * 2 ** 30,
    distances: [21, 10],
  });
  assert.deepEqual([found.cpus[12]!.node, found.cpus[12]!.socket, found.cpus[12]!.l3], [1, 1, 2]);
});

test('hybrid, Intel: the two kinds are devices', () => {
  const tree = makeTree({ coresPerSocket: 6 });
  tree.set('sys/devices/cpu_core/cpus', '0-3');
  tree.set('sys/devices/cpu_atom/cpus', '4-5');
  assert.deepEqual(
    read(tree).cpus.map(({ kind }) => kind),
    ['performance', 'performance', 'performance', 'performance', 'efficiency', 'efficiency'],
  );
});

test('hybrid, ARM: the two kinds differ in capacity; equal capacities are no kinds', () => {
  const tree = makeTree({ coresPerSocket: 2 });
  tree.set('sys/devices/system/cpu/cpu0/cpu_capacity', '446');
  tree.set('sys/devices/system/cpu/cpu1/cpu_capacity', '1024');
  assert.deepEqual(
    read(tree).cpus.map(({ kind }) => kind),
    ['efficiency', 'performance'],
  );
  tree.set('sys/devices/system/cpu/cpu0/cpu_capacity', '1024');
  assert.equal(read(tree).cpus[0]!.kind, null);
});

test('more than 64 and more than 1,024 CPUs', () => {
  assert.equal(shaped({ sockets: 2, coresPerSocket: 48, threadsPerCore: 2 }).cores.length, 96);
  const found = shaped({ sockets: 2, coresPerSocket: 300, threadsPerCore: 2, coresPerL3: 0 });
  assert.equal(found.usable.length, 1200);
  assert.deepEqual(found.cores[599], [599, 1199]);
  assert.equal(found.cpus[1199]!.node, 1);
  assert.deepEqual(found.l3Groups, []);
  assert.equal(found.cpus[1199]!.l3, -1);
});

test('holes in the numbers', () => {
  const found = shaped({ coresPerSocket: 4, hole: 60 });
  assert.deepEqual(found.online, [0, 1, 62, 63]);
  assert.deepEqual(found.cores, [[0], [1], [62], [63]]);
  assert.deepEqual(
    found.cpus.map(({ cpuIndex }) => cpuIndex),
    [0, 1, 62, 63],
  );
});

test('an offline CPU is listed, in no core and not usable', () => {
  const found = shaped({ coresPerSocket: 2, threadsPerCore: 2, offline: [3] });
  assert.deepEqual(found.offline, [3]);
  assert.deepEqual(found.cores, [[0, 2], [1]]);
  const offline = found.cpus.find(({ cpuIndex }) => cpuIndex === 3)!;
  assert.deepEqual(
    [offline.isOnline, offline.isUsable, offline.core, offline.socket, offline.siblings],
    [false, false, -1, -1, []],
  );
});

test('isolated and nohz_full; "(null)" is none', () => {
  const found = shaped({ coresPerSocket: 8, isolated: '4-7', nohzFull: '6-7' });
  assert.deepEqual(
    [found.isolated, found.nohzFull],
    [
      [4, 5, 6, 7],
      [6, 7],
    ],
  );
  assert.deepEqual([found.cpus[5]!.isIsolated, found.cpus[5]!.isNohzFull], [true, false]);
  assert.deepEqual(shaped({ coresPerSocket: 2, nohzFull: '(null)' }).nohzFull, []);
});

test('cgroup v2: cpuset and the tightest quota of the folder and those above', () => {
  const tree = makeTree({ coresPerSocket: 8 });
  addCgroup2(tree, 'machine.slice/box.scope', {
    'machine.slice/cpu.max': '150000 100000',
    'machine.slice/box.scope/cpu.max': '400000 100000',
    'machine.slice/box.scope/cpuset.cpus.effective': '2-5',
  });
  const found = read(tree);
  assert.deepEqual(found.usable, [2, 3, 4, 5]);
  assert.equal(found.limits.quotaCpus, 1.5);
  assert.equal(found.limits.quotaFolder, 'sys/fs/cgroup/machine.slice');
  assert.equal(found.limits.cgroupVersion, 2);
  assert.equal(found.cpus[1]!.isUsable, false);
});

test('cgroup v2 without limits: "max" is no quota', () => {
  const tree = makeTree({ coresPerSocket: 2 });
  addCgroup2(tree, 'a', { 'a/cpu.max': 'max 100000', 'a/cpuset.cpus.effective': '0-1' });
  assert.deepEqual([read(tree).limits.quotaCpus, read(tree).usable], [null, [0, 1]]);
});

test('a cgroup namespace: the mount point stands for what is above', () => {
  const tree = makeTree({ coresPerSocket: 4 });
  addCgroup2(tree, '../../outside', { 'cpu.max': '50000 100000', 'cpuset.cpus.effective': '1' });
  assert.deepEqual([read(tree).limits.quotaCpus, read(tree).usable], [0.5, [1]]);
});

test('cgroup v1 as seen inside a container', () => {
  const tree = makeTree({ coresPerSocket: 4 });
  addCgroup1(tree, {
    'cpu,cpuacct/cpu.cfs_quota_us': '250000',
    'cpu,cpuacct/cpu.cfs_period_us': '100000',
    'cpuset/cpuset.cpus': '0,2',
  });
  const { limits, usable } = read(tree);
  assert.deepEqual([limits.quotaCpus, limits.cgroupVersion, usable], [2.5, 1, [0, 2]]);
});

test('the recorded machine: cgroup v1 without a quota beside an empty unified one', () => {
  const found = read(new Map(RECORDED_VM));
  assert.deepEqual(found.cores, [[0], [1]]);
  assert.deepEqual(found.l3Groups, [[0, 1]]);
  assert.deepEqual(found.limits, {
    affinity: [0, 1],
    cgroup: [0, 1],
    memoryNodes: [0],
    quotaCpus: null,
    quotaFolder: '',
    cgroupVersion: 1,
    cgroupFolder: 'sys/fs/cgroup/cpu',
  });
  assert.deepEqual(
    found.cpus[1]!.caches.map(({ level, type, bytes, cpus }) => [level, type, bytes, cpus]),
    [
      [1, 'Data', 32_768, [1]],
      [1, 'Instruction', 32_768, [1]],
      [2, 'Unified', 524_288, [1]],
      [3, 'Unified', 33_554_432, [0, 1]],
    ],
  );
});

test('a kernel that shows nothing but the mask: each CPU is a core', () => {
  const found = read(new Map([['proc/self/status', 'Cpus_allowed_list:\t0-2']]));
  assert.deepEqual(found.cores, [[0], [1], [2]]);
  assert.deepEqual(found.usable, [0, 1, 2]);
  assert.deepEqual([found.sockets, found.nodes, found.limits.cgroup], [[], [], null]);
});

test('a root folder is read as the tree in memory is', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cpu-'));
  try {
    const tree = makeTree({ sockets: 2, coresPerSocket: 2, threadsPerCore: 2, isolated: '3' });
    writeTree(tree, folder);
    assert.deepEqual(topology({ root: folder }), read(tree));
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('this machine: as Node.js and lscpu see it', (context) => {
  const found = topology();
  assert.equal(found.online.length, nodeCpus().length);
  assert.ok(found.usable.length > 0 && found.limits.affinity.length > 0);
  const lscpu = spawnSync('lscpu', ['-p=CPU,CORE,SOCKET'], { encoding: 'utf8' });
  if (lscpu.status !== 0) return context.diagnostic('no lscpu to compare with');
  const cores = new Map<string, number[]>();
  for (const line of lscpu.stdout.split('\n')) {
    const [cpu, core] = line.split(',');
    if (line.startsWith('#') || core === undefined) continue;
    cores.set(core, [...(cores.get(core) ?? []), Number(cpu)]);
  }
  const sorted = (groups: Iterable<readonly number[]>) => [...groups].map(String).sort();
  assert.deepEqual(sorted(found.cores), sorted(cores.values()));
  return undefined;
});

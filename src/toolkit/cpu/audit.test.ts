import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { advise, conclude } from './advise.ts';
import { audit, judge } from './audit.ts';
import { readSample, type Sample } from './audit-sample.ts';
import { readLimits } from './limits.ts';
import { systemFiles } from './system-files.ts';
import { readTopology, topology } from './topology.ts';
import { addCgroup2, filesOf, makeTree, type Tree, writeTree } from './trees.test-data.ts';
import { applyTunings, readTunings } from './tuning.ts';

/** One CPU's line of /proc/stat, in ticks. */
interface Ticks {
  readonly user?: number;
  readonly idle?: number;
  readonly softirq?: number;
  readonly steal?: number;
}

function setStat(tree: Tree, ticks: readonly Ticks[]): void {
  const lines = ticks.map(
    ({ user = 0, idle = 0, softirq = 0, steal = 0 }, cpu) =>
      `cpu${cpu} ${user} 0 0 ${idle} 0 0 ${softirq} ${steal} 0 0`,
  );
  tree.set('proc/stat', `cpu  0 0 0 0\n${lines.join('\n')}\nintr 5`);
}

function setTask(tree: Tree, path: string, pid: number, name: string, cpu: number, ticks = 0) {
  const fields = Array.from({ length: 50 }, () => '0');
  fields[11] = `${ticks}`;
  fields[36] = `${cpu}`;
  tree.set(`proc/${path}/stat`, `${pid} (${name}) ${fields.join(' ')}`);
  tree.set(`proc/${pid}/task/${pid}/stat`, `${pid} (${name}) ${fields.join(' ')}`);
}

/** Two samples one second apart: the tree before and after `change`. */
function watch(tree: Tree, change: () => void): readonly Sample[] {
  const files = filesOf(tree);
  const limits = readLimits(files);
  const first = readSample(files, limits, 0, true);
  change();
  return [first, readSample(files, limits, 1000, true)];
}

function machineTree(cpus = 8): Tree {
  const tree = makeTree({ coresPerSocket: cpus });
  setStat(
    tree,
    Array.from({ length: cpus }, () => ({})),
  );
  tree.set('proc/self/stat', '70 (node) S');
  tree.set('proc/pressure/cpu', 'some avg10=0 avg60=0 avg300=0 total=0\nfull total=0');
  return tree;
}

const judgeTree = (tree: Tree, samples: readonly Sample[], cpus: readonly number[]) =>
  judge(samples, cpus, readLimits(filesOf(tree)));

test('idle, and used by ourselves: exclusive', () => {
  const tree = machineTree(2);
  tree.set('proc/self/task/70/schedstat', '0 0 0');
  setTask(tree, 'self/task/70', 70, 'node', 1);
  const samples = watch(tree, () => {
    setStat(tree, [{ idle: 100 }, { user: 90, idle: 10 }]);
    tree.set('proc/self/task/70/schedstat', '890000000 5000000 9');
  });
  const seen = judgeTree(tree, samples, [0, 1]);
  assert.deepEqual(
    seen.cpus.map(({ isExclusive }) => isExclusive),
    [true, true],
  );
  assert.ok(Math.abs(seen.cpus[1]!.ownFraction - 0.89) < 1e-9);
  assert.ok(Math.abs(seen.cpus[1]!.otherFraction - 0.01) < 1e-9);
  assert.ok(Math.abs(seen.ownWaitFraction - 0.005) < 1e-9);
});

test('other tasks are named with what they used', () => {
  const tree = machineTree(2);
  setTask(tree, '90', 90, 'compiler', 1);
  const samples = watch(tree, () => {
    setStat(tree, [{ idle: 100 }, { user: 40, idle: 60 }]);
    setTask(tree, '90', 90, 'compiler', 1, 38);
  });
  const [, shared] = judgeTree(tree, samples, [0, 1]).cpus;
  assert.equal(shared!.isExclusive, false);
  assert.deepEqual(shared!.reasons, [
    'other tasks used 40.0 % of CPU 1 (last seen there: compiler 90: 38.0 %)',
  ]);
});

test('steal and interrupts, by time and by number', () => {
  const tree = machineTree(3);
  const head = '            CPU0       CPU1       CPU2';
  const setIrq = (count: number) =>
    tree.set(
      'proc/interrupts',
      `${head}\n  38:  0  0  ${count}  PCI-MSIX-0000:00:03.0  1-edge  eth0-rx-0\nLOC: 1 2 3 Local`,
    );
  setIrq(0);
  const samples = watch(tree, () => {
    setStat(tree, [{ idle: 97, steal: 3 }, { idle: 90, softirq: 10 }, { idle: 100 }]);
    setIrq(2500);
  });
  const seen = judgeTree(tree, samples, [0, 1, 2]).cpus.map(({ reasons }) => reasons.join());
  assert.match(seen[0]!, /hypervisor took 3\.0 % of CPU 0/);
  assert.match(seen[1]!, /interrupts used 10\.0 % of CPU 1/);
  assert.match(seen[2]!, /interrupted CPU 2 2500 times a second: eth0-rx-0 \(irq 38\)/);
});

test('a CPU without counters is not exclusive', () => {
  const tree = machineTree(1);
  const seen = judgeTree(
    tree,
    watch(tree, () => {}),
    [0, 5],
  );
  assert.deepEqual(
    seen.cpus.map(({ isExclusive }) => isExclusive),
    [false, false],
  );
});

test('throttling by the quota speaks against every CPU', () => {
  const tree = machineTree(4);
  addCgroup2(tree, 'a', {
    'a/cpu.max': '300000 100000',
    'a/cpu.stat': 'nr_throttled 1\nthrottled_usec 1000',
    'a/cpu.pressure': 'some avg10=0 total=0',
  });
  const samples = watch(tree, () => {
    setStat(
      tree,
      Array.from({ length: 4 }, () => ({ idle: 100 })),
    );
    tree.set('sys/fs/cgroup/a/cpu.stat', 'nr_throttled 9\nthrottled_usec 81000');
    tree.set('sys/fs/cgroup/a/cpu.pressure', 'some avg10=0 total=70000');
  });
  const seen = judgeTree(tree, samples, [0]);
  assert.match(seen.reasons.join(), /quota of 3 CPUs .*sys\/fs\/cgroup\/a.* 8\.0 %/);
  assert.equal(seen.cgroupPressureFraction, 0.07);
});

const FLOW = [
  { name: 'collect', isBusy: true },
  { name: 'store', isBusy: true },
];

function adviceOf(tree: Tree, change: () => void) {
  const files = filesOf(tree);
  const machine = readTopology(files);
  const samples = watch(tree, change);
  return conclude(FLOW, machine, judge(samples, machine.usable, machine.limits));
}

test('a quiet machine with room: pin, and away from the CPU that is used', () => {
  const tree = machineTree(4);
  const advice = adviceOf(tree, () =>
    setStat(tree, [{ idle: 100 }, { idle: 100 }, { user: 50, idle: 50 }, { idle: 100 }]),
  );
  assert.equal(advice.shouldPin, true);
  assert.deepEqual(
    advice.placements.map(({ cpus }) => cpus),
    [[1], [3]],
  );
  assert.deepEqual(advice.otherCpus, [0, 2]);
});

test('company on the sibling of a core is company', () => {
  const tree = makeTree({ coresPerSocket: 3, threadsPerCore: 2 });
  setStat(
    tree,
    Array.from({ length: 6 }, () => ({})),
  );
  const advice = adviceOf(tree, () => {
    setStat(
      tree,
      [0, 1, 2, 3, 4, 5].map((cpu) => (cpu >= 4 ? { user: 30, idle: 70 } : { idle: 100 })),
    );
  });
  assert.equal(advice.shouldPin, false);
  assert.match(advice.reasons.join(), /other tasks used 30\.0 % of CPU [45]/);
});

test('a quota below the CPUs, or a full machine, says no', () => {
  const tree = machineTree(4);
  addCgroup2(tree, 'a', { 'a/cpu.max': '200000 100000', 'a/cpu.stat': 'throttled_usec 0' });
  const idle = () =>
    setStat(
      tree,
      Array.from({ length: 4 }, () => ({ idle: 100 })),
    );
  assert.match(adviceOf(tree, idle).reasons.join(), /quota of 2 CPUs is less than the 2/);
  const full = machineTree(4);
  const advice = adviceOf(full, () => {
    setStat(
      full,
      Array.from({ length: 4 }, () => ({ idle: 100 })),
    );
    full.set('proc/pressure/cpu', 'some avg10=0 total=400000');
  });
  assert.match(advice.reasons.join(), /40\.0 % of the time \(PSI\)/);
});

test('PSI of the machine says nothing about isolated CPUs', () => {
  const tree = machineTree(4);
  tree.set('sys/devices/system/cpu/isolated', '2-3');
  const advice = adviceOf(tree, () => {
    setStat(tree, [{ user: 100 }, { user: 100 }, { idle: 100 }, { idle: 100 }]);
    tree.set('proc/pressure/cpu', 'some avg10=0 total=900000');
  });
  assert.deepEqual(advice.reasons, []);
});

test('this machine is watched for as long as was asked', async () => {
  const usable = topology().usable;
  const seen = await audit(usable, { watchMs: 200 });
  assert.ok(seen.watchedMs >= 190);
  for (const cpu of seen.cpus) {
    for (const value of [cpu.ownFraction, cpu.otherFraction, cpu.stealFraction]) {
      assert.ok(value >= 0 && value <= 1, `${value}`);
    }
  }
});

test('without room nothing is watched, and the answer is at once', async () => {
  const many = topology().usable.map((cpu) => ({ name: `${cpu}`, isBusy: true }));
  const advice = await advise(many);
  assert.equal(advice.shouldPin, false);
  assert.equal(advice.audit, null);
  assert.match(advice.reasons.join(), /one must remain/);
});

function tuningTree(): Tree {
  const tree = machineTree(4);
  tree.set(
    'proc/interrupts',
    'CPU0 CPU1 CPU2 CPU3\n 38: 1 1 1 1 PCI-MSIX 1-edge eth0-rx\n 39: 0 0 0 0 X Y',
  );
  tree.set('proc/irq/38/smp_affinity_list', '0-3');
  tree.set('proc/irq/39/smp_affinity_list', '0');
  tree.set('proc/irq/40/smp_affinity_list', '2');
  tree.set('sys/class/net/eth0/queues/rx-0/rps_cpus', 'f');
  tree.set('sys/class/net/eth0/queues/rx-1/rps_cpus', '0');
  return tree;
}

test('interrupts and RPS that may hit the workers are named, with the value of now', () => {
  const found = readTunings(filesOf(tuningTree()), [2, 3], [0, 1]);
  assert.deepEqual(found, [
    {
      path: '/proc/irq/38/smp_affinity_list',
      value: '0-1',
      before: '0-3',
      what: 'interrupt of eth0-rx',
    },
    {
      path: '/sys/class/net/eth0/queues/rx-0/rps_cpus',
      value: '3',
      before: 'f',
      what: 'packet steering (RPS) of eth0 rx-0',
    },
  ]);
  const [only] = readTunings(filesOf(tuningTree()), [0, 1, 2, 3], [0]);
  assert.equal(only!.value, '0', 'an interrupt must have a CPU');
});

test('tunings are written when asked, each by itself', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-tuning-'));
  try {
    const tree = tuningTree();
    const tunings = readTunings(filesOf(tree), [2, 3], [0, 1]);
    writeTree(tree, folder);
    const missing = { path: '/proc/irq/nowhere/x', value: '1', before: '2', what: 'nothing' };
    const results = applyTunings([...tunings, missing], folder);
    assert.deepEqual(
      results.map(({ error }) => error),
      ['', '', 'ENOENT'],
    );
    assert.deepEqual(readTunings(systemFiles(folder), [2, 3], [0, 1]), [], 'nothing is left to do');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

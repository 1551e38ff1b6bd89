import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Advice, Audit, CpuEvidence, ThreadInfo } from '../toolkit/cpu/index.ts';
import { readTopology } from '../toolkit/cpu/topology.ts';
import { addCgroup2, filesOf, makeTree, RECORDED_VM } from '../toolkit/cpu/trees.test-data.ts';
import { adviceLines, appliedLines, auditLines, threadLines, topologyLines } from './cpu-text.ts';

test('a recorded machine as a table', () => {
  const lines = topologyLines(readTopology(filesOf(new Map(RECORDED_VM))));
  assert.equal(lines[0], '2 CPUs online, 1 socket, 2 cores, no SMT, 1 L3 cache, 1 NUMA node');
  const row = /^ +1 +0 +1 +- +0 +0 +32K 32K 512K 32M +usable$/;
  assert.ok(
    lines.some((line) => row.test(line)),
    lines.join('\n'),
  );
  assert.ok(lines.includes('quota         none (cgroup v1)'));
});

test('siblings, nodes, offline, isolated, a cpuset and a quota are shown', () => {
  const tree = makeTree({
    sockets: 2,
    coresPerSocket: 2,
    threadsPerCore: 2,
    offline: [7],
    isolated: '2',
    nohzFull: '2',
  });
  addCgroup2(tree, 'a', { 'a/cpuset.cpus.effective': '0-2', 'a/cpu.max': '150000 100000' });
  const text = topologyLines(readTopology(filesOf(tree))).join('\n');
  assert.match(text, /^7 CPUs online, 2 sockets, 4 cores, with SMT siblings, 2 L3 caches, 2 NUMA/);
  assert.match(text, /^ +0 +0 +0 +0,4 .*usable$/m);
  assert.match(text, /^ +2 .*usable, isolated, nohz_full$/m);
  assert.match(text, /^ +5 .*outside the cpuset$/m);
  assert.match(text, /^ +7 +- +- +- .*offline$/m);
  assert.match(text, /^quota +1\.5 CPUs, set in \/sys\/fs\/cgroup\/a \(cgroup v2\)$/m);
  assert.match(text, /^node 1 +CPUs 2-3,6, 16\.0 GiB, distances 21 10$/m);
});

test('threads; what a kernel does not count is a dash', () => {
  const thread: ThreadInfo = {
    threadId: 4711,
    name: 'journal',
    kind: 'worker',
    role: 'journal-0',
    cpus: [2, 3],
    lastCpu: 3,
    cpuMs: 12345.6,
    waitedMs: null,
    migrations: null,
    voluntarySwitches: 9,
    involuntarySwitches: 1,
    startTicks: 0,
  };
  const row = threadLines([thread])[1]!.trim().split(/ {2,}/);
  assert.equal(row.join('|'), '4711|journal|journal-0|2-3|3|12,346|-|-|9|1');
});

const EVIDENCE: CpuEvidence = {
  cpuIndex: 2,
  ownFraction: 0.5,
  otherFraction: 0.01,
  stealFraction: 0,
  interruptFraction: 0,
  interruptsPerSecond: 12,
  otherTasks: [],
  interrupts: [],
  isExclusive: true,
  reasons: [],
};

const AUDIT: Audit = {
  watchedMs: 1000,
  cpus: [
    EVIDENCE,
    {
      ...EVIDENCE,
      cpuIndex: 3,
      otherFraction: 0.4,
      isExclusive: false,
      reasons: ['other tasks used 40.0 % of CPU 3'],
    },
  ],
  pressureFraction: 0.1,
  cgroupPressureFraction: null,
  throttledFraction: null,
  ownWaitFraction: 0,
  reasons: [],
};

test('an audit names the quiet CPUs, and what was seen on the others', () => {
  const text = auditLines(AUDIT).join('\n');
  assert.match(text, /^ +2 +50\.0 % +1\.0 % .*quiet$/m);
  assert.match(text, /^other tasks used 40\.0 % of CPU 3$/m);
  assert.match(text, /^verdict: CPU 2 had no company$/m);
  const none = auditLines({ ...AUDIT, cpus: AUDIT.cpus.slice(1) }).join('\n');
  assert.match(none, /^verdict: no CPU was ours alone: do not pin$/m);
});

const TUNING = {
  path: '/proc/irq/24/smp_affinity_list',
  value: '0-1',
  before: '0-3',
  what: 'interrupt of eth0',
};

const ADVICE: Advice = {
  shouldPin: true,
  reasons: [],
  placements: [
    { name: 'collect-0', cpus: [2], isAlone: true },
    { name: 'keeper-0', cpus: [0, 1], isAlone: false },
  ],
  otherCpus: [0, 1],
  audit: null,
  tunings: [TUNING],
  texts: ['irqbalance, where it runs, needs IRQBALANCE_BANNED_CPULIST=2'],
};

test('advice to pin is a list that the configuration takes; tunings are commands', () => {
  const text = adviceLines(ADVICE).join('\n');
  assert.match(
    text,
    /cpu: \{ pin: \{ collect-0: '2', keeper-0: '0-1', main: '0-1', helpers: '0-1' \} \}/,
  );
  assert.match(text, /echo 0-1 > \/proc\/irq\/24\/smp_affinity_list {3}# interrupt of eth0/);
  const no = adviceLines({ ...ADVICE, shouldPin: false, reasons: ['somebody is there'] });
  assert.ok(no.includes('advice: do not pin'));
  assert.ok(no.includes('  somebody is there'));
  assert.ok(no.includes('which worker where, if it were quiet:'));
  assert.ok(!no.some((line) => line.includes('pin: {')), 'no list for a "no"');
});

test('what was applied comes with the lines that undo it', () => {
  const other = { ...TUNING, path: '/proc/irq/25/smp_affinity_list' };
  const lines = appliedLines([
    { tuning: TUNING, error: '' },
    { tuning: other, error: 'EIO' },
  ]);
  const undo = '  echo 0-3 > /proc/irq/24/smp_affinity_list   # interrupt of eth0';
  assert.deepEqual(lines.slice(1), [
    'not written, EIO: /proc/irq/25/smp_affinity_list',
    '1 of 2 masks written; these lines put them back:',
    undo,
  ]);
  assert.deepEqual(appliedLines([]), ['', 'there was nothing to apply']);
});

/**
 * CPU text: topology, limits, threads, audit and advice as lines for people.
 */
import {
  type Advice,
  type Audit,
  type CpuInfo,
  formatCpuList,
  percent,
  type ThreadInfo,
  type Topology,
  type Tuning,
  type TuningResult,
} from '../toolkit/cpu/index.ts';
import { countText, table } from './text-table.ts';

const listText = (cpus: readonly number[]): string => formatCpuList(cpus) || 'none';

const plural = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`;

/** 32768 as 32K, 33554432 as 32M. */
function cacheText(bytes: number): string {
  return bytes >= 1 << 20 ? `${bytes / (1 << 20)}M` : `${bytes / 1024}K`;
}

export function topologyLines(machine: Topology): string[] {
  const { cpus, online, cores, l3Groups, sockets, nodes } = machine;
  const hasSmt = cores.some((core) => core.length > 1);
  const head = [
    plural(online.length, 'CPU online', 'CPUs online'),
    plural(sockets.length, 'socket', 'sockets'),
    plural(cores.length, 'core', 'cores'),
    hasSmt ? 'with SMT siblings' : 'no SMT',
    plural(l3Groups.length, 'L3 cache', 'L3 caches'),
    nodes.length === 0 ? 'no NUMA' : plural(nodes.length, 'NUMA node', 'NUMA nodes'),
  ].join(', ');
  const columns = ['CPU', 'socket', 'core', 'siblings', 'L3', 'node', 'L1d L1i L2 L3', 'state'];
  const number = (value: number): string => (value < 0 ? '-' : `${value}`);
  const rows = cpus.map((cpu) => [
    `${cpu.cpuIndex}`,
    number(cpu.socket),
    number(cpu.core),
    cpu.siblings.length > 1 ? formatCpuList(cpu.siblings) : '-',
    number(cpu.l3),
    number(cpu.node),
    cachesText(cpu),
    stateText(cpu),
  ]);
  return [head, '', ...table(columns, rows, [0, 1, 2, 4, 5]), '', ...limitLines(machine)];
}

function cachesText({ caches }: CpuInfo): string {
  const of = (level: number, type?: string): string => {
    const found = caches.find(
      (cache) => cache.level === level && (type === undefined || cache.type === type),
    );
    return found === undefined ? '-' : cacheText(found.bytes);
  };
  return [of(1, 'Data'), of(1, 'Instruction'), of(2), of(3)].join(' ');
}

function stateText(cpu: CpuInfo): string {
  const words: string[] = [];
  if (!cpu.isOnline) words.push('offline');
  else words.push(cpu.isUsable ? 'usable' : 'outside the cpuset');
  if (cpu.isIsolated) words.push('isolated');
  if (cpu.isNohzFull) words.push('nohz_full');
  if (cpu.kind !== null) words.push(cpu.kind);
  return words.join(', ');
}

function limitLines(machine: Topology): string[] {
  const { limits, nodes } = machine;
  const version = limits.cgroupVersion === null ? '' : ` (cgroup v${limits.cgroupVersion})`;
  const quota =
    limits.quotaCpus === null
      ? `none${version}`
      : `${limits.quotaCpus} CPUs, set in /${limits.quotaFolder}${version}`;
  const rows: (readonly [string, string])[] = [
    ['usable', listText(machine.usable)],
    ['offline', listText(machine.offline)],
    ['isolated', listText(machine.isolated)],
    ['nohz_full', listText(machine.nohzFull)],
    ['affinity', listText(limits.affinity)],
    ['cpuset', limits.cgroup === null ? 'not seen from here' : formatCpuList(limits.cgroup)],
    ['quota', quota],
    ['memory nodes', listText(limits.memoryNodes)],
    ...nodes.map(({ node, cpus, memoryBytes, distances }): [string, string] => [
      `node ${node}`,
      [
        `CPUs ${listText(cpus)}`,
        `${(memoryBytes / 2 ** 30).toFixed(1)} GiB`,
        `distances ${distances.join(' ')}`,
      ].join(', '),
    ]),
  ];
  return rows.map(([name, text]) => `${name.padEnd(13)} ${text}`);
}

export function threadLines(threads: readonly ThreadInfo[]): string[] {
  const head = [
    'thread',
    'name',
    'role',
    'CPUs',
    'on',
    'CPU ms',
    'waited ms',
    'migrations',
    'waits',
    'put aside',
  ];
  const some = (value: number | null): string => (value === null ? '-' : countText(value));
  const rows = threads.map((thread) => [
    `${thread.threadId}`,
    thread.name,
    thread.role,
    formatCpuList(thread.cpus),
    `${thread.lastCpu}`,
    countText(thread.cpuMs),
    some(thread.waitedMs),
    some(thread.migrations),
    countText(thread.voluntarySwitches),
    countText(thread.involuntarySwitches),
  ]);
  return table(head, rows, [0, 4, 5, 6, 7, 8, 9]);
}

export function auditLines(audit: Audit): string[] {
  const head = ['CPU', 'ours', 'other tasks', 'stolen', 'interrupts', 'irq/s', 'verdict'];
  const rows = audit.cpus.map((cpu) => [
    `${cpu.cpuIndex}`,
    percent(cpu.ownFraction),
    percent(cpu.otherFraction),
    percent(cpu.stealFraction),
    percent(cpu.interruptFraction),
    countText(cpu.interruptsPerSecond),
    cpu.isExclusive ? 'quiet' : 'shared',
  ]);
  const quiet = audit.cpus.filter(({ isExclusive }) => isExclusive);
  const reasons = [...audit.cpus.flatMap((cpu) => cpu.reasons), ...audit.reasons];
  return [
    `watched for ${(audit.watchedMs / 1000).toFixed(1)} s`,
    '',
    ...table(head, rows, [0, 1, 2, 3, 4, 5]),
    '',
    audit.pressureFraction === null
      ? 'this kernel does not say whether anybody waits (PSI)'
      : `${percent(Math.min(1, audit.pressureFraction))} of the time somebody waited (PSI)`,
    `${percent(audit.ownWaitFraction)} of one CPU is what our threads waited for`,
    audit.throttledFraction === null
      ? 'no quota stops us'
      : `${percent(audit.throttledFraction)} of the time the quota stopped us`,
    '',
    ...reasons,
    quiet.length === 0
      ? 'verdict: no CPU was ours alone: do not pin'
      : `verdict: CPU ${formatCpuList(quiet.map(({ cpuIndex }) => cpuIndex))} had no company`,
  ];
}

export function adviceLines(advice: Advice): string[] {
  const lines = advice.audit === null ? [] : [...auditLines(advice.audit), ''];
  if (advice.shouldPin) lines.push('advice: pin');
  else lines.push('advice: do not pin', ...advice.reasons.map((reason) => `  ${reason}`));
  if (advice.placements.length > 0) {
    const title = advice.shouldPin ? 'which worker where' : 'which worker where, if it were quiet';
    lines.push('', `${title}:`);
    const rows = advice.placements.map(({ name, cpus, isAlone }) => [
      `  ${name}`,
      formatCpuList(cpus),
      isAlone ? 'a core of its own' : 'with all others',
    ]);
    lines.push(...table(['  worker', 'CPU', ''], rows));
    lines.push(`  main and helpers: CPU ${formatCpuList(advice.otherCpus)}`);
  }
  if (advice.shouldPin) lines.push('', 'as a list for the configuration:', `  ${listOf(advice)}`);
  if (advice.tunings.length + advice.texts.length > 0) {
    lines.push(
      '',
      'what would keep the CPUs of the workers quieter (--apply writes the first kind):',
    );
    lines.push(...advice.tunings.map((tuning) => `  ${commandOf(tuning, tuning.value)}`));
    lines.push(...advice.texts.map((text) => `  ${text}`));
  }
  return lines;
}

/** `cpu.pin` that says the same for good. */
function listOf({ placements, otherCpus }: Advice): string {
  const entries = [
    ...placements.map(({ name, cpus }) => [name, cpus] as const),
    ['main', otherCpus] as const,
    ['helpers', otherCpus] as const,
  ];
  const words = entries.map(([name, cpus]) => `${name}: '${formatCpuList(cpus)}'`);
  return `cpu: { pin: { ${words.join(', ')} } }`;
}

/** As a shell command, with what it is for. */
function commandOf({ path, what }: Tuning, value: string): string {
  return `echo ${value} > ${path}   # ${what}`;
}

/** What was written, and the lines that undo it. */
export function appliedLines(applied: readonly TuningResult[]): string[] {
  if (applied.length === 0) return ['', 'there was nothing to apply'];
  const done = applied.filter(({ error }) => error === '');
  const failed = applied.filter(({ error }) => error !== '');
  return [
    '',
    ...failed.map(({ tuning, error }) => `not written, ${error}: ${tuning.path}`),
    `${done.length} of ${applied.length} masks written; these lines put them back:`,
    ...done.map(({ tuning }) => `  ${commandOf(tuning, tuning.before)}`),
  ];
}

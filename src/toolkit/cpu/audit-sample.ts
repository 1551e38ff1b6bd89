/**
 * Audit sample: the counters that say who used which CPU, all read at about one moment.
 *
 * SOURCE  proc_stat(5), proc_interrupts(5), Documentation/accounting/psi.rst, cpu.stat of
 *         cgroup-v2.rst and sched-bwc.rst. What a kernel or container does not show is null.
 */
import type { CpuLimits } from './limits.ts';
import type { SystemFiles } from './system-files.ts';
import { readTaskStat, readTaskTimes } from './task-files.ts';

/** Ticks of 10 ms since the machine started. */
export interface CpuTicks {
  readonly busy: number;
  readonly interrupt: number;
  readonly steal: number;
  readonly total: number;
}

export interface OwnThread {
  readonly startTicks: number;
  readonly ranMs: number;
  readonly waitedMs: number;
  readonly lastCpu: number;
}

export interface OtherTask {
  readonly name: string;
  readonly cpuMs: number;
  readonly lastCpu: number;
}

export interface InterruptLine {
  /** As /proc/irq numbers it; '' for those of the CPU itself. */
  readonly irq: string;
  readonly name: string;
  /** By the order of the head line. */
  readonly counts: readonly number[];
}

export interface Sample {
  readonly timeMs: number;
  readonly ticks: ReadonlyMap<number, CpuTicks>;
  readonly own: ReadonlyMap<number, OwnThread>;
  readonly others: ReadonlyMap<number, OtherTask>;
  readonly interruptCpus: readonly number[];
  readonly interrupts: readonly InterruptLine[];
  /** Time that tasks of the machine waited for a CPU, µs (PSI "some"). */
  readonly pressureUs: number | null;
  readonly cgroupPressureUs: number | null;
  /** Time that the quota stopped the cgroup, µs. */
  readonly throttledUs: number | null;
}

/** Of the other processes only the first and the last sample need to know: they may be many. */
export function readSample(
  files: SystemFiles,
  limits: CpuLimits,
  timeMs: number,
  withOthers: boolean,
  pid = 'self',
): Sample {
  const { cpus, lines } = readInterrupts(files);
  return {
    timeMs,
    ticks: readTicks(files),
    own: readOwn(files, pid),
    others: withOthers ? readOthers(files, pid) : new Map(),
    interruptCpus: cpus,
    interrupts: lines,
    pressureUs: pressureOf(files.read('proc/pressure/cpu')),
    cgroupPressureUs:
      limits.cgroupVersion === 2
        ? pressureOf(files.read(`${limits.cgroupFolder}/cpu.pressure`))
        : null,
    throttledUs: readThrottled(files, limits),
  };
}

function readTicks(files: SystemFiles): Map<number, CpuTicks> {
  const found = new Map<number, CpuTicks>();
  for (const line of (files.read('proc/stat') ?? '').split('\n')) {
    const [name = '', ...numbers] = line.split(' ');
    const cpu = /^cpu(\d+)$/.exec(name)?.[1];
    if (cpu === undefined) continue;
    // Guest time is part of user time.
    const [user = 0, nice = 0, system = 0, idle = 0, wait = 0, irq = 0, soft = 0, steal = 0] =
      numbers.map(Number);
    const busy = user + nice + system;
    const interrupt = irq + soft;
    const total = busy + interrupt + steal + idle + wait;
    found.set(Number(cpu), { busy, interrupt, steal, total });
  }
  return found;
}

function readOwn(files: SystemFiles, pid: string): Map<number, OwnThread> {
  const found = new Map<number, OwnThread>();
  for (const name of files.list(`proc/${pid}/task`)) {
    const tid = Number(name);
    const stat = readTaskStat(files, pid, tid);
    if (stat === null) continue;
    const times = readTaskTimes(files, pid, tid);
    found.set(tid, {
      startTicks: stat.startTicks,
      ranMs: times === null ? stat.cpuMs : times.ranNs / 1e6,
      waitedMs: times === null ? 0 : times.waitedNs / 1e6,
      lastCpu: stat.lastCpu,
    });
  }
  return found;
}

/** Processes that this one may see: in a container none but its own. */
function readOthers(files: SystemFiles, ownPid: string): Map<number, OtherTask> {
  const found = new Map<number, OtherTask>();
  const own = /^\d+/.exec(files.read(`proc/${ownPid}/stat`) ?? '')?.[0];
  for (const pid of files.list('proc')) {
    if (!/^\d+$/.test(pid) || pid === own) continue;
    const stat = readTaskStat(files, pid, Number(pid));
    if (stat === null) continue;
    const whole = files.read(`proc/${pid}/stat`) ?? '';
    const fields = whole.slice(whole.lastIndexOf(')') + 2).split(' ');
    // Of the process: all its threads.
    const cpuMs = (Number(fields[11]) + Number(fields[12])) * 10;
    found.set(Number(pid), { name: stat.name, cpuMs, lastCpu: stat.lastCpu });
  }
  return found;
}

function readInterrupts(files: SystemFiles): { cpus: number[]; lines: InterruptLine[] } {
  const [head = '', ...rest] = (files.read('proc/interrupts') ?? '').split('\n');
  const cpus = [...head.matchAll(/CPU(\d+)/g)].map((match) => Number(match[1]));
  const lines: InterruptLine[] = [];
  for (const line of rest) {
    const [label = '', ...fields] = line.trim().split(/\s+/);
    if (!/^\d+:$/.test(label)) continue;
    lines.push({
      irq: label.slice(0, -1),
      name: fields.at(-1) ?? '',
      counts: fields.slice(0, cpus.length).map(Number),
    });
  }
  return { cpus, lines };
}

function pressureOf(text: string | null): number | null {
  const total = /^some .*total=(\d+)/m.exec(text ?? '')?.[1];
  return total === undefined ? null : Number(total);
}

function readThrottled(files: SystemFiles, limits: CpuLimits): number | null {
  if (limits.quotaCpus === null) return null;
  const text = files.read(`${limits.quotaFolder}/cpu.stat`) ?? '';
  const us = /^throttled_usec (\d+)/m.exec(text)?.[1];
  const ns = /^throttled_time (\d+)/m.exec(text)?.[1];
  return us !== undefined ? Number(us) : ns === undefined ? null : Number(ns) / 1000;
}

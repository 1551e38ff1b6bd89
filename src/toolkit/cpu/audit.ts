/**
 * Audit: is a CPU ours alone? Watched for about a second, with what was seen.
 *
 * WHY         On a CPU that others use too, a pinned thread cannot be moved away when it has to
 *             wait: its worst pause was 5 to 10 times longer than unpinned (measured on a shared
 *             machine). So the question comes before the pin.
 * HOW         The time of the CPU that is neither idle nor interrupts nor stolen, minus what the
 *             threads of this process ran there, is other tasks'. Ours move between CPUs, so the
 *             window is cut into steps and each step's time counts for the CPU at its end.
 * EXACTNESS   The kernel counts in ticks of 10 ms: in one second 1 %. A thread of ours that moves
 *             within a step is counted for one CPU: leave pinned candidates unused while they are
 *             watched, or pin first.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { monotonicMs } from '../base/clock.ts';
import { readSample, type Sample } from './audit-sample.ts';
import { type CpuLimits, readLimits } from './limits.ts';
import { systemFiles } from './system-files.ts';

/** Above these a CPU is shared, or a pin would not hold what it promises. */
export const AUDIT_LIMITS = {
  /** Time of other tasks: 5 % is a pause of 50 ms in every second. */
  otherFraction: 0.05,
  /** Time that a hypervisor took: the CPU is not even a whole one. */
  stealFraction: 0.01,
  interruptFraction: 0.05,
  /** Interrupts of devices a second. */
  interruptsPerSecond: 1_000,
  /** Time that the quota stopped this cgroup. */
  throttledFraction: 0.001,
  /** Time that somebody waited for a CPU, anywhere on the machine (PSI "some"). */
  pressureFraction: 0.25,
} as const;

export interface NamedShare {
  readonly name: string;
  /** Process id, or number of the interrupt. */
  readonly id: string;
  /** A fraction of one CPU, or times a second. */
  readonly value: number;
}

/** Fractions are of the watched time; 0.05 = 5 %. */
export interface CpuEvidence {
  readonly cpuIndex: number;
  /** Time of threads of this process. */
  readonly ownFraction: number;
  readonly otherFraction: number;
  readonly stealFraction: number;
  readonly interruptFraction: number;
  readonly interruptsPerSecond: number;
  /** Other processes that last ran on it, the busiest first; empty where a container hides them. */
  readonly otherTasks: readonly NamedShare[];
  readonly interrupts: readonly NamedShare[];
  readonly isExclusive: boolean;
  /** Why not; empty when it is. */
  readonly reasons: readonly string[];
}

export interface Audit {
  readonly watchedMs: number;
  readonly cpus: readonly CpuEvidence[];
  /** Null: this kernel does not say. */
  readonly pressureFraction: number | null;
  readonly cgroupPressureFraction: number | null;
  readonly throttledFraction: number | null;
  /** Time that threads of this process could run and had no CPU, in CPUs. */
  readonly ownWaitFraction: number;
  /** What speaks against pinning on any CPU. */
  readonly reasons: readonly string[];
}

export interface AuditOptions {
  /** 1,000 by default. */
  readonly watchMs?: number;
  /** Whose threads and limits are "ours"; this process by default. */
  readonly pid?: number;
  readonly root?: string;
}

const WATCH_MS = 1_000;
const STEP_COUNT = 10;
const NAMES_MAX = 3;

/** Watches these CPUs. Needs no addon; the event loop must be free to turn. */
export async function audit(cpus: readonly number[], options: AuditOptions = {}): Promise<Audit> {
  const files = systemFiles(options.root);
  const pid = options.pid === undefined ? 'self' : `${options.pid}`;
  const limits = readLimits(files, pid);
  const stepMs = (options.watchMs ?? WATCH_MS) / STEP_COUNT;
  const samples = [readSample(files, limits, monotonicMs(), true, pid)];
  for (let step = 1; step <= STEP_COUNT; step++) {
    await sleep(stepMs);
    samples.push(readSample(files, limits, monotonicMs(), step === STEP_COUNT, pid));
  }
  return judge(samples, cpus, limits);
}

/** What the samples say; at least two. */
export function judge(
  samples: readonly Sample[],
  cpus: readonly number[],
  limits: CpuLimits,
): Audit {
  const first = samples[0]!;
  const last = samples.at(-1)!;
  const watchedMs = last.timeMs - first.timeMs;
  const own = ownByCpu(samples);
  const share = (now: number | null, before: number | null): number | null =>
    now === null || before === null ? null : (now - before) / 1000 / watchedMs;
  const evidence = cpus.map((cpu) => evidenceOf(cpu, first, last, own.ran.get(cpu) ?? 0));
  const throttledFraction = share(last.throttledUs, first.throttledUs);
  const pressureFraction = share(last.pressureUs, first.pressureUs);
  const reasons: string[] = [];
  if ((throttledFraction ?? 0) > AUDIT_LIMITS.throttledFraction) {
    const quota = `the quota of ${limits.quotaCpus} CPUs (/${limits.quotaFolder})`;
    reasons.push(`${quota} stopped us for ${percent(throttledFraction!)} of the time`);
  }
  return {
    watchedMs,
    cpus: evidence,
    pressureFraction,
    cgroupPressureFraction: share(last.cgroupPressureUs, first.cgroupPressureUs),
    throttledFraction,
    ownWaitFraction: own.waitedMs / watchedMs,
    reasons,
  };
}

/** Our own time by CPU, ms; and our waiting, ms. */
function ownByCpu(samples: readonly Sample[]): { ran: Map<number, number>; waitedMs: number } {
  const ran = new Map<number, number>();
  let waitedMs = 0;
  for (let i = 1; i < samples.length; i++) {
    for (const [tid, now] of samples[i]!.own) {
      const before = samples[i - 1]!.own.get(tid);
      const isSame = before?.startTicks === now.startTicks;
      const ranMs = now.ranMs - (isSame ? before.ranMs : 0);
      waitedMs += now.waitedMs - (isSame ? before.waitedMs : 0);
      ran.set(now.lastCpu, (ran.get(now.lastCpu) ?? 0) + ranMs);
    }
  }
  return { ran, waitedMs };
}

function evidenceOf(cpu: number, first: Sample, last: Sample, ownMs: number): CpuEvidence {
  const watchedMs = last.timeMs - first.timeMs;
  const [before, now] = [first.ticks.get(cpu), last.ticks.get(cpu)];
  const total = before === undefined || now === undefined ? 0 : now.total - before.total;
  const ratio = (ticks: number): number => (total > 0 ? Math.max(0, ticks) / total : 0);
  const busyFraction = ratio((now?.busy ?? 0) - (before?.busy ?? 0));
  // A tick may fall into a busy moment of ours: never more than what was busy.
  const ownFraction = Math.min(busyFraction, ownMs / watchedMs);
  const interrupts = interruptsOf(cpu, first, last);
  const seen = {
    cpuIndex: cpu,
    ownFraction,
    otherFraction: busyFraction - ownFraction,
    stealFraction: ratio((now?.steal ?? 0) - (before?.steal ?? 0)),
    interruptFraction: ratio((now?.interrupt ?? 0) - (before?.interrupt ?? 0)),
    interruptsPerSecond: interrupts.reduce((sum, { value }) => sum + value, 0),
    otherTasks: otherTasksOf(cpu, first, last),
    interrupts: interrupts.slice(0, NAMES_MAX),
  };
  const reasons = total > 0 ? reasonsOf(seen) : [`CPU ${cpu} is offline, or nothing counts for it`];
  return { ...seen, isExclusive: reasons.length === 0, reasons };
}

function reasonsOf(seen: Omit<CpuEvidence, 'isExclusive' | 'reasons'>): string[] {
  const found: string[] = [];
  const cpu = `CPU ${seen.cpuIndex}`;
  if (seen.otherFraction > AUDIT_LIMITS.otherFraction) {
    const names = seen.otherTasks.map(({ name, id, value }) => `${name} ${id}: ${percent(value)}`);
    const who = names.length === 0 ? '' : ` (last seen there: ${names.join(', ')})`;
    found.push(`other tasks used ${percent(seen.otherFraction)} of ${cpu}${who}`);
  }
  if (seen.stealFraction > AUDIT_LIMITS.stealFraction) {
    found.push(`the hypervisor took ${percent(seen.stealFraction)} of ${cpu}`);
  }
  const names = seen.interrupts.map(({ name, id }) => `${name} (irq ${id})`).join(', ');
  if (seen.interruptFraction > AUDIT_LIMITS.interruptFraction) {
    // The time of the timer and of the kernel's own packet work has no line in /proc/interrupts.
    const who = names === '' ? '' : `: ${names}`;
    found.push(`interrupts used ${percent(seen.interruptFraction)} of ${cpu}${who}`);
  } else if (seen.interruptsPerSecond > AUDIT_LIMITS.interruptsPerSecond) {
    const rate = Math.round(seen.interruptsPerSecond);
    found.push(`devices interrupted ${cpu} ${rate} times a second: ${names}`);
  }
  return found;
}

function interruptsOf(cpu: number, first: Sample, last: Sample): NamedShare[] {
  const column = last.interruptCpus.indexOf(cpu);
  if (column < 0) return [];
  const seconds = (last.timeMs - first.timeMs) / 1000;
  const before = new Map(first.interrupts.map(({ irq, counts }) => [irq, counts[column] ?? 0]));
  return last.interrupts
    .map(({ irq, name, counts }) => ({
      id: irq,
      name,
      value: ((counts[column] ?? 0) - (before.get(irq) ?? 0)) / seconds,
    }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value);
}

function otherTasksOf(cpu: number, first: Sample, last: Sample): NamedShare[] {
  const watchedMs = last.timeMs - first.timeMs;
  return [...last.others]
    .filter(([, task]) => task.lastCpu === cpu)
    .map(([pid, { name, cpuMs }]) => ({
      id: `${pid}`,
      name,
      value: (cpuMs - (first.others.get(pid)?.cpuMs ?? 0)) / watchedMs,
    }))
    .filter(({ value }) => value >= 0.01)
    .sort((a, b) => b.value - a.value)
    .slice(0, NAMES_MAX);
}

/** 0.0734 as "7.3 %". */
export function percent(fraction: number): string {
  return `${(100 * fraction).toFixed(1)} %`;
}

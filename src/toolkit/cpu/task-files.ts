/**
 * Task files: what the kernel says of one thread, in /proc/PID/task/TID.
 *
 * SOURCE  proc_pid_stat(5), proc_pid_status(5), Documentation/scheduler/sched-stats.rst. The file
 *         `sched` needs CONFIG_SCHED_DEBUG, `schedstat` CONFIG_SCHED_INFO: without, null.
 */
import { parseCpuList } from './cpu-list.ts';
import type { SystemFiles } from './system-files.ts';

export interface TaskStat {
  readonly name: string;
  /** User and system time, ms; in steps of 10. */
  readonly cpuMs: number;
  /** Start, in ticks of 10 ms since the machine started. */
  readonly startTicks: number;
  /** The CPU it last ran on. */
  readonly lastCpu: number;
}

export interface TaskTimes {
  /** Time on a CPU, ns. */
  readonly ranNs: number;
  /** Time that it could run and had no CPU, ns. */
  readonly waitedNs: number;
}

/** USER_HZ: the same on every architecture that Node.js runs on. */
const TICK_MS = 10;

/** Null: there is no such thread. */
export function readTaskStat(files: SystemFiles, pid: string, tid: number): TaskStat | null {
  const text = files.read(`proc/${pid}/task/${tid}/stat`);
  if (text === null) return null;
  // The name may hold blanks and parentheses; the last one ends it.
  const end = text.lastIndexOf(')');
  const fields = text.slice(end + 2).split(' ');
  if (end < 0 || fields.length < 37) return null;
  // Numbered from 3 in the manual: state is fields[0].
  return {
    name: text.slice(text.indexOf('(') + 1, end),
    cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
    startTicks: Number(fields[19]),
    lastCpu: Number(fields[36]),
  };
}

export function readTaskTimes(files: SystemFiles, pid: string, tid: number): TaskTimes | null {
  const fields = (files.read(`proc/${pid}/task/${tid}/schedstat`) ?? '').split(' ').map(Number);
  if (fields.length < 3 || fields.some(Number.isNaN)) return null;
  return { ranNs: fields[0]!, waitedNs: fields[1]! };
}

export interface TaskStatus {
  readonly cpus: readonly number[];
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
}

export function readTaskStatus(files: SystemFiles, pid: string, tid: number): TaskStatus | null {
  const text = files.read(`proc/${pid}/task/${tid}/status`);
  if (text === null) return null;
  const value = (name: string) => new RegExp(`^${name}:\\s*(\\S*)$`, 'm').exec(text)?.[1] ?? '';
  return {
    cpus: parseCpuList(value('Cpus_allowed_list')) ?? [],
    voluntarySwitches: Number(value('voluntary_ctxt_switches')),
    involuntarySwitches: Number(value('nonvoluntary_ctxt_switches')),
  };
}

/** Moves to another CPU; null where the kernel does not count them. */
export function readMigrations(files: SystemFiles, pid: string, tid: number): number | null {
  const text = files.read(`proc/${pid}/task/${tid}/sched`) ?? '';
  const found = /^se\.nr_migrations\s*:\s*(\d+)$/m.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/**
 * CPU time and memory of another process, total and per thread, from /proc/<pid>.
 *
 * The total is what getrusage(RUSAGE_SELF) says in that process: it has the threads that ended too.
 * A thread is known by its name (comm); threads of one name are added up. A thread that a worker
 * starts inherits the worker's name: DuckDB's count as the store's.
 */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ: the unit of /proc/<pid>/stat; 100 on every Linux architecture that Node.js runs on. */
const TICKS_PER_SECOND = 100;

export interface ProcessCpu {
  /** User + system time of all threads, µs; steps of 10 ms. */
  readonly totalUs: number;
  /** Thread name -> time on a CPU, µs, of the threads that live now. */
  readonly threadsUs: ReadonlyMap<string, number>;
}

/** User + system time of one line of /proc/<pid>/stat, µs. The name in it may hold spaces. */
export function parseStat(line: string): number {
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  return (ticks * 1e6) / TICKS_PER_SECOND;
}

export function readProcessCpu(pid: number): ProcessCpu {
  const threadsUs = new Map<string, number>();
  for (const threadId of readdirSync(`/proc/${pid}/task`)) {
    const folder = `/proc/${pid}/task/${threadId}`;
    const us = readThreadUs(folder);
    const name = readOrNull(`${folder}/comm`)?.trim();
    if (us === null || name === undefined) continue;
    threadsUs.set(name, (threadsUs.get(name) ?? 0) + us);
  }
  return { totalUs: parseStat(readFileSync(`/proc/${pid}/stat`, 'utf8')), threadsUs };
}

/** schedstat has nanoseconds where the kernel keeps it; stat has ticks everywhere. */
function readThreadUs(folder: string): number | null {
  const schedstat = readOrNull(`${folder}/schedstat`);
  if (schedstat !== null) return Number(schedstat.split(' ')[0]) / 1000;
  const stat = readOrNull(`${folder}/stat`);
  return stat === null ? null : parseStat(stat);
}

/** A thread may end between the listing of its folder and the reading of its files. */
function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

export function cpuBetween(from: ProcessCpu, to: ProcessCpu): ProcessCpu {
  const threadsUs = new Map<string, number>();
  for (const [name, us] of to.threadsUs) {
    threadsUs.set(name, us - (from.threadsUs.get(name) ?? 0));
  }
  return { totalUs: to.totalUs - from.totalUs, threadsUs };
}

/** The greatest resident memory so far (VmHWM), bytes. */
export function readPeakRssBytes(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) * 1024;
}

/**
 * Threads: every thread of a process, what it does, where it may run and what that cost it.
 *
 * KINDS   `main`; `worker`: it stands in the register (register.ts); `helper`: all others, which
 *         are V8's pool, libuv's pool, the signal thread and those of native libraries. A worker
 *         that has not registered looks like a helper. Node.js names its threads since 22 (libuv)
 *         and 24 (V8): then the role says which; before, all are "node".
 */
import { registeredThreads } from './register.ts';
import { type SystemFiles, systemFiles } from './system-files.ts';
import { readMigrations, readTaskStat, readTaskStatus, readTaskTimes } from './task-files.ts';

export interface ThreadInfo {
  readonly threadId: number;
  /** As `ps -T` shows it, 15 bytes. */
  readonly name: string;
  readonly kind: 'main' | 'worker' | 'helper';
  /** What was registered; else 'main', a known name of Node.js, or 'helper'. */
  readonly role: string;
  /** The CPUs that it may run on. */
  readonly cpus: readonly number[];
  readonly lastCpu: number;
  /** User and system time since it started, ms. */
  readonly cpuMs: number;
  /** Time that it could run and had no CPU, ms; null where the kernel does not say. */
  readonly waitedMs: number | null;
  /** Moves from one CPU to another; null where the kernel does not say. */
  readonly migrations: number | null;
  /** Times that it waited for something. */
  readonly voluntarySwitches: number;
  /** Times that it was put aside for another task. */
  readonly involuntarySwitches: number;
  /** In ticks of 10 ms since the machine started: a thread id may be used again. */
  readonly startTicks: number;
}

export interface ThreadsOptions {
  /** Another process; its workers are known by name only. */
  readonly pid?: number;
  /** Root of a recorded tree; '/' by default. */
  readonly root?: string;
}

/** Names that Node.js gives its own threads. */
const KNOWN_NAMES: Readonly<Record<string, string>> = {
  'libuv-worker': 'libuv pool',
  V8Worker: 'v8 pool',
  DelayedTaskSche: 'v8 delayed tasks',
  SignalInspector: 'signals',
};

/** All threads of this process, in the order of their ids. Needs no addon. */
export function threads(options: ThreadsOptions = {}): readonly ThreadInfo[] {
  const pid = options.pid === undefined ? 'self' : `${options.pid}`;
  const isOwn = options.pid === undefined || options.pid === process.pid;
  const isLive = isOwn && (options.root ?? '/') === '/';
  return readThreads(systemFiles(options.root), pid, isLive ? rolesNow() : new Map());
}

function rolesNow(): ReadonlyMap<number, string> {
  return new Map(registeredThreads().map(({ threadId, role }) => [threadId, role]));
}

export function readThreads(
  files: SystemFiles,
  pid: string,
  roles: ReadonlyMap<number, string>,
): readonly ThreadInfo[] {
  const mainId = Number(/^\d+/.exec(files.read(`proc/${pid}/stat`) ?? '')?.[0] ?? -1);
  const mainName = readTaskStat(files, pid, mainId)?.name ?? '';
  const tids = files.list(`proc/${pid}/task`).map(Number);
  const found: ThreadInfo[] = [];
  for (const tid of tids.sort((a, b) => a - b)) {
    const stat = readTaskStat(files, pid, tid);
    const status = readTaskStatus(files, pid, tid);
    // It ended between the list and here.
    if (stat === null || status === null) continue;
    const times = readTaskTimes(files, pid, tid);
    const registered = roles.get(tid);
    found.push({
      threadId: tid,
      name: stat.name,
      kind: tid === mainId ? 'main' : registered === undefined ? 'helper' : 'worker',
      role: registered ?? (tid === mainId ? 'main' : roleByName(stat.name, mainName)),
      cpus: status.cpus,
      lastCpu: stat.lastCpu,
      cpuMs: times === null ? stat.cpuMs : times.ranNs / 1e6,
      waitedMs: times === null ? null : times.waitedNs / 1e6,
      migrations: readMigrations(files, pid, tid),
      voluntarySwitches: status.voluntarySwitches,
      involuntarySwitches: status.involuntarySwitches,
      startTicks: stat.startTicks,
    });
  }
  return found;
}

/** A thread with a name of its own was named by somebody who knows. */
function roleByName(name: string, mainName: string): string {
  return KNOWN_NAMES[name] ?? (name === mainName || name === 'node' ? 'helper' : name);
}

/**
 * Threads of this process in tests, as /proc/self/task has them.
 *
 * WHY  A Worker has ended for Node.js, and a thread is joined, when its memory is given up; the
 *      kernel takes the task out of /proc a moment later. On a busy machine that moment is long
 *      enough to be seen, and a task that is listed may be gone before it is read.
 */
import { readdirSync, readFileSync } from 'node:fs';

const TASKS = '/proc/self/task';
/** PF_EXITING of the kernel, in the flags of a task's stat line. */
const IS_EXITING = 4;
/** Behind the name in parentheses. */
const FLAGS_FIELD = 6;

/** Text of a task's file in /proc; null: the task has ended since it was listed. */
export function readTask(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
}

function isExiting(stat: string): boolean {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[FLAGS_FIELD]) & IS_EXITING) !== 0;
}

/** Names of the threads that live. */
export function taskNames(): readonly string[] {
  const names: string[] = [];
  for (const task of readdirSync(TASKS)) {
    const stat = readTask(`${TASKS}/${task}/stat`);
    if (stat === null || isExiting(stat)) continue;
    names.push(stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')));
  }
  return names;
}

/** Until /proc lists none that has ended. */
export async function untilTasksGone(): Promise<void> {
  const isThere = (task: string): boolean => {
    const stat = readTask(`${TASKS}/${task}/stat`);
    return stat !== null && isExiting(stat);
  };
  while (readdirSync(TASKS).some(isThere)) await new Promise((resolve) => setTimeout(resolve, 1));
}

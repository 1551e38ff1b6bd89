/**
 * Without fds: this process with its limit of open files reached, as an operator meets it: EMFILE.
 *
 * The soft limit is lowered to little more than what is open (prlimit(1)), and all that is free
 * below it is taken; both go back afterwards, whatever happens.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';

const ROOM = 16;

/** `spare`: so many can be opened. */
export function withoutFds(body: () => void, spare = 0): void {
  const limits = readFileSync('/proc/self/limits', 'utf8');
  const before = Number(limits.match(/Max open files\s+(\d+)/)![1]);
  const highest = Math.max(...readdirSync('/proc/self/fd').map(Number));
  setLimit(highest + ROOM);
  const taken: number[] = [];
  try {
    takeAll(taken);
    for (const fd of taken.splice(0, spare)) closeSync(fd);
    body();
  } finally {
    for (const fd of taken) closeSync(fd);
    setLimit(before);
  }
}

function setLimit(soft: number): void {
  execFileSync('prlimit', [`--pid=${process.pid}`, `--nofile=${soft}:`]);
}

function takeAll(into: number[]): void {
  try {
    for (;;) into.push(openSync('/dev/null', 'r'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error;
  }
}

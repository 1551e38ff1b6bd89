/**
 * The same corrupting program under the guard and under valgrind's memcheck, from its start until
 * it has ended with its report.
 *
 * Memcheck slows down all that the program does, the guard only what faults; so the quotient grows
 * with the work before the bug, up to that of the work itself. The C program's work is the best
 * case of memcheck (each step waits for the one before). In Node.js memcheck cannot see the bug: it
 * knows malloc's blocks, not buffers. The time is that of looking in vain.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { buildPeer, ROOT } from '../lib/peers.ts';
import { type BenchRow, makeRow } from '../lib/result.ts';
import { type Ended, runTimed } from './children.ts';

const CORRUPTING = fileURLToPath(new URL('corrupting.js', import.meta.url));
const LIBRARY = join(ROOT, 'build/libmillrace-guard.so');
const RATIO_MIN = 50;
const C_ROUNDS = 2_000;
const NODE_ROUNDS = 200;
const GUARD_RUNS = 5;

/** valgrind's version, or null where it is not. */
export function valgrindVersion(): string | null {
  const { status, stdout } = spawnSync('valgrind', ['--version'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : null;
}

interface Program {
  readonly name: string;
  readonly guarded: readonly string[];
  readonly bare: readonly string[];
  /** What memcheck's report must hold, where it can see the bug at all. */
  readonly memcheckFinds: RegExp | null;
  readonly atLeast?: number;
}

function programs(): readonly Program[] {
  const corrupt = buildPeer('corrupt');
  const node = [process.execPath, CORRUPTING, String(NODE_ROUNDS)];
  return [
    {
      name: 'Node.js program',
      guarded: [...node, 'guard'],
      bare: node,
      memcheckFinds: null,
      atLeast: RATIO_MIN,
    },
    {
      name: 'C program, overrun of a buffer',
      guarded: [corrupt, LIBRARY, String(C_ROUNDS)],
      bare: [corrupt, 'malloc', String(C_ROUNDS)],
      memcheckFinds: /Invalid write of size 1/,
    },
  ];
}

function mustFind(what: string, ended: Ended, pattern: RegExp): void {
  if (pattern.test(ended.stderr)) return;
  const text = ended.stderr.slice(-500);
  throw new MillraceError('MR_INPUT', `${what} did not find the bug (${ended.code}): ${text}`);
}

async function measureProgram(program: Program, rounds: number): Promise<BenchRow[]> {
  const guarded: number[] = [];
  const memcheck: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const inRound: number[] = [];
    for (let run = 0; run < GUARD_RUNS; run++) {
      const ended = await runTimed(program.guarded);
      mustFind('the guard', ended, /segmentation fault at 0x/);
      inRound.push(ended.seconds);
    }
    guarded.push(...inRound);
    const ended = await runTimed(['valgrind', '--tool=memcheck', '-q', ...program.bare]);
    if (program.memcheckFinds !== null) mustFind('memcheck', ended, program.memcheckFinds);
    memcheck.push(ended.seconds);
  }
  const { name, atLeast } = program;
  const middle = makeRow('', guarded, '').value;
  const ratios = memcheck.map((seconds) => seconds / middle);
  return [
    makeRow(`${name}, guarded`, guarded, 's'),
    makeRow(`${name}, memcheck`, memcheck, 's'),
    makeRow(`${name}, memcheck / guarded`, ratios, 'x', atLeast === undefined ? {} : { atLeast }),
  ];
}

/** No rows without valgrind. */
export async function measureMemcheck(
  rounds: number,
  progress: (text: string) => void,
): Promise<BenchRow[]> {
  const version = valgrindVersion();
  if (version === null) {
    progress('memcheck is skipped: there is no valgrind (Debian: apt-get install valgrind)');
    return [];
  }
  const rows: BenchRow[] = [];
  for (const program of programs()) {
    progress(`${program.name} under ${version}`);
    rows.push(...(await measureProgram(program, rounds)));
  }
  return rows;
}

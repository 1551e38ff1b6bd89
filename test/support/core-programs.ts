/**
 * The C programs of test/guard that try the core: how they are built and run, and what they can do.
 */
import { spawnSync } from 'node:child_process';
import { CORE_SOURCES, type CompileOptions, compileC } from './compile-c.ts';

/** What core-faults.c has in their place. */
const PLANTED = new Set(['unwind.c', 'step.c', 'report.c']);
export const PARTS = CORE_SOURCES.filter((name) => !PLANTED.has(name));

export interface Outcome {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** `scenario`: its name, and a count if it takes one. */
export function run(
  program: string,
  scenario: string,
  environment: NodeJS.ProcessEnv = {},
): Outcome {
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', program, ...scenario.split(' ')];
  return spawnSync('sh', shell, {
    encoding: 'utf8',
    timeout: 120_000,
    killSignal: 'SIGKILL', // a single step holds back the others
    maxBuffer: 1 << 28,
    env: { ...process.env, ...environment },
  });
}

export function programOf(name: string, options: CompileOptions = {}): string | null {
  return compileC(`${name}.c`, { flags: ['-O1'], ...options });
}

/** Of core-regions.c: each says `right`. */
export const REGION_SCENARIOS = [
  'extents',
  'slices',
  'overlap',
  'refused',
  'many',
  'full',
  'gone',
  'mappings',
  'labels',
];

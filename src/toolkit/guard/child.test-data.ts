/**
 * Children for tests of the guard: a program's text in a process of its own that may die, without a
 * core dump, within a minute.
 */
import { spawnSync } from 'node:child_process';

const DOOR = new URL('./index.js', import.meta.url).href;
const NATIVE = new URL('./native.js', import.meta.url).href;
const TIMEOUT_MS = 60_000;
const OUTPUT_BYTES_MAX = 1 << 28;

export interface ChildResult {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ChildOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** In front of the program: options of node. */
  readonly flags?: readonly string[];
}

/** Runs node with these parameters. */
export function runNode(
  parameters: readonly string[],
  { env = {}, flags = [] }: ChildOptions = {},
): ChildResult {
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', process.execPath, ...flags, ...parameters];
  const { status, signal, stdout, stderr } = spawnSync('sh', shell, {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
    killSignal: 'SIGKILL',
    env: { ...process.env, ...env },
  });
  return { status, signal, stdout, stderr };
}

/** A module's text; `guard` is everything that the door exports, `native` what C offers. */
export function runGuarded(text: string, options: ChildOptions = {}): ChildResult {
  const head = `import * as guard from ${JSON.stringify(DOOR)};
    import { guardNative } from ${JSON.stringify(NATIVE)};
    const native = guardNative();`;
  return runNode(['--input-type=module', '-e', `${head}\n${text}`], options);
}

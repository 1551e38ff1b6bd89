/**
 * Guard status: what works in this process, and what to change where something does not.
 *
 * Each feature is tried on memory of its own: what a kernel version, a sysctl or a container
 * promises is not what it does.
 */
import { release } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { MillraceError } from '../base/errors.ts';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { type ProtectOptions, protect } from './guard.ts';
import { GuardError } from './guard-error.ts';
import { exactStackFlags, type JsNames, jsNames, KNOWN_FILE, UNKNOWN_NAMES } from './js-names.ts';
import { guardNative } from './native.ts';
import { watch } from './watch.ts';

export interface GuardFeature {
  /** As protect, alias, divert, syscalls, watch. */
  readonly name: string;
  /** For people: what it is for. */
  readonly use: string;
  readonly works: boolean;
  /** Why not, and what to do; '' where it works. */
  readonly problem: string;
  readonly remedy: string;
}

export interface GuardStatus {
  readonly arch: string;
  readonly kernel: string;
  readonly node: string;
  /** Names of JavaScript functions in reports: where they come from, and how exact they are. */
  readonly names: JsNames;
  readonly features: readonly GuardFeature[];
}

type Probe = readonly [name: string, use: string, probe: () => void];

const PROBES: readonly Probe[] = [
  ['protect', 'write-protected pages, and a report', protecting({})],
  ['continue', 'a write is reported and goes on', protecting({ mode: 'continue' })],
  [
    'alias',
    'so that no write of another thread passes meanwhile',
    protecting({ mode: 'continue', alias: true }),
  ],
  ['divert', 'a write goes to a copy', protecting({ mode: 'divert' })],
  ['syscalls', 'writes by the kernel: userfaultfd', protecting({ syscalls: true })],
  [
    'watch',
    'single bytes: hardware watchpoints',
    () => {
      watch(new Uint8Array(8), 0, 8).end();
    },
  ],
];

/** Never throws: where nothing works, `protect` says why. */
export function guardStatus(): GuardStatus {
  const features = PROBES.map(([name, use, probe]) => ({ name, use, ...attempt(probe) }));
  return {
    arch: process.arch,
    kernel: release(),
    node: process.version,
    names: provenNames(),
    features,
  };
}

/**
 * Makes the stacks of all reports exact, where this version of Node.js has code whose stacks are
 * not: that code is not made any more. Before the program's own code runs; costs speed where it
 * changes anything. What was proved before, and the flags that were set (exactStackFlags()).
 */
export function exactStacks(): { readonly names: JsNames; readonly flags: readonly string[] } {
  const names = provenNames();
  const flags = exactStackFlags(names);
  for (const flag of flags) setFlagsFromString(flag);
  return { names, flags };
}

const NAME_PROBE_PAGES = 3; // one of them whole, wherever the buffer begins

/** Nothing is proved where writes cannot go on. */
function provenNames(): JsNames {
  try {
    const memory = new SharedArrayBuffer(NAME_PROBE_PAGES * OS_PAGE_BYTES);
    const options = { label: 'guardStatus', mode: 'continue', allow: [KNOWN_FILE] } as const;
    using guard = protect(memory, options);
    return jsNames(guardNative(), new Uint8Array(memory, guard.offset, guard.bytes));
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    return UNKNOWN_NAMES;
  }
}

function protecting(options: ProtectOptions): () => void {
  return () => {
    const memory = new SharedArrayBuffer(OS_PAGE_BYTES, { maxByteLength: OS_PAGE_BYTES });
    protect(memory, { label: 'guardStatus', ...options }).end();
  };
}

function attempt(probe: () => void): Pick<GuardFeature, 'works' | 'problem' | 'remedy'> {
  try {
    probe();
    return { works: true, problem: '', remedy: '' };
  } catch (error) {
    if (!(error instanceof GuardError || error instanceof MillraceError)) throw error;
    return { works: false, problem: error.message, remedy: error.remedy };
  }
}

/**
 * Options of a guard from outside: MILLRACE_GUARD_* of the environment, which `millrace guard run`
 * sets.
 */
import { MillraceError } from '../base/errors.ts';
import type { GuardMode } from './guard.ts';
import { GUARD_MODES } from './native.ts';

export interface OutsideOptions {
  /** Smaller buffers are left alone. */
  readonly minBytes: number;
  /** In front of each label; '' for none. */
  readonly label: string;
  readonly mode: GuardMode;
  /** Parts of names of functions and files that may write. */
  readonly allow: readonly string[];
  /** Only memory that was made at a place with this part in its `path:line`; '' for all. */
  readonly only: string;
  /** Every write is reported, not the first of each culprit alone. */
  readonly isEvery: boolean;
  readonly syscalls: boolean;
  /** Where the counts go at the end, as JSON; '' for a text on stderr. */
  readonly summaryFile: string;
}

/** The names, with what they take; for the help and the documents. */
export const OUTSIDE_VARIABLES = {
  MILLRACE_GUARD_MIN_BYTES: 'smallest buffer that is guarded, in bytes; default 65536',
  MILLRACE_GUARD_LABEL: 'what reports call the buffers, in front of size and place',
  MILLRACE_GUARD_MODE: 'report, continue, divert or throw; default continue',
  MILLRACE_GUARD_ALLOW: 'parts of names of functions or files that may write, with | between',
  MILLRACE_GUARD_ONLY: 'guard only what was made at a place with this in its path:line',
  MILLRACE_GUARD_ALL: '1: report every write, not the first of each culprit',
  MILLRACE_GUARD_SYSCALLS: '1: writes by the kernel too; needs userfaultfd',
  MILLRACE_GUARD_SUMMARY: 'file for the counts at the end, as JSON, instead of the text',
  MILLRACE_GUARD_REPORT: 'file that reports are appended to, a line of JSON each',
} as const;

export type OutsideVariable = keyof typeof OUTSIDE_VARIABLES;

type Environment = Readonly<Record<string, string | undefined>>;

const MIN_BYTES = 65_536;

/** Throws MR_USAGE that names the variable. */
export function outsideOptions(env: Environment): OutsideOptions {
  const of = (name: OutsideVariable): string => env[name] ?? '';
  const allow = of('MILLRACE_GUARD_ALLOW');
  return {
    minBytes: countOf('MILLRACE_GUARD_MIN_BYTES', env, MIN_BYTES),
    label: of('MILLRACE_GUARD_LABEL'),
    mode: modeOf(of('MILLRACE_GUARD_MODE') || 'continue'),
    allow: allow === '' ? [] : allow.split('|'),
    only: of('MILLRACE_GUARD_ONLY'),
    isEvery: of('MILLRACE_GUARD_ALL') === '1',
    syscalls: of('MILLRACE_GUARD_SYSCALLS') === '1',
    summaryFile: of('MILLRACE_GUARD_SUMMARY'),
  };
}

function countOf(name: OutsideVariable, env: Environment, fallback: number): number {
  const text = env[name] ?? '';
  const value = text === '' ? fallback : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new MillraceError('MR_USAGE', `${name}=${text} is no size`, 'give a number of bytes');
}

function modeOf(text: string): GuardMode {
  if (Object.hasOwn(GUARD_MODES, text)) return text as GuardMode;
  throw new MillraceError(
    'MR_USAGE',
    `MILLRACE_GUARD_MODE=${text} is no mode`,
    `take one of ${Object.keys(GUARD_MODES).join(', ')}`,
  );
}

/**
 * Guard errors: what the C core answers (-errno and a sentence) as an error with a code and a
 * remedy.
 *
 * WHY         The core also serves programs without Node.js: it says what was found, as errno and
 *             words; what a user of JavaScript can do about it is known here.
 * INVARIANTS  one errno, one code: a new refusal in C takes the errno of its kind from KINDS
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { type ErrorCode, MillraceError } from '../base/errors.ts';

export type GuardErrorCode = Extract<ErrorCode, `MR_GUARD_${string}`>;

export class GuardError extends MillraceError {
  constructor(code: GuardErrorCode, found: string, remedy = '', options?: ErrorOptions) {
    super(code, found, remedy, options);
    this.name = 'GuardError';
  }
}

const { errno } = constants;

type Kind = readonly [errno: number, code: GuardErrorCode, remedy: string];

const KINDS: readonly Kind[] = [
  [errno.EINVAL, 'MR_GUARD_RANGE', 'give an offset and a size that lie inside the buffer'],
  [errno.ERANGE, 'MR_GUARD_RANGE', 'give an offset and a size that lie inside the buffer'],
  [
    errno.ENOENT,
    'MR_GUARD_ENDED',
    'protect again: end(), unprotect() and a dead thread end guards',
  ],
  [
    errno.EEXIST,
    'MR_GUARD_OVERLAP',
    'end the other guard, or toggle parts of it by protectSlice()',
  ],
  [errno.EOPNOTSUPP, 'MR_GUARD_MODE', "mode: 'report' works everywhere"],
  [
    errno.EPERM,
    'MR_GUARD_PERMISSION',
    'userfaultfd needs CAP_SYS_PTRACE or vm.unprivileged_userfaultfd=1',
  ],
  [errno.EACCES, 'MR_GUARD_PERMISSION', 'the kernel or seccomp of the container forbids this call'],
  [errno.ENOSPC, 'MR_GUARD_LIMIT', 'end guards or watches that are not needed any more'],
  [errno.ENOMEM, 'MR_GUARD_LIMIT', 'protect larger pieces, or raise vm.max_map_count'],
  [errno.ENOSYS, 'MR_GUARD_KERNEL', 'millrace guard status shows what this kernel offers'],
];

/** `result` is the negative value that the core returned, `problem` its sentence. */
export function guardError(what: string, result: number, problem: string): GuardError {
  const [, code, remedy] = KINDS.find(([number]) => number === -result) ?? [
    0,
    'MR_GUARD_KERNEL' as const,
    'the text has the errno of the kernel',
  ];
  const name = getSystemErrorMap().get(result)?.[0] ?? `errno ${-result}`;
  return new GuardError(code, `${what}: ${problem === '' ? name : `${problem} (${name})`}`, remedy);
}

/**
 * Results of system calls: -errno as a value, and as an error when nobody expected it.
 *
 * A call of the addon returns a value >= 0 or -errno. Expected ones (EAGAIN) are compared as
 * numbers: `if (received === -EAGAIN)`. Any other goes through `checked` or `SyscallError`.
 */
import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { MillraceError } from '../base/errors.ts';

export const {
  EACCES,
  EADDRINUSE,
  EADDRNOTAVAIL,
  EAFNOSUPPORT,
  EAGAIN,
  EBADF,
  EBUSY,
  EDQUOT,
  ECONNABORTED,
  ECONNREFUSED,
  ECONNRESET,
  EEXIST,
  EFAULT,
  EINPROGRESS,
  EINTR,
  EINVAL,
  EIO,
  EISCONN,
  EMFILE,
  EMSGSIZE,
  ENFILE,
  ENODATA,
  ENOBUFS,
  ENOENT,
  ENOMEM,
  ENOMSG,
  ENOPROTOOPT,
  ENOSPC,
  ENOSYS,
  ENOTCONN,
  ENOTSOCK,
  EOPNOTSUPP,
  EPERM,
  EPIPE,
  EPROTONOSUPPORT,
  ESRCH,
  ETIMEDOUT,
} = constants.errno;

/** An unexpected -errno: MR_SYSCALL with the names that Node.js users know. */
export class SyscallError extends MillraceError {
  /** Symbolic name, as ENOSPC. */
  readonly errnoName: string;
  /** Positive number of errno(3). */
  readonly errno: number;
  /** Name of the native function. */
  readonly syscall: string;

  /** `result` is the negative value that the call returned; `what` names the thing it worked on. */
  constructor(syscall: string, result: number, what = '') {
    const [name, text] = getSystemErrorMap().get(result) ?? [`errno ${-result}`, 'unknown error'];
    const on = what === '' ? '' : ` on ${what}`;
    super('MR_SYSCALL', `${syscall}${on} failed: ${name}, ${text}`, errnoRemedy(name));
    this.name = 'SyscallError';
    this.errnoName = name;
    this.errno = -result;
    this.syscall = syscall;
  }
}

/** The result when it is a value; throws SyscallError when it is -errno. */
export function checked(syscall: string, result: number, what = ''): number {
  if (result < 0) throw new SyscallError(syscall, result, what);
  return result;
}

/** Name of a negative result, for log lines and counters: -11 -> 'EAGAIN'. */
export function errnoName(result: number): string {
  return getSystemErrorMap().get(result)?.[0] ?? `errno ${-result}`;
}

/** What helps against an error of that name; empty: nobody knows. */
export function errnoRemedy(name: string): string {
  switch (name) {
    case 'EMFILE':
      return 'raise the limit of open files of this process (ulimit -n, LimitNOFILE=)';
    case 'ENFILE':
      return 'raise the limit of open files of the machine (sysctl fs.file-max)';
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free some space on the disk';
    case 'EPERM':
    case 'EACCES':
      return 'check the permissions of the user that runs this, and any seccomp profile';
    case 'EROFS':
      return 'mount the file system so that it can be written';
    case 'EIO':
      return 'look at the disk, and at what the kernel says of it (dmesg)';
    case 'EISDIR':
    case 'ENOTDIR':
    case 'ESPIPE':
    case 'ELOOP':
      return 'something else stands in its place: move it away';
    case 'ENOSYS':
      return 'the kernel, or a seccomp profile of the container, does not offer this call';
    default:
      return '';
  }
}

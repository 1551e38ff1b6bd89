/**
 * Hardware watchpoints: who touches these few bytes, wherever they lie.
 *
 * WHY         protect() works by whole pages. A Buffer from Node's pool, a counter, a header share
 *             theirs with data that others may write: the processor itself watches up to four
 *             aligned pieces of 1, 2, 4 or 8 bytes, and traps behind the instruction that touched
 *             them. A write of the value that was there already is a touch too.
 * SCOPE       All threads of the process, also those born later. Neighbours are not seen.
 * LIMITS      Four pieces in the process (an unaligned range needs more than one). Writes of the
 *             kernel, read(2) into the bytes, are not seen: protect() with `syscalls` sees them. A
 *             debugger takes from the same four. In a virtual machine the host must allow it.
 * OWNERSHIP   The buffer is held until end(), because its address might become somebody else's. A
 *             watch ends with the thread that made it.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { checkOptionKinds } from './check-options.ts';
import { GuardError, guardError } from './guard-error.ts';
import { type Guardable, type GuardedBytes, guardedBytes, pin, unpin } from './guarded-bytes.ts';
import { callerOf, labelText } from './label.ts';
import { GUARD_MODES, guardNative } from './native.ts';

export const WATCH_BYTES_MAX = 32;

export interface WatchOptions {
  /** What a report calls the bytes, 63 bytes of it; by default their number and who watched. */
  readonly label?: string;
  /** `report`: write the report and die by SIGTRAP; `continue`: report every touch. */
  readonly mode?: 'report' | 'continue';
  /** Reads as well. */
  readonly reads?: boolean;
}

const PARANOID_FILE = '/proc/sys/kernel/perf_event_paranoid';

/** The watches of this thread: what they hold must not be collected. */
const watches = new Set<Watch>();

export class Watch {
  readonly label: string;
  /** How many are watched. */
  readonly bytes: number;
  readonly #id: number;
  readonly #memory: GuardedBytes;

  constructor(memory: GuardedBytes, id: number, bytes: number, label: string) {
    this.#memory = memory;
    this.#id = id;
    this.bytes = bytes;
    this.label = label;
    pin(memory);
    watches.add(this);
  }

  get isEnded(): boolean {
    return !watches.has(this);
  }

  /** Its watchpoints are free again; once more does nothing. */
  end(): void {
    if (!watches.delete(this)) return;
    guardNative().watchEnd(this.#id);
    unpin(this.#memory);
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

/**
 * Watches `bytes` bytes (1 to 32) at `offset` of a view or buffer, until end() or the end of this
 * thread. Throws GuardError (MR_GUARD_*) and MR_ADDON.
 */
export function watch(
  what: Guardable,
  offset: number,
  bytes: number,
  options: WatchOptions = {},
): Watch {
  checkOptionKinds('watch', options, { label: 'string', mode: 'string', reads: 'boolean' });
  const { mode = 'report', reads = false } = options;
  const memory = guardedBytes(what);
  const view = new Uint8Array(memory.buffer, memory.offset, memory.bytes);
  const label = labelText(options.label ?? `${bytes} bytes watched by ${callerOf(watch).text}`);
  checkRange(view, offset, bytes);
  if (mode !== 'report' && mode !== 'continue') {
    throw new GuardError(
      'MR_GUARD_MODE',
      `a watch cannot ${String(mode)}: the bytes have been touched when the processor traps`,
      "mode: 'report' or 'continue'; protect() can divert and throw",
    );
  }
  const native = guardNative();
  const id = native.watch(view, offset, bytes, reads ? 1 : 0, GUARD_MODES[mode], label);
  if (id < 0) throw refusal(label, id, native.problem());
  return new Watch(memory, id, bytes, label);
}

function checkRange(view: Uint8Array, offset: number, bytes: number): void {
  const isNumber = Number.isInteger(offset) && Number.isInteger(bytes);
  const isInside = offset >= 0 && bytes >= 1 && offset + bytes <= view.length;
  if (isNumber && isInside && bytes <= WATCH_BYTES_MAX) return;
  throw new GuardError(
    'MR_GUARD_RANGE',
    `cannot watch ${bytes} bytes at offset ${offset} of a buffer of ${view.length} bytes`,
    `watch 1 to ${WATCH_BYTES_MAX} bytes inside of the buffer`,
  );
}

/** The errno of perf_event_open(2) in words, with what this machine says of itself. */
function refusal(label: string, result: number, problem: string): GuardError {
  const { errno } = constants;
  const found = `cannot watch ${label}: ${problem}`;
  switch (-result) {
    case errno.EPERM:
    case errno.EACCES:
      return new GuardError(
        'MR_GUARD_PERMISSION',
        `${found}; ${PARANOID_FILE} is ${paranoia()}`,
        'sysctl kernel.perf_event_paranoid=2 or less, or CAP_PERFMON; in a container ' +
          'its seccomp profile must allow perf_event_open',
      );
    case errno.ENOENT:
    case errno.ENODEV:
    case errno.EOPNOTSUPP:
    case errno.ENOSYS:
      return new GuardError(
        'MR_GUARD_KERNEL',
        `${found}: this machine offers no hardware watchpoints`,
        'a virtual machine needs debug registers from its host; protect() works without',
      );
    case errno.EINVAL:
    case errno.E2BIG:
      return new GuardError('MR_GUARD_KERNEL', found, 'watchpoints need Linux 5.13 or newer');
    default:
      return guardError(`watch ${label}`, result, problem);
  }
}

function paranoia(): string {
  try {
    return readFileSync(PARANOID_FILE, 'latin1').trim();
  } catch {
    return 'not readable';
  }
}

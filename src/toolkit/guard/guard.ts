/**
 * Guard: pages of a buffer that nobody may write, and what happens to whoever does.
 *
 * WHY         Some code scribbles over my data; who? The processor stops the culprit in the act,
 *             and the core (native/guard) writes the report.
 * LAYOUT      given:      [ ............ offset .... bytes ...................... )
 *             protected:  [ edge | page | page | ........... | page | edge )
 *             edges share their page with other data, so they stay as they are: `offset` and
 *             `bytes` of the guard say what is protected within what was given.
 * OWNERSHIP   The thread that made a guard ends it, or ends with it; the memory is held until then.
 *             Others `attach` by handle, and toggle its pages: regions are the process's.
 * REFUSED     A finalizer that ends a guard that nobody refers to (a guard that vanishes when the
 *             collector comes finds nothing): forgotten guards hold until the thread ends.
 */
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { checkOptionKinds } from './check-options.ts';
import { GuardError, guardError } from './guard-error.ts';
import {
  bytesOf,
  type Guardable,
  type GuardedBytes,
  guardedBytes,
  pin,
  unpin,
} from './guarded-bytes.ts';
import { callerOf, labelText, sizeText } from './label.ts';
import {
  GUARD_ALIAS,
  GUARD_MODES,
  GUARD_NO_READ,
  GUARD_ONCE,
  GUARD_SYSCALLS,
  guardNative,
} from './native.ts';

/**
 * What happens to a write: `report` it and die as the process would have, report it and `continue`,
 * `divert` it to a scratch copy, or `throw` a RuntimeError where the writer is WebAssembly.
 */
export type GuardMode = keyof typeof GUARD_MODES;

export interface ProtectOptions {
  /** What reports call it, 63 bytes of it; by default what it is and where it was protected. */
  readonly label?: string;
  /** Default: report. */
  readonly mode?: GuardMode;
  /** With `continue`: by a second mapping, so that the page never opens for other threads. */
  readonly alias?: boolean;
  /** Writes by the kernel too: read(2) into the memory. Needs userfaultfd. */
  readonly syscalls?: boolean;
  /** Reads too; not with `continue`. */
  readonly reads?: boolean;
  /** Report the first write of each culprit, count the others. */
  readonly once?: boolean;
  /** Parts of names of functions or files that may write: counted, not reported. */
  readonly allow?: readonly string[];
  /**
   * What to do about bytes that share their page with others: by default they stay unprotected, and
   * it is an error when all of them do; `ignore` takes that too, `refuse` takes none.
   */
  readonly edges?: 'ignore' | 'refuse';
}

/** Travels to other threads of the process, by postMessage or workerData. */
export interface GuardHandle {
  readonly id: number;
  readonly label: string;
  readonly offset: number;
  readonly bytes: number;
  readonly givenBytes: number;
}

const ALLOW_BYTES_MAX = 127;
const GENERATION_MAX = 2 ** 32 - 1;

const OPTION_KINDS = {
  label: 'string',
  mode: 'string',
  alias: 'boolean',
  syscalls: 'boolean',
  reads: 'boolean',
  once: 'boolean',
  allow: 'strings',
  edges: 'string',
} as const;

/** Held here: a guard works also when the program keeps no reference to it. */
const guards = new Map<number, { readonly guard: Guard; readonly memory: GuardedBytes }>();

export class Guard {
  readonly handle: GuardHandle;
  /** Where the protected bytes start within what was given. */
  readonly offset: number;
  /** How many bytes are protected: whole OS pages. 0 with `edges: 'ignore'` where there is none. */
  readonly bytes: number;
  readonly #id: number;
  readonly #givenBytes: number;
  #allowed = 0;

  /** As `Guard.attach`. */
  constructor(handle: GuardHandle) {
    checkHandle(handle);
    this.handle = handle;
    this.#id = handle.id;
    this.offset = handle.offset;
    this.bytes = handle.bytes;
    this.#givenBytes = handle.givenBytes;
  }

  /** The same guard in another thread; it toggles, and does not end it. */
  static attach(handle: GuardHandle): Guard {
    return new Guard(handle);
  }

  get label(): string {
    return this.handle.label;
  }

  /** How many writes `allow` has let pass; after the end, how many it had. */
  get allowed(): number {
    const counts = new Float64Array(2);
    if (this.bytes > 0 && guardNative().regionCounts(this.#id, counts) >= 0) {
      this.#allowed = counts[1]!;
    }
    return this.#allowed;
  }

  /** All of it. The owner's count `generation` is shown in reports. */
  protect(generation = 0): void {
    if (this.bytes > 0) this.protectSlice(this.offset, this.bytes, generation);
  }

  /** All of it, until `protect` is called again. */
  unprotect(): void {
    if (this.bytes > 0) this.unprotectSlice(this.offset, this.bytes);
  }

  /** The whole OS pages within a slice of what was given; one call of the kernel. */
  protectSlice(offset: number, bytes: number, generation = 0): void {
    if (!this.#hasPage(offset, bytes)) this.#refuseSlice(offset, bytes);
    if (!Number.isInteger(generation) || generation < 0 || generation > GENERATION_MAX) {
      throw new GuardError(
        'MR_GUARD_RANGE',
        `protectSlice of ${this.label}: the generation is ${String(generation)}`,
        `generation is an integer from 0 to ${GENERATION_MAX}`,
      );
    }
    const result = guardNative().protect(this.#id, offset, bytes, generation);
    if (result < 0) this.#fail('protectSlice', result);
  }

  /** Pages that reach beyond the slice stay closed: a write near its edges is still reported. */
  unprotectSlice(offset: number, bytes: number): void {
    if (!this.#hasPage(offset, bytes)) this.#refuseSlice(offset, bytes);
    const result = guardNative().unprotect(this.#id, offset, bytes);
    if (result < 0) this.#fail('unprotectSlice', result);
  }

  /** Unprotects for good. Again, or in a thread that is attached only, it does nothing. */
  end(): void {
    const own = guards.get(this.#id);
    if (own?.guard !== this) return;
    guards.delete(this.#id);
    void this.allowed;
    const result = guardNative().regionEnd(this.#id);
    unpin(own.memory);
    if (result < 0) this.#fail('end', result);
  }

  [Symbol.dispose](): void {
    this.end();
  }

  #hasPage(offset: number, bytes: number): boolean {
    const first = Math.ceil((offset - this.offset) / OS_PAGE_BYTES);
    const end = Math.floor((offset - this.offset + bytes) / OS_PAGE_BYTES);
    return isSlice(offset, bytes) && end > first && offset + bytes <= this.#givenBytes;
  }

  #refuseSlice(offset: number, bytes: number): never {
    const isInside = isSlice(offset, bytes) && offset + bytes <= this.#givenBytes;
    throw isInside
      ? new GuardError(
          'MR_GUARD_PAGES',
          `no whole page lies inside the slice ${offset} .. + ${bytes} of ${this.label}`,
          `its pages start at ${this.offset} + n * ${OS_PAGE_BYTES}`,
        )
      : new GuardError(
          'MR_GUARD_RANGE',
          `the slice ${offset} .. + ${bytes} lies outside of the ${this.#givenBytes} bytes of` +
            ` ${this.label}`,
          'offset and bytes are integers; offsets count from the start of what was protected',
        );
  }

  #fail(what: string, result: number): never {
    throw guardError(`${what} of ${this.label}`, result, guardNative().problem());
  }
}

function isSlice(offset: number, bytes: number): boolean {
  return Number.isSafeInteger(offset) && Number.isSafeInteger(bytes) && offset >= 0 && bytes >= 0;
}

function checkHandle(handle: unknown): void {
  const { id, label, offset, bytes, givenBytes } = (handle ?? {}) as Partial<GuardHandle>;
  const isWhole = [id, offset, bytes, givenBytes].every((value) => Number.isInteger(value));
  if (isWhole && typeof label === 'string') return;
  throw new GuardError(
    'MR_GUARD_ENDED',
    `Guard.attach: what was given (${typeof handle}) is no handle of a guard`,
    'give guard.handle of the thread that protects',
  );
}

/**
 * Protects the whole OS pages of a buffer until `unprotect`, `end`, or the end of this thread.
 * Throws GuardError (MR_GUARD_*) and MR_ADDON.
 */
export function protect(what: Guardable, options: ProtectOptions = {}): Guard {
  checkOptionKinds('protect', options, OPTION_KINDS);
  const memory = guardedBytes(what);
  const label = labelText(options.label ?? defaultLabel(memory));
  const { id, offset, bytes } = register(memory, label, options);
  const guard = new Guard({ id, label, offset, bytes, givenBytes: memory.bytes });
  if (bytes === 0) return guard;
  pin(memory);
  guards.set(id, { guard, memory });
  try {
    guard.protect();
  } catch (error) {
    guard.end();
    throw error;
  }
  return guard;
}

interface Registered {
  readonly id: number;
  readonly offset: number;
  readonly bytes: number;
}

/** `bytes` is 0 and there is no region where that is no error. */
function register(memory: GuardedBytes, label: string, options: ProtectOptions): Registered {
  const native = guardNative();
  const { mode = 'report', edges } = options;
  if (edges !== undefined && edges !== 'ignore' && edges !== 'refuse') {
    refuseMode(`there is no edges: '${String(edges)}'`, "edges is 'ignore' or 'refuse'");
  }
  const given = new Uint8Array(memory.buffer, memory.offset, memory.bytes);
  const flags = flagsOf(mode, options);
  const allow = allowText(options);
  const extent = new Float64Array(2);
  const number = GUARD_MODES[mode];
  const id = native.region(given, 0, given.length, label, number, flags, allow, extent);
  const [offset = 0, bytes = 0] = extent;
  if (bytes === 0 ? edges !== 'ignore' : edges === 'refuse' && bytes < given.length) {
    if (id > 0) native.regionEnd(id);
    throw edgesError(given.length, bytes);
  }
  if (bytes > 0 && id < 0) throw guardError(`protect ${label}`, id, native.problem());
  return { id, offset, bytes };
}

/** Ends a guard, or all guards that were made of exactly this view. */
export function unprotect(what: Guard | Guardable): void {
  if (what instanceof Guard) {
    what.end();
    return;
  }
  const { owner, offset, bytes } = bytesOf(what);
  const found = [...guards.values()].filter(
    ({ memory }) => memory.owner === owner && memory.offset === offset && memory.bytes === bytes,
  );
  for (const { guard } of found) guard.end();
  if (found.length > 0) return;
  throw new GuardError(
    'MR_GUARD_ENDED',
    'this thread has no guard of exactly these bytes',
    'give the guard that protect() returned, or a view of the same bytes of the same buffer',
  );
}

function defaultLabel({ kind, bytes }: GuardedBytes): string {
  return `${sizeText(bytes)} ${kind} of ${callerOf(protect).text}`;
}

function flagsOf(mode: GuardMode, options: ProtectOptions): number {
  const { alias = false, syscalls = false, reads = false, once = false } = options;
  if (!Object.hasOwn(GUARD_MODES, mode)) {
    const names = Object.keys(GUARD_MODES).join(', ');
    refuseMode(`there is no mode '${String(mode)}'`, `take one of ${names}`);
  }
  if (alias && mode !== 'continue') {
    refuseMode(`alias: true does nothing with mode: '${mode}'`, "it belongs to mode: 'continue'");
  }
  if (reads && mode === 'continue') {
    refuseMode('reads: true cannot go on', "take mode: 'report', or watch() for few bytes");
  }
  return (
    (alias ? GUARD_ALIAS : 0) |
    (syscalls ? GUARD_SYSCALLS : 0) |
    (reads ? GUARD_NO_READ : 0) |
    (once ? GUARD_ONCE : 0)
  );
}

function allowText({ allow = [] }: ProtectOptions): string {
  const text = allow.join('|');
  const isBad = allow.some((part) => part === '' || part.includes('|'));
  if (isBad || Buffer.byteLength(text) > ALLOW_BYTES_MAX) {
    refuseMode(
      `allow: [${allow.join(', ')}] cannot be kept`,
      `parts of names, none empty, none with "|", at most ${ALLOW_BYTES_MAX} bytes in all`,
    );
  }
  return text;
}

function refuseMode(found: string, remedy: string): never {
  throw new GuardError('MR_GUARD_MODE', found, remedy);
}

function edgesError(given: number, bytes: number): GuardError {
  return new GuardError(
    'MR_GUARD_PAGES',
    bytes === 0
      ? `no whole page of ${OS_PAGE_BYTES} bytes lies inside the ${given} bytes given`
      : `${given - bytes} of ${given} bytes share their page with other data`,
    'watch() takes single bytes, allocGuarded() gives a buffer pages of its own;' +
      ' a growable SharedArrayBuffer and a WebAssembly.Memory start on a page',
  );
}

/**
 * Guarded buffers: who writes past the end, before the start, or after release()?
 *
 *     | closed page | fence | view ... view | fence | closed page |
 *
 * PLACES      align 'end' (the default): the view ends at the closed page, as far as `alignment`
 *             allows. 8 (the default) suits every element type: up to 7 bytes between the end and
 *             the closed page then hold a pattern (the fence); `alignment: 1` has none, and is for
 *             views of bytes. align 'start': the view begins behind the first closed page.
 * FENCES      A write into a fence is found when somebody looks: check(), release(), or when the
 *             view is collected. Nobody can say then who wrote it: that report has no culprit.
 * AFTER       release() detaches the view's buffer and closes the memory. Whoever has kept its
 *             address (an addon, another thread) is reported as "use after free" while the memory
 *             is in quarantine: at most 4,096 of them and 256 MiB of addresses in a process.
 * SHARED      A SharedArrayBuffer of whole pages, its first and last one closed; workers get the
 *             view. It lives until release(), which empties this thread's view alone: others that
 *             still have one are found out. When the thread that made it ends, its pages open.
 *             The last 64 released are kept closed, of at most 16 MiB.
 * CANARY      For those who cannot afford pages: fences of 64 bytes and no closed pages. Use the
 *             view: its `buffer` has the fences in it.
 * REFUSED     mode 'continue': what lies there belongs to nobody, nothing can go on with it.
 */
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { checkOptionKinds } from './check-options.ts';
import { GuardError, guardError } from './guard-error.ts';
import { guardedBytes, pin, unpin } from './guarded-bytes.ts';
import { callerOf, labelText, sizeText } from './label.ts';
import { type GuardFunctions, guardNative } from './native.ts';

const CANARY_BYTES = 64;

const OPTION_KINDS = {
  align: 'string',
  alignment: 'number',
  label: 'string',
  shared: 'boolean',
  canary: 'boolean',
  mode: 'string',
} as const;
const SHARED_KEPT_MAX = 64;
const SHARED_KEPT_BYTES_MAX = 16 << 20;

export interface AllocGuardedOptions {
  readonly align?: 'end' | 'start';
  /** Of the view's address, with align 'end': 1, 2, 4, 8 or 16. */
  readonly alignment?: number;
  /** What a report calls the bytes, 63 bytes of it; by default their size and who allocated. */
  readonly label?: string;
  /** Over a SharedArrayBuffer: the view may go to workers. */
  readonly shared?: boolean;
  /** Patterns around the bytes, and no closed pages. */
  readonly canary?: boolean;
  /** There is one: die after the report. */
  readonly mode?: 'report';
}

/** How one kind of memory is looked at, and given back. Results are those of the core. */
interface Backing {
  readonly view: Uint8Array;
  check(): number;
  free(): number;
}

const EMPTY = new Uint8Array(0);

export class GuardedBuffer {
  readonly label: string;
  #view: Uint8Array;
  #backing: Backing | undefined;
  #isDamaged = false;

  constructor(label: string, backing: Backing) {
    this.label = label;
    this.#view = backing.view;
    this.#backing = backing;
    pin(guardedBytes(backing.view));
  }

  /** The bytes; empty after release(). */
  get view(): Uint8Array {
    return this.#view;
  }

  get isReleased(): boolean {
    return this.#backing === undefined;
  }

  /**
   * Looks at the fences: whether all is as it should be. What is not is reported, once; the answer
   * stays false until release().
   */
  check(): boolean {
    if (this.#backing === undefined) return true;
    return this.#result('check', this.#backing.check());
  }

  /** Gives the memory back; as check(). Once more does nothing. */
  release(): boolean {
    if (this.#backing === undefined) return true;
    const memory = guardedBytes(this.#view);
    const isWhole = this.#result('release', this.#backing.free());
    unpin(memory);
    this.#backing = undefined;
    this.#view = EMPTY;
    return isWhole;
  }

  [Symbol.dispose](): void {
    this.release();
  }

  #result(what: string, result: number): boolean {
    if (result < 0) throw guardError(`${what} ${this.label}`, result, guardNative().problem());
    this.#isDamaged ||= result > 0;
    return !this.#isDamaged;
  }
}

/** Zeroed memory of `bytes` bytes whose neighbourhood is guarded. */
export function allocGuarded(bytes: number, options: AllocGuardedOptions = {}): GuardedBuffer {
  checkOptionKinds('allocGuarded', options, OPTION_KINDS);
  const { shared = false, canary = false } = options;
  const align = checkOptions(bytes, options);
  const label = labelText(
    options.label ?? `${sizeText(bytes)} allocated by ${callerOf(allocGuarded).text}`,
  );
  const native = guardNative();
  if (canary) return new GuardedBuffer(label, canaryBacking(native, bytes, shared, label));
  const backing = shared
    ? sharedBacking(native, bytes, align, label)
    : ownBacking(native, bytes, align, label);
  return new GuardedBuffer(label, backing);
}

/** The alignment for the core: 0 for 'start'. */
function checkOptions(bytes: number, options: AllocGuardedOptions): number {
  const { align = 'end', alignment = 8, mode = 'report' } = options;
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new GuardError(
      'MR_GUARD_RANGE',
      `a guarded buffer cannot have ${bytes} bytes`,
      'give an integer above 0',
    );
  }
  if ((align !== 'end' && align !== 'start') || ![1, 2, 4, 8, 16].includes(alignment)) {
    throw new GuardError(
      'MR_GUARD_RANGE',
      `a guarded buffer has no align '${align}', alignment ${alignment}`,
      "align: 'end' or 'start', alignment: 1, 2, 4, 8 or 16",
    );
  }
  if (mode !== 'report') {
    throw new GuardError(
      'MR_GUARD_MODE',
      `a guarded buffer has no mode '${String(mode)}': nothing can go on past its ends`,
      "mode: 'report'; protect() has the others",
    );
  }
  return align === 'end' ? alignment : 0;
}

function ownBacking(native: GuardFunctions, bytes: number, align: number, label: string): Backing {
  const buffer = native.alloc(bytes, align, label);
  if (typeof buffer === 'number') {
    throw guardError(`allocate ${label}`, buffer, native.problem());
  }
  const view = new Uint8Array(buffer);
  return {
    view,
    check: () => native.check(view, 0, view.length, 0),
    free: () => native.free(buffer),
  };
}

/** Shared buffers of this thread that have closed pages: V8 must not have these back. */
const held = new Set<Uint8Array>();
/** Those of them that are released, the oldest first. */
const kept: Uint8Array[] = [];
let keptBytes = 0;

function keep(native: GuardFunctions, pages: Uint8Array): void {
  kept.push(pages);
  keptBytes += pages.length;
  while (kept.length > SHARED_KEPT_MAX || keptBytes > SHARED_KEPT_BYTES_MAX) {
    const oldest = kept.shift();
    if (oldest === undefined) return;
    keptBytes -= oldest.length;
    native.check(oldest, 0, oldest.length, 2);
    held.delete(oldest);
  }
}

function sharedBacking(
  native: GuardFunctions,
  bytes: number,
  align: number,
  label: string,
): Backing {
  const all = Math.ceil(bytes / OS_PAGE_BYTES) * OS_PAGE_BYTES + 2 * OS_PAGE_BYTES;
  // A growable one has a mapping of its own, on a page boundary.
  const pages = new Uint8Array(new SharedArrayBuffer(all, { maxByteLength: all }), 0, all);
  const offset = native.close(pages, 0, all, bytes, align, label);
  if (offset < 0) throw guardError(`allocate ${label}`, offset, native.problem());
  held.add(pages);
  const view = new Uint8Array(pages.buffer, offset, bytes);
  return {
    view,
    check: () => native.check(view, 0, bytes, 0),
    free: () => {
      const result = native.check(view, 0, bytes, 1);
      if (result >= 0) keep(native, pages);
      return result;
    },
  };
}

/** A view that is collected before release(): its canaries are looked at. */
const collected = new FinalizationRegistry<() => number>((check) => {
  check();
});

function canaryBacking(
  native: GuardFunctions,
  bytes: number,
  shared: boolean,
  label: string,
): Backing {
  const rest = -bytes & 7;
  const all = CANARY_BYTES + bytes + rest + CANARY_BYTES;
  const whole = new Uint8Array(shared ? new SharedArrayBuffer(all) : new ArrayBuffer(all));
  const look = lookAt(native, whole, rest + CANARY_BYTES, label);
  native.canary(whole, 0, all, CANARY_BYTES, rest + CANARY_BYTES, 1, label);
  const view = new Uint8Array(whole.buffer, CANARY_BYTES, bytes);
  collected.register(view, look, view);
  return {
    view,
    check: look,
    free: () => {
      collected.unregister(view);
      return look();
    },
  };
}

/** A closure that does not hold the view, whose end is to be noticed. */
function lookAt(native: GuardFunctions, whole: Uint8Array, after: number, label: string) {
  return () => native.canary(whole, 0, whole.length, CANARY_BYTES, after, 0, label);
}

/**
 * Arena guard: the pages of the server under the memory-corruption guard (`serve --guard`).
 *
 * WHY         Records are corrupted where nobody looks: a thread writes into a page that the
 *             journal, the store or the kernel still reads. With the guard that write faults, and
 *             its author is reported by function, file and line.
 * WHAT        All of the arena is protected but what is being filled: free pages, published slices
 *             (whole OS pages, with the page's generation), lent bytes. The journal opens the first
 *             OS page of a slice while it completes the header.
 * OWNERSHIP   The main thread protects the arena and ends the guard; each worker attaches, and its
 *             view of the pool tells it what changes hands (pages/page-guard.ts).
 * COST        mprotect(2): one an acquired page, three a block; and a mapping of the process for
 *             each run of OS pages of one kind.
 * REFUSED     `alias` for `continue` (memory in a file cannot be renewed: pages/arena.ts); a report
 *             of every single write (a loop would fill the disk): one of each culprit, the rest is
 *             counted.
 */
import { guardError } from '../toolkit/guard/guard-error.ts';
import { GUARD_MODES, GUARD_ONCE, guardNative } from '../toolkit/guard/native.ts';
import { setReportFile } from '../toolkit/guard/reports.ts';
import type { PageGuard, PagePool } from '../toolkit/pages/index.ts';
import type { ServerGuardMode } from './guard-status.ts';

/** What travels to workers. */
export interface ArenaGuardHandle {
  /** The region is the process's: any thread toggles its pages by this number. */
  readonly region: number;
  /** One int32: times that the kernel refused to protect or to open. */
  readonly refused: SharedArrayBuffer;
}

const LABEL = 'arena';

/** The main thread's side. Throws MR_GUARD_*, MR_ADDON. */
export class ArenaGuard {
  readonly handle: ArenaGuardHandle;
  readonly #refused: Int32Array;
  readonly #counts = new Float64Array(2);

  /** `reportFile`: each report is a line of JSON there, besides its text on standard error. */
  constructor(pool: PagePool, mode: Exclude<ServerGuardMode, 'off'>, reportFile: string | null) {
    const native = guardNative();
    setReportFile(reportFile);
    const { bytes } = pool;
    const extent = new Float64Array(2);
    const number = GUARD_MODES[mode];
    const region = native.region(bytes, 0, bytes.length, LABEL, number, GUARD_ONCE, '', extent);
    if (region < 0) throw guardError('guard the arena', region, native.problem());
    this.handle = { region, refused: new SharedArrayBuffer(4) };
    this.#refused = new Int32Array(this.handle.refused);
    const result = native.protect(region, 0, bytes.length, 0);
    if (result < 0) throw guardError('protect the arena', result, native.problem());
    nameThread('main', 'main');
  }

  /** Writes that were caught. */
  get faults(): number {
    guardNative().regionCounts(this.handle.region, this.#counts);
    return this.#counts[0]!;
  }

  get refused(): number {
    return Atomics.load(this.#refused, 0);
  }

  /** After the last worker has ended. */
  end(): void {
    guardNative().regionEnd(this.handle.region);
    setReportFile(null);
  }
}

/** What reports call this thread; it has a stack of its own for faults from now on. */
export function nameThread(name: string, role: string): void {
  guardNative().nameThread(name, role);
}

/** A worker's side. */
export class PoolGuard implements PageGuard {
  readonly #native = guardNative();
  readonly #region: number;
  readonly #refused: Int32Array;
  readonly #pageBytes: number;

  constructor({ region, refused }: ArenaGuardHandle, pageBytes: number) {
    this.#region = region;
    this.#refused = new Int32Array(refused);
    this.#pageBytes = pageBytes;
  }

  /** Refused (too many mappings) the slice stays as it would be without a guard. */
  protect(page: number, offset: number, bytes: number, generation: number): void {
    const at = page * this.#pageBytes + offset;
    this.#count(this.#native.protect(this.#region, at, bytes, generation >>> 0));
  }

  unprotect(page: number, offset: number, bytes: number): boolean {
    const at = page * this.#pageBytes + offset;
    return this.#count(this.#native.unprotect(this.#region, at, bytes));
  }

  #count(result: number): boolean {
    if (result >= 0) return true;
    Atomics.add(this.#refused, 0, 1);
    return false;
  }
}

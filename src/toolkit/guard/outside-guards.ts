/**
 * Outside guards: the guards of a program that does not know of them.
 *
 * WHY         The program that corrupts its memory is rarely ours to change. What it makes is
 *             guarded as it is made; its own writes are legitimate until one knows better, so they
 *             go on, and each distinct place is reported once.
 * OWNERSHIP   Memory is held while it is guarded, for nobody tells when the program is done with
 *             it: at most HELD_BYTES_MAX a thread, then the oldest guards end. The totals are one
 *             shared buffer that workers get as environment data.
 */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { describeError } from '../base/errors.ts';
import { type Guard, protect } from './guard.ts';
import { bytesOf } from './guarded-bytes.ts';
import { callerOf, sizeText } from './label.ts';
import type { OutsideOptions } from './outside-options.ts';
import type { SharedListener, SharedMemorySource } from './shared-constructors.ts';

/** One thread's memory that perhaps its guards alone keep alive. */
const HELD_BYTES_MAX = 2 ** 30;

export interface OutsideTotals {
  /** What was guarded, in all threads. */
  readonly buffers: number;
  readonly bytes: number;
  /** Buffers that could not be guarded, and those that were not until the end. */
  readonly failed: number;
  readonly ended: number;
  /** Writes that `allow` let pass. */
  readonly allowed: number;
}

const KEY = 'millrace/guard totals 2';
const BUFFERS = 0;
const KIBIBYTES = 1;
const FAILED = 2;
const ENDED = 3;
const ALLOWED = 4;
const WORDS = 5;

/** To be asked for before the constructors are watched. */
export function sharedTotals(): Int32Array {
  const found: unknown = getEnvironmentData(KEY);
  if (found instanceof SharedArrayBuffer) return new Int32Array(found);
  const made = new SharedArrayBuffer(4 * WORDS);
  setEnvironmentData(KEY, made as unknown as Parameters<typeof setEnvironmentData>[1]);
  return new Int32Array(made);
}

export function readTotals(words: Int32Array): OutsideTotals {
  return {
    buffers: Atomics.load(words, BUFFERS),
    bytes: 1024 * Atomics.load(words, KIBIBYTES),
    failed: Atomics.load(words, FAILED),
    ended: Atomics.load(words, ENDED),
    allowed: Atomics.load(words, ALLOWED),
  };
}

export class OutsideGuards {
  readonly #options: OutsideOptions;
  readonly #totals: Int32Array;
  readonly #warn: (text: string) => void;
  /** In the order in which they were made. */
  readonly #guards = new Map<SharedMemorySource, Guard>();
  #heldBytes = 0;

  constructor(options: OutsideOptions, totals: Int32Array, warn: (text: string) => void) {
    this.#options = options;
    this.#totals = totals;
    this.#warn = warn;
  }

  /** For watchSharedConstructors. It never throws into the program. */
  readonly onMade: SharedListener = (made, below) => {
    this.#end(made);
    const { bytes, kind } = bytesOf(made);
    if (bytes < this.#options.minBytes) return;
    const place = callerOf(below);
    if (!`${place.path}:${place.line}`.includes(this.#options.only)) return;
    const label = `${this.#options.label} ${sizeText(bytes)} ${kind} of ${place.text}`.trim();
    try {
      this.#protect(made, label);
    } catch (error) {
      const count = Atomics.add(this.#totals, FAILED, 1);
      if (count === 0) this.#warn(describeError(error));
    }
  };

  #protect(made: SharedMemorySource, label: string): void {
    const { mode, allow, isEvery, syscalls } = this.#options;
    // The buffer of a memory, for the memory itself would be kept from growing.
    const guard = protect(bytesOf(made).buffer, {
      label,
      mode,
      allow,
      syscalls,
      once: !isEvery,
      edges: 'ignore',
    });
    if (guard.bytes === 0) return;
    this.#guards.set(made, guard);
    this.#heldBytes += guard.bytes;
    Atomics.add(this.#totals, BUFFERS, 1);
    Atomics.add(this.#totals, KIBIBYTES, guard.bytes / 1024);
    for (const oldest of this.#guards.keys()) {
      if (this.#heldBytes <= HELD_BYTES_MAX || oldest === made) break;
      this.#end(oldest);
      Atomics.add(this.#totals, ENDED, 1);
    }
  }

  /** A memory of WebAssembly that has grown is made again. */
  #end(made: SharedMemorySource): void {
    const guard = this.#guards.get(made);
    if (guard === undefined) return;
    this.#guards.delete(made);
    this.#heldBytes -= guard.bytes;
    guard.end();
    Atomics.add(this.#totals, ALLOWED, guard.allowed);
  }

  /** At the end of the thread: what its guards have let pass. */
  countAllowed(): void {
    for (const guard of this.#guards.values()) {
      Atomics.add(this.#totals, ALLOWED, guard.allowed);
    }
  }
}

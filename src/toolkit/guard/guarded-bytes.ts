/**
 * Guarded bytes: what a person may hand to `protect`, as buffer, offset and size; and what keeps
 * that memory where it is while it is protected.
 *
 * WHY         Pages stay protected while the program runs on. Memory that V8 frees, moves or gives
 *             away meanwhile would take the protection to somebody else's data: the crash would be
 *             of the guard's own making.
 * INVARIANTS  1. a buffer that can still grow is refused: V8 makes all of its pages writable when
 *             it does.  2. what cannot be refused is pinned: an ArrayBuffer is marked as not
 *             transferable, its own transfer() and resize() throw, as does grow() of a
 *             WebAssembly.Memory (its code, and other threads, grow it all the same).  3. the last
 *             guard of a buffer takes the pins away again, but for the mark, which Node.js cannot
 *             take back.
 * REFUSED     Keeping the memory alive behind a transfer (only by V8's C++ interface, whose layout
 *             changes); silence (a guard that has ended without a word is worse than none).
 */
import { types } from 'node:util';
import { markAsUntransferable } from 'node:worker_threads';
import { GuardError } from './guard-error.ts';

/** A WebAssembly.Memory, whose type comes with the DOM library only. */
export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}

/** Typed array, DataView, Buffer, buffer or WebAssembly.Memory. */
export type Guardable = ArrayBufferView | ArrayBufferLike | WasmMemory;

export interface GuardedBytes {
  /** What was given, or the buffer below it where that is a view. */
  readonly owner: ArrayBufferLike | WasmMemory;
  readonly buffer: ArrayBufferLike;
  readonly offset: number;
  readonly bytes: number;
  /** As Uint8Array, for labels. */
  readonly kind: string;
}

/** Throws MR_GUARD_BUFFER where it is no memory, or memory that cannot stay where it is. */
export function guardedBytes(what: Guardable): GuardedBytes {
  const found = bytesOf(what);
  checkAlive(found.buffer);
  checkSize(found.buffer);
  return found;
}

/** The same without the checks: for what may be over by now. */
export function bytesOf(what: Guardable): GuardedBytes {
  if (ArrayBuffer.isView(what)) {
    const { buffer, byteOffset: offset, byteLength: bytes } = what;
    return { owner: buffer, buffer, offset, bytes, kind: what.constructor.name };
  }
  if (types.isAnyArrayBuffer(what)) {
    const kind = types.isSharedArrayBuffer(what) ? 'SharedArrayBuffer' : 'ArrayBuffer';
    return { owner: what, buffer: what, offset: 0, bytes: what.byteLength, kind };
  }
  if (isWasmMemory(what)) {
    const { buffer } = what;
    return { owner: what, buffer, offset: 0, bytes: buffer.byteLength, kind: 'WebAssembly.Memory' };
  }
  throw new GuardError(
    'MR_GUARD_BUFFER',
    `${typeof what} is no memory`,
    'give a typed array, DataView, Buffer, ArrayBuffer, SharedArrayBuffer or WebAssembly.Memory',
  );
}

export function isWasmMemory(what: unknown): what is WasmMemory {
  return Object.prototype.toString.call(what) === '[object WebAssembly.Memory]';
}

function checkAlive(buffer: ArrayBufferLike): void {
  try {
    new Uint8Array(buffer);
  } catch (error) {
    throw new GuardError(
      'MR_GUARD_BUFFER',
      'the buffer is detached: its memory belongs to somebody else by now',
      'protect it before it is transferred, or where it arrived',
      { cause: error },
    );
  }
}

interface Sizes {
  readonly byteLength: number;
  readonly maxByteLength?: number;
}

function checkSize(buffer: Sizes): void {
  const { byteLength, maxByteLength = byteLength } = buffer;
  if (byteLength === maxByteLength) return;
  throw new GuardError(
    'MR_GUARD_BUFFER',
    `the buffer has ${byteLength} bytes and may grow to ${maxByteLength}:` +
      ' growing makes all of its pages writable again',
    'grow it to its maximum first',
  );
}

const PINNED = ['transfer', 'transferToFixedLength', 'resize', 'grow'] as const;
const pins = new WeakMap<object, { count: number }>();

/** Once for each guard; `unpin` once when it ends. A SharedArrayBuffer stays by itself. */
export function pin({ owner, buffer }: GuardedBytes): void {
  if (types.isSharedArrayBuffer(owner)) return;
  const known = pins.get(owner);
  if (known !== undefined) {
    known.count++;
    return;
  }
  pins.set(owner, { count: 1 });
  if (!types.isSharedArrayBuffer(buffer)) mark(buffer);
  if (!Object.isExtensible(owner)) return;
  for (const name of PINNED) {
    if (name in owner) Object.defineProperty(owner, name, { configurable: true, value: refuse });
  }
}

/**
 * Only what could be transferred: the mark makes other memory, that of WebAssembly or of an addon,
 * impossible to detach for its owner as well, which ends the process (Node.js 24).
 */
function mark(buffer: ArrayBuffer): void {
  if (isTransferable(buffer)) markAsUntransferable(buffer);
}

/** Asked to transfer it twice, Node.js refuses; before that it looks whether once would do. */
function isTransferable(buffer: ArrayBuffer): boolean {
  try {
    structuredClone(0, { transfer: [buffer, buffer] });
    return false;
  } catch (error) {
    return /duplicate/.test((error as Error).message);
  }
}

export function unpin({ owner }: GuardedBytes): void {
  const known = pins.get(owner);
  if (known === undefined || --known.count > 0) return;
  pins.delete(owner);
  for (const name of PINNED) {
    if (Object.hasOwn(owner, name)) Reflect.deleteProperty(owner, name);
  }
}

function refuse(): never {
  throw new GuardError(
    'MR_GUARD_BUFFER',
    'the buffer is protected: its memory has to stay where it is',
    'unprotect it first',
  );
}

/**
 * Arena: the memory of a pool's pages.
 *
 * WHY         Pages are shared by all threads, start on an OS page, and are handed to the kernel.
 * LAYOUT      one shared WebAssembly.Memory.
 */
import { type SharedMemory, SharedWasmMemory } from './webassembly.ts';

const WASM_PAGE_BYTES = 65_536;

export interface Arena {
  readonly memory: SharedMemory;
  /** Where the first page starts in it. */
  readonly offset: number;
}

export function createArena(bytes: number): Arena {
  const wasmPages = Math.ceil(bytes / WASM_PAGE_BYTES);
  const memory = new SharedWasmMemory({ initial: wasmPages, maximum: wasmPages, shared: true });
  return { memory, offset: 0 };
}

/** Replaces the memory of a range, zeroed; false where it cannot be had: the old memory stays. */
export function renewMemory(_bytes: Uint8Array, _offset: number, _length: number): boolean {
  return false;
}

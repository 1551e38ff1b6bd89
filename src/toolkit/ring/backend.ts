/**
 * Backend: whether the kernels of a ring run in JavaScript (Atomics) or in WebAssembly.
 *
 * Both work on one layout in one memory, so that each end of a ring chooses for itself.
 * MILLRACE_RING_BACKEND=atomics|wasm forces all rings of the process that say `auto`.
 */
import { env } from 'node:process';
import { type SharedMemory, SharedWasmMemory } from '../base/webassembly.ts';

export type Backend = 'auto' | 'atomics' | 'wasm';

/**
 * `preferred` is what wins for this kind of work. A memory that is no WebAssembly.Memory (a plain
 * SharedArrayBuffer in an object) has Atomics only.
 */
export function chooseBackend(
  asked: Backend,
  preferred: 'atomics' | 'wasm',
  memory: SharedMemory,
): 'atomics' | 'wasm' {
  if (!(memory instanceof SharedWasmMemory)) return 'atomics';
  if (asked !== 'auto') return asked;
  const forced = env.MILLRACE_RING_BACKEND;
  return forced === 'atomics' || forced === 'wasm' ? forced : preferred;
}

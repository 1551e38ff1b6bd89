/**
 * Handle of a SpscRing: what both ends know of it, and how they see its slots.
 */
import type { SharedMemory } from '../base/webassembly.ts';
import { type Backend, chooseBackend } from './backend.ts';
import { SPSC_CONTROL_BYTES } from './spsc-layout.ts';
import { SPSC_WAT, type SpscKernel } from './spsc-wasm.ts';
import { loadKernel } from './wasm/kernels.ts';

/** What slots are seen as. */
export interface SlotArrays {
  readonly int32: Int32Array;
  readonly float64: Float64Array;
}

export type ItemKind = keyof SlotArrays;

export const ITEM_BYTES: Readonly<Record<ItemKind, number>> = { int32: 4, float64: 8 };

/** What travels to workers, by workerData or postMessage. */
export interface SpscRingHandle<Kind extends ItemKind = 'int32'> {
  readonly memory: SharedMemory;
  readonly capacity: number;
  readonly item: Kind;
  readonly slotBytes: number;
  readonly publishEvery: number;
  readonly creditEvery: number;
  readonly backend: Backend;
}

export { NO_SLOT } from './layout.ts';

/** The slots of a ring. */
export function slotsOf<Kind extends ItemKind>(handle: SpscRingHandle<Kind>): SlotArrays[Kind] {
  const { memory, item, capacity, slotBytes } = handle;
  const length = (capacity * slotBytes) / ITEM_BYTES[item];
  const slots =
    item === 'int32'
      ? new Int32Array(memory.buffer, SPSC_CONTROL_BYTES, length)
      : new Float64Array(memory.buffer, SPSC_CONTROL_BYTES, length);
  return slots as SlotArrays[Kind];
}

/** Items of one slot. */
export function slotItemsOf(handle: SpscRingHandle<ItemKind>): number {
  return handle.slotBytes / ITEM_BYTES[handle.item];
}

/**
 * Publications this rare make single items cheaper in JavaScript, where they are no call at all.
 */
const RARE_PUBLISH_EVERY = 8;

/** The kernel in WebAssembly for single items; null when JavaScript is chosen. */
export function kernelOf(handle: SpscRingHandle<ItemKind>): SpscKernel | null {
  const preferred = handle.publishEvery < RARE_PUBLISH_EVERY ? 'wasm' : 'atomics';
  const backend = chooseBackend(handle.backend, preferred, handle.memory);
  return backend === 'wasm' ? loadKernel<SpscKernel>(SPSC_WAT, handle.memory) : null;
}

/**
 * Door `millrace/ring`: rings of slots between threads, and the bell that wakes a sleeper.
 */
export { BroadcastReader, READ_EVICTED, READ_NOTHING, READ_OK } from './broadcast-reader.ts';
export { type BroadcastRingHandle, createBroadcastRing } from './broadcast-ring.ts';
export { BroadcastWriter } from './broadcast-writer.ts';
export { Doorbell } from './doorbell.ts';
export { NO_SLOT, SpscRing, type SpscRingHandle } from './spsc-ring.ts';
export { createMemory, loadKernel, MEMORY_IMPORT } from './wasm/kernels.ts';

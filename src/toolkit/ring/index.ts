/**
 * Door `millrace/ring`: rings of slots between threads, a cell for one record, and ways to idle.
 */

export type { Backend } from './backend.ts';
export type { BroadcastRelease, BroadcastRingHandle } from './broadcast-handle.ts';
export { READ_EVICTED, READ_NOTHING, READ_OK } from './broadcast-kernel.ts';
export type { BroadcastReader } from './broadcast-reader.ts';
export { BroadcastRing, type BroadcastRingOptions, type ReaderPlace } from './broadcast-ring.ts';
export type { BroadcastWriter } from './broadcast-writer.ts';
export type { IdleSleeper, IdleSleeperOptions } from './idle-sleeper.ts';
export { type IdleHandle, type IdleKind, type IdleOptions, IdleStrategy } from './idle-strategy.ts';
export type { IdleWaker } from './idle-waker.ts';
export { MpmcMember, type MpmcRingHandle } from './mpmc-member.ts';
export { ABANDON_AGAIN, MpmcRing, type MpmcRingOptions } from './mpmc-ring.ts';
export type { RoleState } from './roles.ts';
export {
  SEQLOCK_LENGTH_MAX,
  SeqlockCell,
  type SeqlockCellHandle,
  type SeqlockCellOptions,
} from './seqlock-cell.ts';
export {
  SEQLOCK_BUSY,
  seqlockBegin,
  seqlockEnd,
  seqlockPut,
  seqlockRead,
  seqlockWrite,
} from './seqlock-kernel.ts';
export { SEQLOCK_RECORD } from './seqlock-layout.ts';
export { SEQLOCK_READ_ATTEMPTS, type SeqlockReader } from './seqlock-reader.ts';
export type { SeqlockWriter } from './seqlock-writer.ts';
export type { MessageHandler, SpscByteConsumer } from './spsc-byte-consumer.ts';
export type { SpscByteProducer } from './spsc-byte-producer.ts';
export {
  SpscByteRing,
  type SpscByteRingHandle,
  type SpscByteRingOptions,
} from './spsc-byte-ring.ts';
export type { SpscConsumer } from './spsc-consumer.ts';
export { type ItemKind, NO_SLOT, type SlotArrays, type SpscRingHandle } from './spsc-handle.ts';
export type { SpscProducer } from './spsc-producer.ts';
export { SpscRing, type SpscRingOptions } from './spsc-ring.ts';
export { createMemory, loadKernel, MEMORY_IMPORT } from './wasm/kernels.ts';

/**
 * Door `millrace/counters`: named counters in shared memory, one slab for each writer.
 */
export { CounterReader, TAKE_MOMENT, TAKE_STALE, TAKE_WHOLE } from './counter-reader.ts';
export type { CounterWriter } from './counter-writer.ts';
export { type CounterOptions, Counters } from './counters.ts';
export type { CounterHandle } from './counters-layout.ts';

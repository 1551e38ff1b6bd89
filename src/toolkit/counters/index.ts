/**
 * Door `millrace/counters`.
 */
export { type CounterHandle, Counters } from './counters.ts';

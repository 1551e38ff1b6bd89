/**
 * The receiving end: a destination of RDRv1 streams for tests, benchmarks and users.
 *
 * It stands beside the server, as the simulated SCE does: what judges the forwarder must not share
 * its code.
 */
export type { ConnectionEnd, ConnectionSummary } from './connection.ts';
export { Pace, parseRate, type Rate } from './pace.ts';
export { Ranges } from './ranges.ts';
export {
  SequenceCheck,
  type SequenceTotals,
  STRICTNESS,
  type Strictness,
} from './sequence-check.ts';
export { PLAIN_SINK, Sink, type SinkOptions, type SinkSummary } from './sink.ts';

/**
 * The simulated SCE: repeatable RDRv1 load for tests, benchmarks and the demo.
 *
 * It stands beside the server, not in it: it imports the protocol and the toolkit's base only.
 */
export { GARBAGE_NAMES, writeGarbage } from './garbage.ts';
export { LAYOUTS } from './layout.ts';
export { MIXES, type Mix, namedMix, type PeriodicReport, parseMix } from './mix.ts';
export {
  DEFAULT_START_SECONDS,
  ITEM_BYTES_MAX,
  RecordStream,
  type RecordStreamOptions,
} from './record-stream.ts';
export { CONNECTIONS_MAX, EXPORTERS_MAX, type SendOptions } from './send-options.ts';
export {
  type ConnectionTotals,
  Sender,
  type SendProgress,
  type SendResult,
  STREAM_BUFFER_BYTES,
  sendStreams,
} from './sender.ts';
export { SUBSCRIBERS_MAX, SubscriberPool } from './subscriber-pool.ts';
export { HOSTILE_NAMES, HOSTILE_TEXTS } from './text-pool.ts';
export { Totals, type TotalsJson } from './totals.ts';

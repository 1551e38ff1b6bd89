/**
 * nettest: the measuring tools beside the server. The command line and the benchmarks use this.
 */
export { formatTimes } from './cpu-times.ts';
export {
  checkMessageBytes,
  checkXmitOptions,
  DEFAULT_MESSAGE_BYTES,
  DEFAULT_POOL_BYTES,
  FILLS,
  type Fill,
  MECHANISM_CHOICES,
  type MechanismChoice,
  parseMechanism,
  parseReclaim,
  READERS,
  type Reader,
  type ReclaimChoice,
  type RecvOptions,
  type XmitOptions,
} from './options.ts';
export { type RecvHooks, type RecvTotals, recvFailure, runRecv } from './recv.ts';
export { formatTarget, parseTarget, type Target } from './target.ts';
export type { RunChoice } from './writers.ts';
export { runXmit, type XmitHooks, type XmitTotals, xmitFailure } from './xmit.ts';

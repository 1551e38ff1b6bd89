/**
 * Sizes from which a reference is cheaper than a copy, per mechanism.
 *
 * WHY         A copy costs by the byte, a reference by the call: what costs is the push into the
 *             socket, much less the way into the pipe. So splice and tee win by what gathers in the
 *             pipe until the caller flushes (a turn), not by the size of one write.
 * MEASURED    sender CPU against that of send(), TCP with reno / UNIX, sender and receiver on one
 *             CPU of an AMD EPYC, Linux 6.18; each within 0.1. `millrace nettest bench` tries anew.
 *               bytes a write    256     1 Ki    4 Ki    16 Ki   32 Ki   64 Ki
 *               all gather     .6/.45  .6/.4   .5/.4   .7/.65  .7/.8   .7/.7
 *               32 KiB a turn  .6/.45  .7/.5   .6/.6   .8/.6   .9/1     -
 *               16 KiB a turn  .7/.5   .8/.5   .7/.7    1/1      -      -
 *               flush at each  2.1/1.6 1.7/1.4 1.2/1.1  1/1    .9/1    .75/.75
 *               the same, tee     -    1.5/1.4 1.4/1.2 .6/.9   .75/.9  .7/.6
 * INVARIANTS  auto is never more than 1.05 times as dear as the best that is allowed.
 */
import type { Mechanism } from './output-writer.ts';

export interface CopySizes {
  /** Writes shorter than this are copied. */
  readonly copyBelowBytes: number;
  /** Turns (what is written between two calls of flush) that bring less are copied. */
  readonly turnBelowBytes: number;
}

/** A slot of the pipe for less than this is a bad trade whatever gathers. */
export const AUTO_SLICE_MIN_BYTES = 256;
/** Turns from that many bytes on go by reference. */
export const AUTO_SPLICE_TURN_MIN_BYTES = 32_768;
export const AUTO_TEE_TURN_MIN_BYTES = 16_384;
/** MSG_ZEROCOPY, SEND_ZC: each write is a call and a notice; the kernel's own advice is 10 KB. */
export const AUTO_NOTIFIED_MIN_BYTES = 16_384;

const NEVER_COPY: CopySizes = { copyBelowBytes: 0, turnBelowBytes: 0 };

export function copySizes(mechanism: Mechanism): CopySizes {
  switch (mechanism) {
    case 'splice':
      return { copyBelowBytes: AUTO_SLICE_MIN_BYTES, turnBelowBytes: AUTO_SPLICE_TURN_MIN_BYTES };
    case 'tee':
      return { copyBelowBytes: AUTO_SLICE_MIN_BYTES, turnBelowBytes: AUTO_TEE_TURN_MIN_BYTES };
    case 'msgZerocopy':
    case 'uringZerocopy':
      return { copyBelowBytes: AUTO_NOTIFIED_MIN_BYTES, turnBelowBytes: 0 };
    default:
      return NEVER_COPY;
  }
}

/**
 * Reclaim policy `immutable`: nothing is ever rewritten.
 *
 * PROOF       Whoever still refers to the bytes, and for however long, reads what was sent, because
 *             nobody changes them. No byte may be rewritten, so the answer is always 0.
 * HOLDS       for every socket and every peer, a peer that splices onward and fan-out by tee(2)
 *             included, as long as the caller keeps the promise of a payload source.
 * REFUSED     pages of a pool (a pool fills its pages again): writers throw MR_OUTPUT_SOURCE.
 */
import type { ReclaimPolicy } from './reclaim-policy.ts';

export class ImmutableReclaim implements ReclaimPolicy {
  readonly name = 'immutable';
  readonly isSafe = true;

  safeBytes(_sentBytes: number): number {
    return 0;
  }
}

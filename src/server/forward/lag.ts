/**
 * Lag: whether a channel is too far behind, and what may be skipped.
 *
 * RULES      `drop-oldest`: a block is skipped, as a whole and counted, while what lies between its
 *            end and the published position is more than lagBytesMax, or while it is older than
 *            lagMsMax. What was handed to a connection and is not begun is taken back, and what
 *            of it is too old goes the same way; what the kernel has it sends, however old. `hold`:
 *            nothing is skipped; the journal keeps its segments up to its cap.
 */
export interface LagLimits {
  /** 0: no limit. */
  readonly lagBytesMax: number;
  readonly lagMsMax: number;
  readonly onLag: 'drop-oldest' | 'hold';
}

/** True: this block is not sent any more. */
export function isTooOld(
  limits: LagLimits,
  endPosition: number,
  publishedPosition: number,
  arrivalMs: number,
  nowMs: number,
): boolean {
  if (limits.onLag !== 'drop-oldest') return false;
  const { lagBytesMax, lagMsMax } = limits;
  if (lagBytesMax > 0 && publishedPosition - endPosition > lagBytesMax) return true;
  return lagMsMax > 0 && nowMs - arrivalMs > lagMsMax;
}

/**
 * Pace: how slowly a sink reads, so that a sender can be tried against a slow destination.
 */

export interface Rate {
  readonly unit: 'records' | 'bytes';
  /** 0: nothing is read at all. */
  readonly perSecond: number;
}

const BYTES_OF_UNIT: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
};

/** `500` records a second, `10kB`, `1.5MB` bytes a second; null when the text is neither. */
export function parseRate(text: string): Rate | null {
  const match = /^(\d[\d_]*(?:\.\d+)?(?:e\d+)?)(B|kB|MB|GB)?$/.exec(text);
  if (match === null) return null;
  const number = Number(match[1]!.replaceAll('_', ''));
  const unit = match[2];
  if (unit === undefined) return { unit: 'records', perSecond: number };
  return { unit: 'bytes', perSecond: number * BYTES_OF_UNIT[unit]! };
}

/** Shared by all connections of a sink. */
export class Pace {
  readonly #rate: Rate;
  #freeAtMs = 0;

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Whether anything is ever read. */
  get isStopped(): boolean {
    return this.#rate.perSecond === 0;
  }

  /** Pays for what was read at `nowMs`: so many milliseconds the reader has to wait. */
  spend(records: number, bytes: number, nowMs: number): number {
    const count = this.#rate.unit === 'records' ? records : bytes;
    const from = Math.max(this.#freeAtMs, nowMs);
    this.#freeAtMs = from + (count / this.#rate.perSecond) * 1000;
    return this.#freeAtMs - nowMs;
  }
}

/**
 * History: the last fifteen minutes of rates and lag, one point a second, whether or not anybody
 * looks.
 *
 * LAYOUT     four Float64Array columns of `capacity` points; `#next` is where the next point goes.
 * INVARIANTS 1. memory is fixed at construction   2. points are in order of arrival
 *            3. a snapshot that was seen before makes no second point
 */
import type { Snapshot } from '../snapshot.ts';

export const HISTORY_POINTS = 900;
export const HISTORY_STEP_MS = 1_000;

/** Columns, oldest point first. */
export interface HistoryColumns {
  readonly stepMs: number;
  readonly timeMs: number[];
  readonly recordsPerSecond: number[];
  readonly bytesPerSecond: number[];
  /** Lag of the slowest sink. */
  readonly lagMs: number[];
}

export class History {
  readonly #capacity: number;
  readonly #timeMs: Float64Array;
  readonly #recordsPerSecond: Float64Array;
  readonly #bytesPerSecond: Float64Array;
  readonly #lagMs: Float64Array;
  #next = 0;
  #count = 0;

  constructor(capacity = HISTORY_POINTS) {
    this.#capacity = capacity;
    this.#timeMs = new Float64Array(capacity);
    this.#recordsPerSecond = new Float64Array(capacity);
    this.#bytesPerSecond = new Float64Array(capacity);
    this.#lagMs = new Float64Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** Adds one point; false when the snapshot has the time of the last point. */
  add(snapshot: Snapshot): boolean {
    const last = (this.#next + this.#capacity - 1) % this.#capacity;
    if (this.#count > 0 && this.#timeMs[last] === snapshot.timeMs) return false;
    const at = this.#next;
    this.#timeMs[at] = snapshot.timeMs;
    this.#recordsPerSecond[at] = snapshot.recordsPerSecond;
    this.#bytesPerSecond[at] = snapshot.bytesPerSecond;
    this.#lagMs[at] = lagOfSlowest(snapshot);
    this.#next = (at + 1) % this.#capacity;
    this.#count = Math.min(this.#count + 1, this.#capacity);
    return true;
  }

  /** The newest `limit` points. */
  columns(limit = this.#capacity): HistoryColumns {
    const count = Math.min(limit, this.#count);
    return {
      stepMs: HISTORY_STEP_MS,
      timeMs: this.#newest(this.#timeMs, count),
      recordsPerSecond: this.#newest(this.#recordsPerSecond, count),
      bytesPerSecond: this.#newest(this.#bytesPerSecond, count),
      lagMs: this.#newest(this.#lagMs, count),
    };
  }

  #newest(column: Float64Array, count: number): number[] {
    const first = (this.#next - count + this.#capacity) % this.#capacity;
    const out: number[] = [];
    for (let i = 0; i < count; i += 1) out.push(column[(first + i) % this.#capacity]!);
    return out;
  }
}

function lagOfSlowest(snapshot: Snapshot): number {
  let lagMs = 0;
  for (const sink of snapshot.sinks) lagMs = Math.max(lagMs, sink.lagMs);
  return lagMs;
}

/**
 * Reader pace: how eagerly recv reads, because a slow reader is what exposes a sender that rewrites
 * its pages too early.
 *
 *   fast    as soon as something is there
 *   slow    at most 64 KiB every 10 ms on each connection
 *   paused  nothing until the receive queue has not grown for 300 ms: the sender is then stuck, its
 *           buffers are full; then 8 MB (or all that is there), and so on
 */
import type { Reader } from './options.ts';

/** How often a pace that does not follow the socket's events is asked. */
export const PACE_TICK_MS = 10;

const SLOW_BYTES = 64 * 1024;
const SLOW_MS = 10;
const PAUSE_MS = 300;
const PAUSE_BYTES = 8_000_000;

export interface Pace {
  /** How many bytes may be read now; asked at every event, or every PACE_TICK_MS. */
  allowedBytes(nowMs: number, unreadBytes: number): number;
  /** `bytes` were read; `isEmpty`: nothing more was there. */
  took(bytes: number, isEmpty: boolean): void;
  /** True: ask again when the socket has something; false: by the clock. */
  readonly followsEvents: boolean;
}

export function makePace(reader: Reader, nowMs: number): Pace {
  if (reader === 'slow') return new SlowPace();
  if (reader === 'paused') return new PausedPace(nowMs);
  return { followsEvents: true, allowedBytes: () => Number.POSITIVE_INFINITY, took() {} };
}

class SlowPace implements Pace {
  readonly followsEvents = false;
  #nextMs = 0;

  allowedBytes(nowMs: number): number {
    if (nowMs < this.#nextMs) return 0;
    this.#nextMs = nowMs + SLOW_MS;
    return SLOW_BYTES;
  }

  took(): void {}
}

class PausedPace implements Pace {
  readonly followsEvents = false;
  #unreadBytes = -1;
  #grownMs: number;
  #leftBytes = 0;

  constructor(nowMs: number) {
    this.#grownMs = nowMs;
  }

  allowedBytes(nowMs: number, unreadBytes: number): number {
    if (this.#leftBytes > 0) return this.#leftBytes;
    if (unreadBytes > this.#unreadBytes) {
      this.#unreadBytes = unreadBytes;
      this.#grownMs = nowMs;
    }
    if (nowMs - this.#grownMs < PAUSE_MS) return 0;
    this.#leftBytes = PAUSE_BYTES;
    this.#unreadBytes = -1;
    return this.#leftBytes;
  }

  took(bytes: number, isEmpty: boolean): void {
    this.#leftBytes = isEmpty ? 0 : Math.max(0, this.#leftBytes - bytes);
  }
}

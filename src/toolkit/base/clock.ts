/**
 * Clocks: wall time for stamps, monotonic time for intervals; the unit is in the name.
 */

/**
 * Wall time, microseconds since 1970-01-01 UTC (clock_gettime(2) by way of performance.timeOrigin).
 */
export function wallUs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

/** Wall time, milliseconds since 1970-01-01 UTC; steps when the system clock is set. */
export function wallMs(): number {
  return Date.now();
}

/** Monotonic time, milliseconds since the process started (one origin per thread). */
export function monotonicMs(): number {
  return performance.now();
}

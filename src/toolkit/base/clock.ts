/**
 * Clocks: wall time for stamps, monotonic time for intervals; the unit is in the name.
 */

/** Looked up once: the global is a getter, and this is called thousands of times a second. */
const monotonic = performance;

/** Wall time, microseconds since 1970-01-01 UTC, in milliseconds' steps; jumps when it is set. */
export function wallUs(): number {
  return Date.now() * 1000;
}

/** Wall time, milliseconds since 1970-01-01 UTC; steps when the system clock is set. */
export function wallMs(): number {
  return Date.now();
}

/** Monotonic time, milliseconds since the process started (one origin per thread). */
export function monotonicMs(): number {
  return monotonic.now();
}

/**
 * Monotonic time, microseconds, low 32 bits; one origin for all threads and processes of the
 * machine. For benchmarks: it allocates.
 */
export function monotonicUs(): number {
  const [seconds, nanoseconds] = process.hrtime();
  return (seconds * 1_000_000 + Math.floor(nanoseconds / 1_000)) % 4_294_967_296;
}

/**
 * Connection waits: how long a connection waits for what no event tells of, and how often it tries.
 */

/** The kernel is short of memory: no event tells when it has some. */
export const SHORTAGE_MS = 10;
/** The forwarder's eventfd says that a range was read; this is for one that nobody took. */
export const COLD_MS = 10;
/** An edge that never comes costs this, and not the connection. */
export const FULL_MS = 1_000;
/** A file that cannot be read: so many attempts, a back-off apart. */
export const READ_ATTEMPTS = 3;

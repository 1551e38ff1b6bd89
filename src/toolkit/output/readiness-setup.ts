/**
 * What readiness.ts and its thread agree on.
 */
export interface ReadinessSetup {
  readonly epollFd: number;
}

/** Data of the eventfd that ends the thread; no token of an fd is that large. */
export const STOP_TOKEN = 0x7fff_ffff;

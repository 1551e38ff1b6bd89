/**
 * Still clock: monotonic time stands, and passes as the test says, so that what must happen at a
 * time is asserted on any machine. Timers and what waits in the kernel go by the true time.
 */
import type { TestContext } from 'node:test';

export interface StillClock {
  pass(ms: number): void;
}

/** Until the test ends. */
export function stillClock(t: TestContext): StillClock {
  let nowMs = performance.now();
  t.mock.method(performance, 'now', () => nowMs);
  return {
    pass(ms) {
      nowMs += ms;
    },
  };
}

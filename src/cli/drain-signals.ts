/**
 * Signals: the first SIGINT or SIGTERM asks for a drain, the second ends the process at once.
 */
import { EXIT_FAILED } from '../toolkit/base/errors.ts';
import { exitNow } from '../toolkit/sys/index.ts';

export interface DrainSignals {
  /** Resolves with the name of the first signal. */
  readonly first: Promise<NodeJS.Signals>;
  /** Gives the signals back to Node.js. */
  release(): void;
}

export function catchDrainSignals(): DrainSignals {
  const { promise: first, resolve: onFirst } = deferred();
  let count = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    count++;
    if (count > 1) exitNow(EXIT_FAILED);
    onFirst(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return {
    first,
    release() {
      process.off('SIGINT', onSignal);
      process.off('SIGTERM', onSignal);
    },
  };
}

interface Deferred {
  readonly promise: Promise<NodeJS.Signals>;
  readonly resolve: (signal: NodeJS.Signals) => void;
}

function deferred(): Deferred {
  let settle: Deferred['resolve'] | undefined;
  const promise = new Promise<NodeJS.Signals>((resolve) => {
    settle = resolve;
  });
  return { promise, resolve: settle! };
}

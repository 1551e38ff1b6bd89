/**
 * What `nettest xmit` and `recv` share on the command line: progress, signals, option values.
 */
import { InvalidArgumentError } from 'commander';
import { catchDrainSignals } from './drain-signals.ts';
import { type Progress, startProgress } from './progress.ts';

const LINE_MS = 1000;

export interface RunProgress {
  readonly update: (messages: number, bytes: number) => void;
  readonly stop: () => void;
}

/**
 * On stderr: a bar where the end is known and a terminal shows it, else a line a second when asked
 * for or on a terminal. `total` messages, or Infinity.
 */
export function startRunProgress(role: string, total: number, isAsked: boolean): RunProgress {
  const isTerminal = process.stderr.isTTY === true;
  if (isTerminal && Number.isFinite(total)) return barProgress(startProgress(role, total, 'msg'));
  if (!isTerminal && !isAsked) return { update() {}, stop() {} };
  const startMs = performance.now();
  let nextMs = startMs + LINE_MS;
  let beforeBytes = 0;
  let beforeMs = startMs;
  return {
    update(messages, bytes) {
      const nowMs = performance.now();
      if (nowMs < nextMs) return;
      const rate = (bytes - beforeBytes) / 1000 / (nowMs - beforeMs);
      const amount = `${messages} messages, ${(bytes / 1e6).toFixed(0)} MB`;
      process.stderr.write(`${role}: ${amount}, ${rate.toFixed(0)} MB/s\n`);
      beforeBytes = bytes;
      beforeMs = nowMs;
      nextMs += LINE_MS;
    },
    stop() {},
  };
}

function barProgress(bar: Progress): RunProgress {
  return {
    update(messages, bytes) {
      bar.update(messages, `${(bytes / 1e6).toFixed(0)} MB`);
    },
    stop() {
      bar.stop();
    },
  };
}

/** Runs `work` with a signal that SIGINT and SIGTERM abort; the second one ends at once. */
export async function withSignal<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const signals = catchDrainSignals();
  signals.first.then(
    () => {
      abort.abort();
    },
    () => {},
  );
  try {
    return await work(abort.signal);
  } finally {
    signals.release();
  }
}

/** For `--crc on|off`. */
export function parseOnOff(text: string): boolean {
  if (text === 'on' || text === 'off') return text === 'on';
  throw new InvalidArgumentError('on or off is needed.');
}

/** Times in JSON need no more than microseconds. */
export function roundTimes(key: string, value: unknown): unknown {
  return key.endsWith('Ms') && typeof value === 'number' ? Math.round(value * 1000) / 1000 : value;
}

/**
 * CPU times: what a transfer cost this process, as the old programs print it.
 */
import { monotonicMs } from '../toolkit/base/clock.ts';

export interface CpuTimes {
  /** Milliseconds of CPU in user mode, all threads. */
  readonly usrMs: number;
  /** Milliseconds of CPU in the kernel. */
  readonly sysMs: number;
  /** Milliseconds that passed. */
  readonly realMs: number;
}

/** Starts measuring; the function that is returned tells what has been used since. */
export function startTimes(): () => CpuTimes {
  const start = process.cpuUsage();
  const startMs = monotonicMs();
  return () => {
    const { user, system } = process.cpuUsage(start);
    return { usrMs: user / 1000, sysMs: system / 1000, realMs: monotonicMs() - startMs };
  };
}

/** `usr=9259, sys=6864, real=27973`: whole milliseconds. */
export function formatTimes({ usrMs, sysMs, realMs }: CpuTimes): string {
  return `usr=${Math.floor(usrMs)}, sys=${Math.floor(sysMs)}, real=${Math.floor(realMs)}`;
}

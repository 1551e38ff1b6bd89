/**
 * Log: one pino logger on the main thread; workers write their lines to rings (log-ring.ts).
 *
 * WHY  JSON lines on stderr: stdout belongs to commands that print results. Lines are lower case
 *      and without a full stop; the fields carry the facts.
 */
import { type Logger, pino } from 'pino';

export type { Logger };

export function makeLog(level: string): Logger {
  return pino(
    { level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: 2, sync: true }),
  );
}

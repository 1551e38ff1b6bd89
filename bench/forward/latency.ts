/**
 * Latency of a record from the exporter to the destination, at a moderate rate and with defaults.
 *
 * One process is both ends (bench/peers/pulse.c), so there is one clock.
 */
import { MillraceError } from '../../src/toolkit/base/errors.ts';
import { startServer } from '../lib/server.ts';
import type { StreamFile } from '../lib/stream-file.ts';
import { LineChild } from './line-child.ts';

export interface LatencyOptions {
  readonly file: StreamFile;
  readonly rate: number;
  readonly seconds: number;
  readonly rounds: number;
}

/** µs. */
export interface Latency {
  readonly sent: number;
  readonly received: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly mostUs: number;
  readonly meanUs: number;
}

const WARM_UP_SECONDS = 2;

export async function measureLatency(
  options: LatencyOptions,
  progress: (text: string) => void,
): Promise<readonly Latency[]> {
  const { file, rate, seconds, rounds } = options;
  const pulse = await LineChild.start('pulse', [file.path]);
  const found: Latency[] = [];
  try {
    const destinations = [{ name: 'pulse', host: '127.0.0.1', port: pulse.port }];
    const server = await startServer('journal', [], undefined, { forward: { destinations } });
    try {
      await pulse.ask<Latency>(`${server.port} ${rate} ${WARM_UP_SECONDS}`);
      for (let round = 1; round <= rounds; round++) {
        const latency = await pulse.ask<Latency>(`${server.port} ${rate} ${seconds}`);
        if (latency.received !== latency.sent) {
          throw new MillraceError(
            'MR_INPUT',
            `${latency.received} records arrived of ${latency.sent} sent`,
          );
        }
        found.push(latency);
        const { p50Us, p99Us, mostUs } = latency;
        progress(`latency, round ${round} of ${rounds}: ${p50Us} ${p99Us} ${mostUs} µs`);
      }
    } finally {
      await server.stop();
    }
  } finally {
    pulse.stop();
  }
  return found;
}

/**
 * `generate`: how fast the simulated SCE makes records into a buffer, on one core.
 *
 * It bounds every other figure: a collector cannot be shown more than can be made. CPU time of the
 * process, so that other programs on the machine count little.
 */
import {
  MIXES,
  RecordStream,
  STREAM_BUFFER_BYTES,
  SubscriberPool,
} from '../src/simulator/index.ts';
import { type Bench, numberOption } from './bench.ts';
import { makeRow } from './lib/result.ts';

const WARM_UP_RECORDS = 100_000;

function cpuUs(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

export const generateBench: Bench = {
  name: 'generate',
  description: 'the simulated SCE alone: records into a buffer',
  options: [
    { name: 'records', argument: 'N', default: '500000', help: 'records per mix and round' },
    { name: 'rounds', argument: 'N', default: '3', help: 'rounds; the median counts' },
    { name: 'subscribers', argument: 'N', default: '10000', help: 'subscribers' },
  ],
  run(values, progress) {
    const records = numberOption(values, 'records', 1000);
    const rounds = numberOption(values, 'rounds', 1);
    const subscribers = new SubscriberPool(numberOption(values, 'subscribers', 1));
    const rows = Object.entries(MIXES).map(([name, mix]) => {
      progress(name);
      const stream = new RecordStream({ seed: 1, mix, subscribers });
      const buffer = new Uint8Array(STREAM_BUFFER_BYTES);
      while (stream.totals.records < WARM_UP_RECORDS) stream.fill(buffer);
      const found = Array.from({ length: rounds }, () => {
        const before = stream.totals.records;
        const startUs = cpuUs();
        while (stream.totals.records - before < records) stream.fill(buffer);
        return (cpuUs() - startUs) / (stream.totals.records - before);
      });
      const bytes = Math.round(stream.totals.bytes / stream.totals.records);
      const bound = name === 'default' ? { atMost: 2 } : {};
      return makeRow(`mix ${name}, ${bytes} bytes`, found, 'us/record', bound);
    });
    return Promise.resolve(rows);
  },
};

/**
 * Example: a simulated SCE from code. Sends 100,000 records from four addresses to a collector.
 *
 * Start a server (`npm start`), then: node dist/examples/simulate.js 33000
 */
import { namedMix, SubscriberPool, sendStreams } from '../src/simulator/index.ts';

const result = await sendStreams({
  host: '127.0.0.1',
  port: Number(process.argv[2] ?? 33_000),
  records: 100_000,
  rate: 50_000,
  connections: 8,
  exporters: 4,
  stream: {
    seed: 1,
    mix: namedMix('default'),
    subscribers: new SubscriberPool(10_000),
    startSeconds: Math.floor(Date.now() / 1000),
  },
});
console.log(result.tables);

/**
 * Runs the dashboard on a made-up source, to look at the page while working on it:
 *
 *   npx tsc -p . && npx vite build -c web/vite.config.mjs && node web/dev.mjs [port] [empty]
 *
 * The third word is a state to look at: empty, trouble.
 */
import { History, startDashboard } from '../dist/src/server/dashboard/index.js';
import { FakeSource } from '../dist/test/support/fake-source.js';

const [port = '8034', look = ''] = process.argv.slice(2);
const PAST_SECONDS = 840;

const source = new FakeSource({
  exporters: look === 'empty' ? 0 : 4,
  names: ['<img src=x onerror=alert(1)>'],
  nowMs: Date.now() - PAST_SECONDS * 1_000,
});
const history = new History();
for (let i = 0; i < PAST_SECONDS; i += 1) {
  if (look !== 'empty') source.advance();
  history.add(source.snapshot());
}
const dashboard = await startDashboard({ host: '127.0.0.1', port: Number(port), source, history });
if (look === 'trouble') {
  const advance = source.advance.bind(source);
  source.advance = (nowMs) => {
    advance(nowMs);
    const { intake, sinks } = source.snapshot();
    source.set({
      state: 'draining',
      intake: { ...intake, difference: 12, dropped: { journal_full: 9e6 } },
      sinks: [{ ...sinks[0], lagMs: 63_000, source: 'segments', evictions: 2 }],
    });
  };
}
source.start();
process.stdout.write(`${dashboard.url}\n`);

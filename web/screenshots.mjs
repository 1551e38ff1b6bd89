/**
 * Makes the three pictures of docs/screenshots: the real server, fed by the simulated SCE, with a
 * destination that gets everything and one that gets what a filter chooses.
 *
 *   npm run build && node web/screenshots.mjs [seconds] [share]
 *
 * Traffic comes from four simulated devices at rates that rise and fall, with a little garbage in
 * it; after that many seconds (300) the page is taken in light, in dark and as wide as a phone,
 * with the answer to a search.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeConfig, startServer } from '../dist/src/server/index.js';
import { namedMix, Sender, SubscriberPool } from '../dist/src/simulator/index.js';
import { PLAIN_SINK, Sink } from '../dist/src/sink/index.js';
import { launchBrowser } from '../dist/test/support/browser.js';

const TARGET = path.resolve(import.meta.dirname, '../docs/screenshots');
const FILTER = 'tag = TRANSACTION_USAGE and session_downstream_volume > 1e6';
const seconds = Number(process.argv[2] ?? 300);
/** Of the rates below, for a machine that has other work. */
const share = Number(process.argv[3] ?? 1);
const LOOKS = [
  { name: 'light', colorScheme: 'light', width: 1360, height: 2020, scale: 1 },
  { name: 'dark', colorScheme: 'dark', width: 1360, height: 2020, scale: 1 },
  { name: 'phone', colorScheme: 'light', width: 390, height: 1560, scale: 2 },
];
/** Share of the time at which a wave starts, how long it lasts, records a second. */
const WAVES = [
  { at: 0, lasts: 1.7, rate: 12_000, seed: 1 },
  { at: 0.15, lasts: 0.35, rate: 9_000, seed: 2 },
  { at: 0.4, lasts: 1.3, rate: 14_000, seed: 3 },
  { at: 0.7, lasts: 0.12, rate: 16_000, seed: 4 },
];

async function runWave(wave, port, senders) {
  await sleep(wave.at * seconds * 1_000);
  const sender = new Sender({
    host: '127.0.0.1',
    port,
    connections: 4,
    exporters: 4,
    rate: share * wave.rate,
    seconds: wave.lasts * seconds,
    stream: {
      seed: wave.seed,
      mix: namedMix('default'),
      subscribers: new SubscriberPool(20_000),
      malformedRatio: 0.000_02,
    },
  });
  senders.push(sender);
  await sender.run();
}

async function takePictures(browser, url) {
  for (const { name, colorScheme, width, height, scale } of LOOKS) {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme,
      deviceScaleFactor: scale,
    });
    await page.goto(url);
    await page.locator('#top-subscribers .bar-value').first().waitFor();
    await page.fill('#records-filter', FILTER);
    await page.press('#records-filter', 'Enter');
    await page.locator('#records-results tbody tr').first().waitFor();
    await page.locator('#records-results').evaluate((results) => {
      results.style.maxHeight = '14rem';
    });
    await page.evaluate('document.activeElement.blur(), scrollTo(0, 0)');
    await sleep(2_500);
    await page.screenshot({ path: path.join(TARGET, `${name}.png`) });
    await page.close();
  }
}

const data = mkdtempSync(path.join(tmpdir(), 'millrace-screenshots-'));
mkdirSync(TARGET, { recursive: true });
const [mediation, quota] = [new Sink(PLAIN_SINK), new Sink(PLAIN_SINK)];
const server = await startServer(
  makeConfig({
    data,
    listen: ['127.0.0.1:0'],
    http: '127.0.0.1:0',
    log: { level: 'warn' },
    forward: {
      destinations: [
        { name: 'mediation', host: '127.0.0.1', port: await mediation.start() },
        {
          name: 'quota',
          host: '127.0.0.1',
          port: await quota.start(),
          filter: 'tag in (QUOTA_BREACH, QUOTA_STATUS, REMAINING_QUOTA)',
        },
      ],
    },
  }),
);
try {
  const port = Number(server.ports.listen[0].split(':').at(-1));
  const senders = [];
  const waves = Promise.all(WAVES.map((wave) => runWave(wave, port, senders)));
  const url = `http://${server.ports.http}/`;
  const browser = await launchBrowser();
  // Live tops are counted only while somebody looks.
  const looker = await browser.newPage();
  await looker.goto(url);
  await sleep(seconds * 1_000);
  await takePictures(browser, url);
  await browser.close();
  for (const sender of senders) sender.stop();
  await waves;
} finally {
  await server.drain();
  await Promise.all([mediation.stop(), quota.stop()]);
  rmSync(data, { recursive: true });
}

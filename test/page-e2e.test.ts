/**
 * The live page over the real server and the simulated SCE: what a person reads on the page is what
 * `millrace status --json` prints, and what it finds is what `millrace dump` does.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual, promisify } from 'node:util';
import type { Browser, Locator, Page } from 'playwright-core';
import { makeConfig, type Server, type Snapshot, startServer } from '../src/server/index.ts';
import { namedMix, SubscriberPool, sendStreams } from '../src/simulator/index.ts';
import { PLAIN_SINK, Sink } from '../src/sink/index.ts';
import { launchBrowser, whyNoBrowser } from './support/browser.ts';
import { transactionUsage } from './support/hostile-record.ts';
import {
  forwardNumbers,
  pageForwardNumbers,
  pageNumbers,
  statusNumbers,
} from './support/page-numbers.ts';

const HTML_NAME = `<img src=x onerror="document.title='owned'"><script>1</script>&amp;`;
const RECORDS = 20_000;
const HTML_RECORDS = 50;
const USAGE = 'tag = TRANSACTION_USAGE';
const SETTLE_MS_MAX = 90_000;
const LIVE_MS_MAX = 10_000;
const MAIN = path.resolve(import.meta.dirname, '../src/cli/main.js');

const skip =
  process.env.MILLRACE_NO_ADDON === '1'
    ? 'the server needs the addon, and MILLRACE_NO_ADDON=1'
    : (whyNoBrowser() ?? false);

describe('the live page of a real server', { skip }, () => {
  let folder: string;
  let server: Server;
  let browser: Browser;
  let page: Page;
  const destinations = { all: new Sink(PLAIN_SINK), usage: new Sink(PLAIN_SINK) };

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-page-'));
    browser = await launchBrowser();
    server = await startServer(
      makeConfig({
        data: folder,
        listen: ['127.0.0.1:0'],
        http: '127.0.0.1:0',
        log: { level: 'error' },
        forward: { destinations: await startDestinations() },
      }),
    );
    page = await browser.newPage();
    page.setDefaultTimeout(SETTLE_MS_MAX);
  });

  after(async () => {
    await browser?.close();
    await server?.drain();
    await Promise.all(Object.values(destinations).map((one) => one.stop()));
    await rm(folder, { recursive: true, force: true });
  });

  /** One that gets everything, and one that gets what a filter chooses. */
  async function startDestinations() {
    const place = { host: '127.0.0.1', from: 'journal-start' as const };
    const [all, usage] = [await destinations.all.start(), await destinations.usage.start()];
    return [
      { ...place, name: 'all', port: all },
      { ...place, name: 'usage', port: usage, filter: USAGE },
    ];
  }

  /** What the command prints, parsed. */
  async function status(): Promise<Snapshot> {
    const parameters = [MAIN, 'status', '--json', '--http', server.ports.http!];
    const { stdout } = await promisify(execFile)(process.execPath, parameters);
    return JSON.parse(stdout) as Snapshot;
  }

  /** The status once nothing moves any more: all connections over, all records delivered. */
  async function settledStatus(received: number): Promise<Snapshot> {
    const endMs = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      const before = await status();
      await sleep(2_500);
      const now = await status();
      const { connections, intake, sinks, recordsPerSecond, forward } = now;
      const isStill = connections.open === 0 && intake.inPages === 0 && recordsPerSecond === 0;
      const [sink] = sinks;
      const isDelivered = sink?.pending === 0 && sink.received >= received;
      const isForwarded = forward!.channels.every(({ pending }) => pending === 0);
      const isSame = JSON.stringify(statusNumbers(before)) === JSON.stringify(statusNumbers(now));
      if (isStill && isDelivered && isForwarded && isSame) return now;
      assert.ok(performance.now() < endMs, `still moving: ${JSON.stringify(now)}`);
    }
  }

  /**
   * The page and the status at a time at which nothing moved: the same before the page was read and
   * behind it (files may be merged at any time, when an hour is over).
   */
  async function settledPage(received: number) {
    const endMs = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      const settled = await settledStatus(received);
      await waitUntilShown(settled.timeMs);
      const shown = { ...(await pageNumbers(page)), ...(await pageForwardNumbers(page)) };
      const wanted = { ...statusNumbers(settled), ...forwardNumbers(settled) };
      const now = await status();
      const isSame = isDeepStrictEqual(wanted, { ...statusNumbers(now), ...forwardNumbers(now) });
      if (isSame) return { settled, shown, wanted };
      assert.ok(performance.now() < endMs, `still moving: ${JSON.stringify(now)}`);
    }
  }

  async function sendRaw(bytes: Uint8Array): Promise<void> {
    const [host, port] = splitAddress(server.ports.listen[0]!);
    const socket = net.connect(port, host);
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.on('close', () => resolve());
      socket.end(bytes);
      socket.resume();
    });
  }

  test('an empty server says what to do, with its own port', async () => {
    await page.goto(`http://${server.ports.http}/`);
    await page.locator('#welcome').waitFor();
    const text = await page.textContent('#welcome');
    assert.ok(text!.includes(server.ports.listen[0]!), text!);
  });

  test('after the generator has stopped, the page shows what status --json prints', async () => {
    const [host, port] = splitAddress(server.ports.listen[0]!);
    const seed = Math.floor(Math.random() * 2 ** 31);
    const sent = await sendStreams({
      host,
      port,
      records: RECORDS,
      connections: 4,
      exporters: 3,
      stream: {
        seed,
        mix: namedMix('default'),
        subscribers: new SubscriberPool(1_000),
        malformedRatio: 0.01,
      },
    });
    const { settled, shown, wanted } = await settledPage(RECORDS);
    assert.deepEqual(shown, wanted, `seed ${seed}`);
    const channels = forwardNumbers(settled);
    const { all, usage } = destinations;
    assert.deepEqual(
      [channels['all.delivered'], channels['usage.delivered']],
      [all.records, usage.records],
    );
    assert.ok(usage.records > 0 && channels['usage.filtered']! > 0);
    assert.equal(await page.locator('#forward tr[data-tone="good"]').count(), 2);
    assert.equal(settled.intake.difference, 0);
    assert.ok(sent.complete && settled.exporters.length >= 3);
    assert.equal(await page.locator('#welcome').isVisible(), false);
  });

  test('every reason that the server knows is in the reference, and no other', () => {
    const { intake, refused, closed, malformed, sinks } = server.snapshot();
    const all: [string, Readonly<Record<string, number>>][] = [
      ['Why intake bytes are dropped', intake.dropped],
      ['Why a connection is refused', refused],
      ['Why a connection was closed', closed],
    ];
    for (const [heading, reasons] of all) {
      assert.deepEqual(Object.keys(reasons).toSorted(), documentedReasons(heading).toSorted());
    }
    // These two show only what has happened.
    const some: [string, Readonly<Record<string, number>>][] = [
      ['Why a record is malformed', malformed],
      ['Why a sink drops records', sinks[0]!.dropped],
    ];
    for (const [heading, reasons] of some) {
      const documented = new Set(documentedReasons(heading));
      for (const reason of Object.keys(reasons)) assert.ok(documented.has(reason), reason);
    }
  });

  function htmlLabel(): Locator {
    return page.locator('#top-subscribers .bar-label', { hasText: HTML_NAME }).first();
  }

  /** Live sums are lost when a browser that stands still does not ask for some seconds. */
  async function untilLive(send: () => Promise<void>): Promise<void> {
    const endMs = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      await send();
      const isShown = await htmlLabel()
        .waitFor({ timeout: LIVE_MS_MAX })
        .then(
          () => true,
          () => false,
        );
      if (isShown) return;
      assert.ok(performance.now() < endMs, 'the live page does not show it');
    }
  }

  test('HTML in a subscriber id arrives as text, live and from the store', async () => {
    await untilLive(() => sendRaw(transactionUsage(HTML_NAME, 2_000_000_000, HTML_RECORDS)));
    const windows = { '1m': 'Live from memory', '15m': 'From the store' };
    for (const [window, note] of Object.entries(windows)) {
      await page.click(`#top-window button[value="${window}"]`);
      await page.getByText(note).waitFor();
      await htmlLabel().waitFor();
      assert.equal(await htmlLabel().textContent(), HTML_NAME, window);
    }
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.notEqual(await page.title(), 'owned');
  });

  /** The newest records that the command finds, newest first. */
  async function dump(filter: string): Promise<{ ordinal: number }[]> {
    const parameters = [MAIN, 'dump', folder, '--filter', filter];
    const { stdout } = await promisify(execFile)(process.execPath, parameters, {
      maxBuffer: 64 * 1024 * 1024,
    });
    const lines = stdout.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line)).toReversed();
  }

  /** Asks again while the answer is one that ran out of time, as it may on a busy machine. */
  async function untilSearched<T extends { readonly endedBy?: string }>(
    ask: () => Promise<T>,
  ): Promise<T> {
    const endMs = performance.now() + SETTLE_MS_MAX;
    for (;;) {
      const answer = await ask();
      if (answer.endedBy !== 'time') return answer;
      assert.ok(performance.now() < endMs, 'no search comes to its end');
    }
  }

  async function searchFor(filter: string): Promise<void> {
    await untilSearched(async () => {
      await page.fill('#records-filter', filter);
      const answered = page.waitForResponse((response) => response.url().includes('/records?'));
      await page.press('#records-filter', 'Enter');
      const response = await answered;
      await response.finished();
      await page.locator('#records-results:not([data-waiting])').waitFor({ state: 'attached' });
      return await response.json();
    });
  }

  test('the search finds what dump finds, the newest first, and shows text as text', async () => {
    const found = await dump(USAGE);
    const query = new URLSearchParams({ filter: USAGE, limit: '500' });
    const { records } = await untilSearched(async () => {
      const url = `http://${server.ports.http}/api/v1/records?${query.toString()}`;
      return (await (await fetch(url)).json()) as { records: unknown[]; endedBy: string };
    });
    assert.ok(found.length > 500, `${found.length} records`);
    assert.deepEqual(records, found.slice(0, 500));
    await searchFor(USAGE);
    const shown = await page
      .locator('#records-results tbody tr')
      .evaluateAll((rows) => rows.map((row) => Number(row.getAttribute('data-ordinal'))));
    assert.deepEqual(
      shown,
      found.slice(0, 50).map(({ ordinal }) => ordinal),
    );
    await searchFor(`subscriber_id ~ '<img src=x'`);
    const first = page.locator('#records-results details').first();
    const short = await first.locator('summary').textContent();
    assert.ok(short!.startsWith(`subscriber_id ${HTML_NAME.slice(0, 50)}`), short!);
    await first.locator('summary').click();
    const values = await first.locator('dd').allTextContents();
    assert.ok(values.includes(HTML_NAME), values.join(' | '));
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.notEqual(await page.title(), 'owned');
    assert.match((await page.textContent('#records-note'))!, /^Searched [\d,]+ records, .*found/);
  });

  test('a wrong filter is answered with its place and a suggestion', async () => {
    await searchFor('tag = TRANSACTION_USAGE and subscriber = 1');
    const error = page.locator('#records-error');
    assert.deepEqual((await error.locator('pre').textContent())!.split('\n'), [
      '  tag = TRANSACTION_USAGE and subscriber = 1',
      `  ${' '.repeat(28)}^`,
    ]);
    assert.match((await error.textContent())!, /no field is called "subscriber".*subscriber_id/s);
    assert.equal(await page.locator('#records-results tr').count(), 0);
    const place = "document.querySelector('#records-filter').selectionStart";
    assert.equal(await page.evaluate(place), 28);
    await searchFor("subscriber_id = 'nobody at all'");
    assert.equal(await error.isVisible(), false);
    assert.match((await page.textContent('#records-note'))!, /none found\. The journal has no/);
  });

  async function waitUntilShown(timeMs: number): Promise<void> {
    const endMs = performance.now() + SETTLE_MS_MAX;
    while (performance.now() < endMs) {
      if (Number(await page.getAttribute('html', 'data-snapshot-ms')) >= timeMs) return;
      await sleep(50);
    }
    assert.fail('the page does not get newer');
  }
});

function documentedReasons(heading: string): string[] {
  const page = readFileSync(
    path.resolve(import.meta.dirname, '../../docs/reference/metrics.md'),
    'utf8',
  );
  const section = page.split(`### ${heading}\n`)[1]!.split('\n###')[0]!;
  return [...section.matchAll(/^\| `(\w+)`/gm)].map(([, reason]) => reason!);
}

function splitAddress(address: string): [host: string, port: number] {
  const at = address.lastIndexOf(':');
  return [address.slice(0, at), Number(address.slice(at + 1))];
}

/**
 * The live page in a real browser, over the dashboard with a made-up source.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { type Dashboard, History, startDashboard } from '../src/server/dashboard/index.ts';
import { launchBrowser, whyNoBrowser } from './support/browser.ts';
import {
  fakeChannel,
  fakeDown,
  fakeDropped,
  fakeForward,
  fakePair,
} from './support/fake-forward.ts';
import { FakeSource } from './support/fake-source.ts';
import { pageNumbers, statusNumbers } from './support/page-numbers.ts';

const HTML_NAME = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
const skip = whyNoBrowser() ?? false;

describe('the live page', { skip }, () => {
  let browser: Browser;
  const opened: Dashboard[] = [];

  before(async () => {
    const built = path.resolve(import.meta.dirname, '../web/index.html');
    assert.ok(existsSync(built), `${built} is missing: npm run build`);
    browser = await launchBrowser();
  });

  after(async () => {
    await browser?.close();
    await Promise.all(opened.map((dashboard) => dashboard.close()));
  });

  async function serve(source: FakeSource, history = new History()): Promise<Dashboard> {
    const dashboard = await startDashboard({ host: '127.0.0.1', port: 0, source, history });
    opened.push(dashboard);
    return dashboard;
  }

  /** A page that counts its own errors, those of the content security policy included. */
  async function open(url: string, options: { width?: number; dark?: boolean } = {}) {
    const page = await browser.newPage({
      viewport: { width: options.width ?? 1280, height: 800 },
      colorScheme: options.dark === true ? 'dark' : 'light',
    });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    const requests: string[] = [];
    page.on('request', (request) => requests.push(new URL(request.url()).origin));
    await page.goto(url);
    await page.waitForSelector('#ledgers .ledger');
    return { page, problems, requests };
  }

  function busySource(): FakeSource {
    const source = new FakeSource({ names: [HTML_NAME] });
    for (let i = 0; i < 30; i += 1) source.advance();
    return source;
  }

  async function waitForTime(page: Page, timeMs: number): Promise<void> {
    await page.locator(`html[data-snapshot-ms="${timeMs}"]`).waitFor({ state: 'attached' });
  }

  test('shows the numbers of the status, and the next ones without a reload', async () => {
    const source = busySource();
    const { page, problems, requests } = await open((await serve(source)).url);
    assert.deepEqual(await pageNumbers(page), statusNumbers(source.snapshot()));
    source.advance();
    source.settle();
    await waitForTime(page, source.snapshot().timeMs);
    assert.deepEqual(await pageNumbers(page), statusNumbers(source.snapshot()));
    assert.equal(await page.textContent('.closes'), 'difference 0');
    assert.deepEqual(problems, []);
    assert.equal(new Set(requests).size, 1, 'the page asks nobody but its own server');
    await page.close();
  });

  test('HTML in a subscriber id is shown as text', async () => {
    const { page, problems } = await open((await serve(busySource())).url);
    const first = page.locator('#top-subscribers li .bar-label').first();
    await first.waitFor();
    assert.equal(await first.textContent(), HTML_NAME);
    assert.equal(await page.locator('main img, main b b').count(), 0);
    assert.notEqual(await page.title(), 'owned');
    assert.deepEqual(problems, []);
    await page.close();
  });

  test('says so when the stream breaks, and goes on when the server is back', async () => {
    const source = busySource();
    const first = await serve(source);
    const { page } = await open(first.url);
    await first.close();
    await page.waitForSelector('#banner:not([hidden])');
    assert.match((await page.textContent('#banner'))!, /No data from the server/);
    source.advance();
    const port = Number(new URL(first.url).port);
    opened.push(await startDashboard({ host: '127.0.0.1', port, source }));
    await waitForTime(page, source.snapshot().timeMs);
    await page.waitForSelector('#banner', { state: 'hidden' });
    await page.close();
  });

  test('a stream that is open but silent is stale, too', async () => {
    const source = busySource();
    const { page } = await open((await serve(source)).url);
    await page.waitForSelector('#banner:not([hidden])');
    source.advance();
    await page.waitForSelector('#banner', { state: 'hidden' });
    await page.close();
  });

  test('without any exporter it says what to do', async () => {
    const { page } = await open((await serve(new FakeSource({ exporters: 0 }))).url);
    const text = await page.textContent('#welcome');
    assert.match(text!, /rdr-formatter destination .* port 33000/);
    assert.match(text!, /millrace generate 127\.0\.0\.1:33000/);
    await page.close();
  });

  test('a ledger that does not close is told from one that does', async () => {
    const source = busySource();
    source.set({ intake: { ...source.snapshot().intake, difference: 12 } });
    const { page } = await open((await serve(source)).url);
    const ledgers = page.locator('.ledger');
    assert.equal(await ledgers.nth(0).getAttribute('data-closes'), 'false');
    assert.equal(await ledgers.nth(1).getAttribute('data-closes'), 'true');
    assert.match((await page.textContent('#lamps'))!, /do not close/);
    await page.close();
  });

  test('what is forwarded has a panel, the destinations that are not fine first', async () => {
    const source = busySource();
    const fine = Array.from({ length: 95 }, (_, n) => fakeChannel({ name: `fine-${n}` }));
    const lossy = fakeChannel({ name: 'lossy', dropped: fakeDropped({ lag: 1_234 }) });
    const channels = [...fine, lossy, fakeDown('dead'), fakePair('pair', true)];
    source.set({ forward: fakeForward(channels, source.snapshot().timeMs) });
    const { page, problems } = await open((await serve(source)).url);
    const rows = page.locator('#forward tbody tr');
    await rows.first().waitFor();
    const names = await rows
      .locator('th')
      .evaluateAll((all) => all.map((one) => one.firstChild?.textContent ?? ''));
    assert.deepEqual(names.slice(0, 5), ['dead', 'lossy', 'pair/first', 'pair/second', 'fine-0']);
    assert.equal(names.length, 12);
    assert.match((await rows.nth(0).textContent())!, /ECONNREFUSED/);
    const tones = await rows.evaluateAll((all) =>
      all.slice(0, 5).map((one) => one.getAttribute('data-tone')),
    );
    assert.deepEqual(tones, ['bad', 'warn', 'none', 'warn', 'good']);
    const delivered = rows.nth(1).locator('[data-channel-field="delivered"]');
    assert.equal(await delivered.textContent(), '999,600');
    assert.match((await page.textContent('#forward-note'))!, /closes\. Dropped: 1,234 lag\./);
    assert.match((await page.textContent('#lamps'))!, /1,234 records.*3 of 98 not fine/);
    await page.click('#forward-more');
    assert.equal(await rows.count(), 99);
    assert.deepEqual(problems, []);
    await page.close();
  });

  test('the rate of a destination is what was sent between two reports', async () => {
    const source = busySource();
    const { timeMs } = source.snapshot();
    const sentAt = (sentBytes: number, atMs: number): void => {
      const channel = fakeChannel();
      const destinations = channel.destinations.map((one) => ({ ...one, sentBytes }));
      source.set({ timeMs: atMs, forward: fakeForward([{ ...channel, destinations }], atMs) });
    };
    sentAt(10e6, timeMs);
    const { page } = await open((await serve(source)).url);
    const rate = page.locator('#forward td[data-title="MB/s"]');
    await rate.filter({ hasText: '–' }).waitFor();
    sentAt(19e6, timeMs + 2_000);
    await rate.filter({ hasText: '4.50' }).waitFor();
    source.set({ timeMs: timeMs + 3_000, forward: null });
    await page.locator('#forward-panel').waitFor({ state: 'hidden' });
    await page.close();
  });

  test('the tops follow their switches, by keyboard too', async () => {
    const source = busySource();
    const { page } = await open((await serve(source)).url);
    await page.waitForSelector('#top-services .bar-value');
    await page.focus('#top-window button[value="15m"]');
    await page.keyboard.press('Enter');
    await page.getByText('From the store').waitFor();
    await page.click('#top-measure button[value="sessions"]');
    await page
      .locator('#top-services .bar-value', { hasText: /^[\d,]+$/ })
      .first()
      .waitFor();
    const pressed = await page.locator('button[aria-pressed="true"]').allTextContents();
    assert.deepEqual(pressed, ['15 min', 'Sessions']);
    await page.close();
  });

  test('the charts show the history that was made before the page was open', async () => {
    const source = busySource();
    const history = new History();
    for (let i = 0; i <= 300; i += 1) {
      source.advance();
      history.add(source.snapshot());
    }
    const { page } = await open((await serve(source, history)).url);
    await page.locator('[data-chart][aria-label^="5 min"]').first().waitFor();
    assert.equal(await page.locator('[data-chart] canvas').count(), 3);
    await page.close();
  });

  test('dark and light follow the system until one is chosen, and the choice stays', async () => {
    const { page } = await open((await serve(busySource())).url, { dark: true });
    const theme = () => page.getAttribute('html', 'data-theme');
    assert.equal(await theme(), 'dark');
    await page.click('#theme');
    assert.equal(await theme(), 'light');
    await page.reload();
    assert.equal(await theme(), 'light');
    await page.close();
  });

  test('on a phone nothing is wider than the screen', async () => {
    for (const exporters of [0, 4]) {
      const source = new FakeSource({ exporters, names: [HTML_NAME.repeat(5)] });
      for (let i = 0; i < 30; i += 1) source.advance();
      const name = 'a-name-of-sixty-three-characters-is-the-longest-that-is-allowed';
      if (exporters > 0)
        source.set({ forward: fakeForward([fakeDown(name), fakePair(name, true)]) });
      const { page } = await open((await serve(source)).url, { width: 390 });
      await page.waitForTimeout(200);
      const width = await page.locator('html').evaluate((html) => html.scrollWidth);
      assert.ok(width <= 390, `${width} px with ${exporters} exporters`);
      await page.close();
    }
  });
});

/**
 * The live page over the real server and the simulated SCE: what a person reads on the page is what
 * `millrace status --json` prints.
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
import { promisify } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { makeConfig, type Server, type Snapshot, startServer } from '../src/server/index.ts';
import { namedMix, SubscriberPool, sendStreams } from '../src/simulator/index.ts';
import { launchBrowser, whyNoBrowser } from './support/browser.ts';
import { transactionUsage } from './support/hostile-record.ts';
import { pageNumbers, statusNumbers } from './support/page-numbers.ts';

const HTML_NAME = `<img src=x onerror="document.title='owned'"><script>1</script>&amp;`;
const RECORDS = 20_000;
const HTML_RECORDS = 50;
const SETTLE_MS_MAX = 90_000;
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

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-page-'));
    browser = await launchBrowser();
    server = await startServer(
      makeConfig({
        data: folder,
        listen: ['127.0.0.1:0'],
        http: '127.0.0.1:0',
        log: { level: 'error' },
      }),
    );
    page = await browser.newPage();
  });

  after(async () => {
    await browser?.close();
    await server?.drain();
    await rm(folder, { recursive: true, force: true });
  });

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
      const { connections, intake, sinks, recordsPerSecond } = now;
      const isStill = connections.open === 0 && intake.inPages === 0 && recordsPerSecond === 0;
      const [sink] = sinks;
      const isDelivered = sink?.pending === 0 && sink.received >= received;
      const isSame = JSON.stringify(statusNumbers(before)) === JSON.stringify(statusNumbers(now));
      if (isStill && isDelivered && isSame) return now;
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
    const settled = await settledStatus(RECORDS);
    await waitUntilShown(settled.timeMs);
    assert.deepEqual(await pageNumbers(page), statusNumbers(settled), `seed ${seed}`);
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

  test('HTML in a subscriber id arrives as text, live and from the store', async () => {
    await sendRaw(transactionUsage(HTML_NAME, 2_000_000_000, HTML_RECORDS));
    const windows = { '1m': 'Live from memory', '15m': 'From the store' };
    for (const [window, note] of Object.entries(windows)) {
      await page.click(`#top-window button[value="${window}"]`);
      await page.getByText(note).waitFor();
      const label = page.locator('#top-subscribers .bar-label', { hasText: HTML_NAME });
      await label.first().waitFor();
      assert.equal(await label.first().textContent(), HTML_NAME, window);
    }
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.notEqual(await page.title(), 'owned');
  });

  async function waitUntilShown(timeMs: number): Promise<void> {
    for (let i = 0; i < 200; i += 1) {
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

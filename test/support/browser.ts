/**
 * A real browser for the tests of the page: Debian's chromium, driven by playwright-core.
 */
import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const EXECUTABLE = process.env.MILLRACE_CHROMIUM ?? '/usr/bin/chromium';

/** `--no-sandbox`: CI runs as root; only our own page is opened. The others keep it off the net. */
const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Why there is no browser to test with; null when there is one, and in CI, where one must be. */
export function whyNoBrowser(): string | null {
  if (existsSync(EXECUTABLE) || process.env.CI === 'true') return null;
  return `no browser at ${EXECUTABLE}: apt-get install chromium, or set MILLRACE_CHROMIUM`;
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: FLAGS });
}

/**
 * The exact numbers of the live page, and the same of a status: equal when the page tells the
 * truth.
 */
import type { Locator, Page } from 'playwright-core';
import type { Snapshot } from '../../src/server/snapshot.ts';

/** name -> number; the ledgers, the exporters, the exact figures. */
export type Numbers = Record<string, number>;

const EXPORTER_FIELDS = ['connections', 'records'] as const;

function sumOf(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((sum, value) => sum + value, 0);
}

export function statusNumbers(status: Snapshot): Numbers {
  const numbers: Numbers = {};
  const { intake, sinks, journal, store, pages, connections } = status;
  const { dropped, unreadAtDrain: _beside, ...terms } = intake;
  for (const [key, value] of Object.entries(terms)) numbers[`intake.${key}`] = value;
  numbers['intake.dropped'] = sumOf(dropped);
  sinks.forEach((sink, index) => {
    for (const key of [
      'received',
      'delivered',
      'filtered',
      'malformed',
      'pending',
      'difference',
    ] as const) {
      numbers[`sinks.${index}.${key}`] = sink[key];
    }
    numbers[`sinks.${index}.dropped`] = sumOf(sink.dropped);
  });
  for (const exporter of status.exporters) {
    for (const key of EXPORTER_FIELDS) numbers[`${exporter.address}.${key}`] = exporter[key];
  }
  for (const [table, rows] of Object.entries(status.tables)) {
    if (rows > 0) numbers[`tables.${table}`] = rows;
  }
  numbers['connections.open'] = connections.open;
  numbers['connections.limit'] = connections.limit;
  numbers['journal.position'] = journal.position;
  numbers['journal.segments'] = journal.segments;
  numbers['store.commits'] = store.commits;
  numbers['store.files'] = store.files;
  numbers['pages.free'] = pages.free;
  numbers['pages.total'] = pages.total;
  numbers.recordsTotal = status.recordsTotal;
  return numbers;
}

/** What the row of a channel tells exactly. */
const CHANNEL_FIELDS = ['pending', 'delivered', 'filtered', 'resent'] as const;

export function forwardNumbers({ forward }: Snapshot): Numbers {
  const numbers: Numbers = {};
  for (const channel of forward?.channels ?? []) {
    for (const field of CHANNEL_FIELDS) numbers[`${channel.name}.${field}`] = channel[field];
  }
  return numbers;
}

/** The same, read from the page. */
export async function pageForwardNumbers(page: Page): Promise<Numbers> {
  const numbers: Numbers = {};
  for (const row of await page.locator('tr[data-channel]').all()) {
    const channel = await row.getAttribute('data-channel');
    for (const [field, text] of await namedTexts(row, '[data-channel-field]', 'channel-field')) {
      numbers[`${channel}.${field}`] = Number(text.replaceAll(',', ''));
    }
  }
  return numbers;
}

/** Read from the text that a person sees. */
export async function pageNumbers(page: Page): Promise<Numbers> {
  const texts: [name: string, text: string][] = [
    ...(await namedTexts(page, '[data-term]', 'term')),
    ...(await namedTexts(page, '[data-field]:not([data-as])', 'field')),
  ];
  for (const row of await page.locator('[data-exporter]').all()) {
    const exporter = await row.getAttribute('data-exporter');
    for (const field of EXPORTER_FIELDS) {
      const text = await row.locator(`[data-exporter-field="${field}"]`).textContent();
      texts.push([`${exporter}.${field}`, text!]);
    }
  }
  for (const row of await page.locator('#tables:not([data-empty]) li').all()) {
    const [label, value] = await row.locator('span').allTextContents();
    texts.push([`tables.${label}`, value!]);
  }
  return Object.fromEntries(texts.map(([name, text]) => [name, Number(text.replaceAll(',', ''))]));
}

async function namedTexts(
  place: Page | Locator,
  selector: string,
  key: string,
): Promise<[string, string][]> {
  const targets = await place.locator(selector).all();
  const pairs = targets.map(async (target): Promise<[string, string]> => {
    const [name, text] = await Promise.all([
      target.getAttribute(`data-${key}`),
      target.textContent(),
    ]);
    return [name!, text!];
  });
  return await Promise.all(pairs);
}

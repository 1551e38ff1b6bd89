/**
 * Forwarding: one row for each destination of each channel, the channel's ledger and lag with it.
 *
 * WHY      With many destinations the eye looks for the one that is not fine: those come first, by
 *          the verdict of health.ts, which `millrace status` uses too; of the others the rows
 *          beyond FINE_ROWS are left out until asked for. Without channels there is no panel.
 */
import {
  type ChannelHealth,
  channelDifference,
  channelHealth,
  cpuMsPerGb,
  droppedRecords,
} from '../../src/server/forward/health.ts';
import {
  type ChannelReport,
  type DestinationReport,
  FORWARD_DROPS,
  type ForwardReport,
} from '../../src/server/forward/report.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { byId, element, reconcile, setText } from './dom.ts';
import { bytes, integer, megabytes, milliseconds } from './number-text.ts';

/** Rows of fine channels that are shown without being asked for. */
const FINE_ROWS = 12;
const WORST_FIRST = ['bad', 'warn', 'good'] as const;

interface Row {
  readonly key: string;
  readonly channel: ChannelReport;
  readonly health: ChannelHealth;
  readonly one: DestinationReport;
  /** Null: not known yet. */
  readonly bytesPerSecond: number | null;
}

interface Column {
  readonly title: string;
  readonly text: (row: Row) => string;
  /** Key of ChannelReport whose exact value the cell shows. */
  readonly field?: keyof ChannelReport;
}

const COLUMNS: readonly Column[] = [
  { title: 'State', text: stateOf },
  { title: 'Lag', text: ({ channel }) => milliseconds(channel.lagMs) },
  { title: 'Pending', text: ({ channel }) => integer(channel.pending), field: 'pending' },
  { title: 'Behind', text: ({ channel }) => bytes(channel.lagBytes) },
  { title: 'MB/s', text: ({ bytesPerSecond: rate }) => (rate === null ? '–' : megabytes(rate)) },
  { title: 'Delivered', text: ({ channel }) => integer(channel.delivered), field: 'delivered' },
  { title: 'Filtered', text: ({ channel }) => integer(channel.filtered), field: 'filtered' },
  { title: 'Dropped', text: ({ channel }) => integer(droppedRecords(channel)) },
  { title: 'Resent', text: ({ channel }) => integer(channel.resent), field: 'resent' },
  { title: 'Reconnects', text: ({ one }) => integer(one.reconnects) },
  { title: 'CPU ms/GB', text: ({ one }) => costOf(one) },
];

let before: ForwardReport | null = null;
/** Bytes per second by row; kept while the report is the same one. */
let rates = new Map<string, number>();
let isAll = false;

export function showForward({ forward }: Snapshot): void {
  const panel = byId('forward-panel');
  const channels = forward?.channels ?? [];
  panel.hidden = channels.length === 0;
  if (forward === null || channels.length === 0) return;
  takeRates(forward);
  const rows = channels.flatMap(rowsOf).toSorted(byTrouble);
  const troubles = rows.filter(({ health }) => health.tone !== 'good').length;
  const shown = isAll ? rows : rows.slice(0, Math.max(FINE_ROWS, troubles));
  const parent = byId('forward');
  if (parent.firstElementChild === null) parent.replaceChildren(makeTable());
  reconcile(parent.querySelector('tbody')!, shown, ({ key }) => key, makeRow, updateRow);
  setText(byId('forward-count'), String(channels.length));
  setText(byId('forward-note'), noteOf(channels));
  showMore(rows.length, shown.length);
}

/** Stable: rows that are as bad as one another keep the order of the configuration. */
function byTrouble(a: Row, b: Row): number {
  return WORST_FIRST.indexOf(a.health.tone) - WORST_FIRST.indexOf(b.health.tone);
}

function rowsOf(channel: ChannelReport): Row[] {
  const health = channelHealth(channel);
  return channel.destinations.map((one) => {
    const key = keyOf(channel, one);
    return { key, channel, health, one, bytesPerSecond: rates.get(key) ?? null };
  });
}

function keyOf(channel: ChannelReport, one: DestinationReport): string {
  return `${channel.name} ${one.name}`;
}

function takeRates(now: ForwardReport): void {
  const seconds = before === null ? 0 : (now.timeMs - before.timeMs) / 1000;
  if (before !== null && seconds === 0) return;
  const sentBefore = new Map<string, number>();
  for (const channel of before?.channels ?? []) {
    for (const one of channel.destinations) sentBefore.set(keyOf(channel, one), one.sentBytes);
  }
  rates = new Map();
  for (const channel of now.channels) {
    for (const one of channel.destinations) {
      const sent =
        one.sentBytes - (sentBefore.get(keyOf(channel, one)) ?? Number.POSITIVE_INFINITY);
      // Less than before: another forward worker, which counts from 0.
      if (seconds > 0 && sent >= 0) rates.set(keyOf(channel, one), sent / seconds);
    }
  }
  before = now;
}

function stateOf({ channel, health, one }: Row): string {
  if (channel.mode === 'redundancy' && !one.isActive) return one.state;
  const role = channel.mode === 'redundancy' ? ', active' : '';
  const isOwn = health.tone === 'good' || health.text === channel.state;
  return isOwn ? `${channel.state}${role}` : `${health.text}${role}`;
}

/** Where it goes; where nothing gets through, the reason, which names the place. */
function placeOf({ channel, one, health }: Row): string {
  if (channel.why !== '') return channel.why;
  const at = one.address === '' || one.address === one.host ? '' : ` (${one.address})`;
  // The last is that of the mechanism.
  const reasons = one.why.split('; ').slice(0, -1);
  if (health.tone === 'good' || reasons.length === 0) return `${one.host}:${one.port}${at}`;
  return reasons.join('; ');
}

function costOf(one: DestinationReport): string {
  const perGb = cpuMsPerGb(one);
  return perGb === null ? '–' : integer(perGb);
}

function noteOf(channels: readonly ChannelReport[]): string {
  const open = channels.filter((channel) => channelDifference(channel) !== 0).length;
  const ledgers = open === 0 ? 'every ledger closes' : `${integer(open)} ledgers do not close`;
  const sums = FORWARD_DROPS.map((reason) => {
    const sum = channels.reduce((all, { dropped }) => all + dropped[reason], 0);
    return sum === 0 ? '' : `${integer(sum)} ${reason}`;
  }).filter((text) => text !== '');
  const dropped = sums.length === 0 ? 'nothing' : sums.join(', ');
  return `Records, for good: ${ledgers}. Dropped: ${dropped}.`;
}

function showMore(rows: number, shown: number): void {
  const button = byId('forward-more');
  button.hidden = rows <= FINE_ROWS || (!isAll && shown === rows);
  button.setAttribute('aria-expanded', String(isAll));
  setText(
    button,
    isAll ? 'Leave out what is fine' : `Show ${integer(rows - shown)} more, all fine`,
  );
}

/** `again`: shows the newest snapshot once more. */
export function startForward(again: () => void): void {
  byId('forward-more').addEventListener('click', () => {
    isAll = !isAll;
    again();
  });
}

function makeTable(): HTMLElement {
  const titles = ['Destination', ...COLUMNS.map(({ title }) => title)];
  const heads = titles.map((title) => element('th', { scope: 'col' }, title));
  return element(
    'table',
    {},
    element('thead', {}, element('tr', {}, ...heads)),
    element('tbody', {}),
  );
}

function makeRow({ channel, one }: Row): HTMLElement {
  const cells = COLUMNS.map(({ title, field }) => {
    const mark = field === undefined ? {} : { 'data-channel-field': field };
    return element('td', { 'data-title': title, ...mark });
  });
  const name = channel.destinations.length > 1 ? `${channel.name}/${one.name}` : channel.name;
  const place = element('small', {});
  return element('tr', {}, element('th', { scope: 'row' }, name, place), ...cells);
}

function updateRow(target: HTMLElement, row: Row): void {
  const { channel, health, one } = row;
  const isStandby = channel.mode === 'redundancy' && !one.isActive;
  target.dataset.tone = isStandby ? 'none' : health.tone;
  target.dataset.channel = channel.name;
  target.dataset.destination = one.name;
  setText(target.querySelector('th small')!, placeOf(row));
  target.title = `${one.mechanism}: ${one.why}`;
  COLUMNS.forEach((column, index) => {
    const cell = target.children[index + 1] as HTMLElement;
    const text = isStandby && column.title !== 'State' ? '' : column.text(row);
    setText(cell, text);
    cell.dataset.zero = String(/^[0–](\.0+)?( B| ms)?$/.test(text));
  });
  const dropped = [...target.children].find(
    (cell) => (cell as HTMLElement).dataset.title === 'Dropped',
  ) as HTMLElement;
  dropped.dataset.loss = String(droppedRecords(channel) > 0);
}

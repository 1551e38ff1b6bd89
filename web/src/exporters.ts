/**
 * Exporters: one row for each device that has sent, with its state.
 */
import type { ExporterStatus, Snapshot } from '../../src/server/snapshot.ts';
import { byId, element, reconcile, setText } from './dom.ts';
import { bytes, duration, integer, megabytes } from './number-text.ts';

interface Column {
  readonly title: string;
  readonly text: (exporter: ExporterStatus, nowMs: number) => string;
  /** Key of ExporterStatus whose exact value the cell shows. */
  readonly field?: keyof ExporterStatus;
}

const COLUMNS: readonly Column[] = [
  { title: 'State', text: (e) => e.state },
  { title: 'Connections', text: (e) => integer(e.connections), field: 'connections' },
  { title: 'Records/s', text: (e) => integer(e.recordsPerSecond) },
  { title: 'MB/s', text: (e) => megabytes(e.bytesPerSecond) },
  { title: 'Records', text: (e) => integer(e.records), field: 'records' },
  { title: 'Volume', text: (e) => bytes(e.bytes) },
  { title: 'Resync', text: (e) => bytes(e.resyncBytes) },
  { title: 'Truncated', text: (e) => bytes(e.truncatedBytes) },
  { title: 'Last byte', text: (e, nowMs) => lastSeen(e, nowMs) },
];

export function showExporters(snapshot: Snapshot): void {
  const parent = byId('exporters');
  const { exporters } = snapshot;
  setText(byId('exporters-count'), exporters.length === 0 ? '' : String(exporters.length));
  if (exporters.length === 0) {
    if (parent.firstElementChild?.className !== 'nothing') {
      parent.replaceChildren(element('p', { class: 'nothing' }, 'No exporter has connected yet.'));
    }
    return;
  }
  if (parent.firstElementChild?.tagName !== 'TABLE') parent.replaceChildren(makeTable());
  reconcile(
    parent.querySelector('tbody')!,
    exporters,
    (exporter) => exporter.address,
    makeRow,
    (row, exporter) => updateRow(row, exporter, snapshot.timeMs),
  );
}

function makeTable(): HTMLElement {
  const titles = ['Exporter', ...COLUMNS.map(({ title }) => title)];
  return element(
    'table',
    {},
    element(
      'thead',
      {},
      element('tr', {}, ...titles.map((t) => element('th', { scope: 'col' }, t))),
    ),
    element('tbody', {}),
  );
}

function makeRow(exporter: ExporterStatus): HTMLElement {
  const cells = COLUMNS.map(({ title, field }) => {
    const mark = field === undefined ? {} : { 'data-exporter-field': field };
    return element('td', { 'data-title': title, ...mark });
  });
  return element('tr', {}, element('th', { scope: 'row' }, exporter.address), ...cells);
}

function updateRow(row: HTMLElement, exporter: ExporterStatus, nowMs: number): void {
  row.dataset.state = exporter.state;
  row.dataset.exporter = exporter.address;
  COLUMNS.forEach((column, index) => {
    const cell = row.children[index + 1] as HTMLElement;
    const text = column.text(exporter, nowMs);
    setText(cell, text);
    cell.dataset.zero = String(/^0(\.0+)?( B)?$/.test(text));
  });
}

function lastSeen({ lastSeenMs }: ExporterStatus, nowMs: number): string {
  if (lastSeenMs === 0) return 'never';
  const agoMs = nowMs - lastSeenMs;
  return agoMs < 2_000 ? 'now' : `${duration(agoMs, 1)} ago`;
}

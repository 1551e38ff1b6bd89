/**
 * Exceptions: everything that was counted and is not a clean record, with its reason in words.
 */
import { FORWARD_DROPS } from '../../src/server/forward/report.ts';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { element, reconcile, setText } from './dom.ts';
import { sumOf } from './ledgers.ts';
import { bytes, integer, milliseconds } from './number-text.ts';

interface Row {
  readonly name: string;
  readonly text: string;
  readonly isZero: boolean;
  /** A number that is no sign of trouble. */
  readonly isCalm?: boolean;
  readonly meaning: string;
}

interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** What a reason means; one that is not here shows its name alone. */
const MEANINGS: Readonly<Record<string, string>> = {
  fields_short: 'fields do not fill the payload',
  field_overrun: 'a field is longer than the record',
  fixed_length: 'a fixed type has the wrong length',
  count_high: 'more fields than there is room for',
  journal_full: 'the disk was full',
  journal_error: 'a write failed',
  worker_died: 'a collector ended by itself',
  drain: 'no time left at the drain',
  bench: 'a benchmark asked for it',
  retention: 'the hard cap of the journal',
  damaged: 'the block is damaged',
  cut: 'a connection broke in it',
  interrupted: 'on its way when the server died',
  lag: 'beyond the lag allowed',
  removed: 'no destination any more',
  undecodable: 'not found in their block',
  not_allowed: 'not on the allow-list',
  connection_limit: 'too many at once',
  accept_error: 'the kernel could not',
  peer: 'the exporter ended it',
  error: 'it was reset or failed',
  idle: 'nothing came for too long',
};

export function showExceptions(parent: Element, snapshot: Snapshot): void {
  reconcile(
    parent,
    groupsOf(snapshot),
    ({ title }) => title,
    ({ title }) =>
      element(
        'div',
        { class: 'group' },
        element('h3', {}, title),
        element('dl', { class: 'pairs' }),
      ),
    (target, { rows }) => {
      const isQuiet = rows.every(({ isZero }) => isZero);
      target.dataset.quiet = String(isQuiet);
      reconcile(target.querySelector('dl')!, rows, ({ name }) => name, makeRow, updateRow);
    },
  );
}

function groupsOf(snapshot: Snapshot): Group[] {
  const { intake, sinks, journal, store, stalls } = snapshot;
  const droppedRecords = sinks.flatMap((sink) =>
    reasonsOf(sink.dropped, integer).map((row) => ({ ...row, name: `${sink.name}: ${row.name}` })),
  );
  const unsent = forwardDropsOf(snapshot).map((row) => ({ ...row, name: `forward: ${row.name}` }));
  return [
    {
      title: 'Resync',
      rows: [
        rowOf('runs of garbage', snapshot.resyncRuns, integer),
        rowOf('skipped', intake.resync, bytes),
        rowOf('half records', intake.truncated, bytes),
      ],
    },
    { title: 'Malformed records', rows: orNone(reasonsOf(snapshot.malformed, integer)) },
    {
      title: 'Dropped',
      rows: orNone([...reasonsOf(intake.dropped, bytes), ...droppedRecords, ...unsent]),
    },
    { title: 'Refused connections', rows: orNone(reasonsOf(snapshot.refused, integer)) },
    { title: 'Closed connections', rows: orNone(closedOf(snapshot.closed)) },
    {
      title: 'Reading stopped, no free page',
      rows: [rowOf('times', stalls.count, integer), rowOf('for', stalls.ms, milliseconds)],
    },
    {
      title: 'Stored, but odd',
      rows: [
        rowOf('text not UTF-8', store.invalidText, integer),
        rowOf('did not fit a column', store.misfits, integer),
      ],
    },
    {
      title: 'Errors',
      rows: [
        rowOf('journal', journal.errors, integer),
        rowOf('store', store.errors, integer),
        rowOf('torn tail cut', journal.tornBytes, bytes),
        rowOf('workers that ended', snapshot.workerDeaths, integer),
        rowOf('lost lines of the log', sumOf(snapshot.log.dropped), integer),
      ],
    },
  ];
}

/** Of all channels together: there may be a hundred. */
function forwardDropsOf({ forward }: Snapshot): Row[] {
  const channels = forward?.channels ?? [];
  const sums = FORWARD_DROPS.map((reason): [string, number] => [
    reason,
    channels.reduce((sum, { dropped }) => sum + dropped[reason], 0),
  ]);
  return reasonsOf(Object.fromEntries(sums), integer);
}

function rowOf(name: string, value: number, format: (value: number) => string): Row {
  return { name, text: format(value), isZero: value === 0, meaning: '' };
}

function reasonsOf(
  reasons: Readonly<Record<string, number>>,
  format: (value: number) => string,
): Row[] {
  return Object.entries(reasons)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => ({ ...rowOf(name, value, format), meaning: MEANINGS[name] ?? '' }));
}

/** That a device ends a connection is its right. */
function closedOf(closed: Snapshot['closed']): Row[] {
  return reasonsOf(closed, integer).map((row) => ({ ...row, isCalm: row.name === 'peer' }));
}

function orNone(rows: readonly Row[]): readonly Row[] {
  return rows.length > 0 ? rows : [{ name: 'none', text: '0', isZero: true, meaning: '' }];
}

function makeRow({ name, meaning }: Row): HTMLElement {
  const label = element('dt', {}, name);
  if (meaning !== '') label.append(element('small', {}, meaning));
  return element('div', {}, label, element('dd', {}));
}

function updateRow(target: HTMLElement, { text, isZero, isCalm = false }: Row): void {
  setText(target.querySelector('dd')!, text);
  target.dataset.zero = String(isZero);
  target.dataset.calm = String(isCalm);
}

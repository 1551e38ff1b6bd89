/**
 * Ledgers: both equations with their numbers, exact, and whether they close.
 */
import type { IntakeLedger, SinkLedger, Snapshot } from '../../src/server/snapshot.ts';
import { element, reconcile, setText } from './dom.ts';
import { bytes, integer, milliseconds } from './number-text.ts';

interface Term {
  readonly label: string;
  /** Place in the status, for the test that compares both. */
  readonly field: string;
  readonly value: number;
  /** What a value above zero means: nothing, or a loss. */
  readonly tone?: 'loss' | 'note';
}

interface Ledger {
  readonly name: string;
  readonly unit: string;
  readonly terms: readonly Term[];
  readonly difference: number;
  readonly differenceField: string;
  readonly facts: readonly string[];
  readonly isSlow: boolean;
}

/** Store lag above this is more than its flush explains. */
export const LAG_SLOW_MS = 15_000;

export function showLedgers(parent: Element, snapshot: Snapshot): void {
  const ledgers = [intakeOf(snapshot.intake), ...snapshot.sinks.map(sinkOf)];
  reconcile(parent, ledgers, (ledger) => ledger.name, makeLedger, updateLedger);
}

export function sumOf(reasons: Readonly<Record<string, number>>): number {
  return Object.values(reasons).reduce((sum, value) => sum + value, 0);
}

function intakeOf(intake: IntakeLedger): Ledger {
  const facts: string[] = [];
  if (intake.unreadAtDrain > 0) facts.push(`${bytes(intake.unreadAtDrain)} unread at drain`);
  return {
    name: 'Intake',
    unit: 'bytes, since the start',
    terms: [
      { label: 'read from sockets', field: 'intake.read', value: intake.read },
      { label: 'journaled', field: 'intake.journaled', value: intake.journaled },
      { label: 'in pages', field: 'intake.inPages', value: intake.inPages },
      { label: 'resync', field: 'intake.resync', value: intake.resync, tone: 'note' },
      { label: 'truncated', field: 'intake.truncated', value: intake.truncated, tone: 'note' },
      { label: 'dropped', field: 'intake.dropped', value: sumOf(intake.dropped), tone: 'loss' },
    ],
    difference: intake.difference,
    differenceField: 'intake.difference',
    facts,
    isSlow: false,
  };
}

function sinkOf(sink: SinkLedger, index: number): Ledger {
  const at = `sinks.${index}`;
  return {
    name: `Sink ${sink.name}`,
    unit: 'records, for good',
    terms: [
      { label: 'received', field: `${at}.received`, value: sink.received },
      { label: 'delivered', field: `${at}.delivered`, value: sink.delivered },
      { label: 'pending', field: `${at}.pending`, value: sink.pending },
      { label: 'filtered', field: `${at}.filtered`, value: sink.filtered },
      { label: 'malformed', field: `${at}.malformed`, value: sink.malformed, tone: 'note' },
      { label: 'dropped', field: `${at}.dropped`, value: sumOf(sink.dropped), tone: 'loss' },
    ],
    difference: sink.difference,
    differenceField: `${at}.difference`,
    facts: [
      `lag ${milliseconds(sink.lagMs)}, ${bytes(sink.lagBytes)}`,
      `reads from ${sink.source}`,
      ...(sink.evictions > 0 ? [`evicted ${integer(sink.evictions)} ×`] : []),
    ],
    isSlow: sink.lagMs > LAG_SLOW_MS,
  };
}

function makeLedger(ledger: Ledger): HTMLElement {
  const terms = ledger.terms.map(({ label, field }, index) =>
    element(
      'div',
      { class: 'term', 'data-operator': index === 0 ? '' : index === 1 ? '=' : '+' },
      element('dt', {}, label),
      element('dd', { 'data-term': field }),
    ),
  );
  return element(
    'article',
    { class: 'ledger' },
    element(
      'header',
      {},
      element('h3', {}, ledger.name, ' ', element('small', {}, ledger.unit)),
      element('p', { class: 'chips' }),
    ),
    element(
      'div',
      { class: 'equation' },
      element('dl', {}, ...terms),
      element(
        'p',
        { class: 'closes' },
        element('i', { class: 'mark', 'aria-hidden': 'true' }),
        element('span', {}, 'difference '),
        element('b', { 'data-term': ledger.differenceField }),
      ),
    ),
  );
}

function updateLedger(target: HTMLElement, ledger: Ledger): void {
  for (const term of ledger.terms) {
    const value = target.querySelector<HTMLElement>(`[data-term="${term.field}"]`)!;
    setText(value, integer(term.value));
    const tone = term.value === 0 ? 'zero' : (term.tone ?? 'plain');
    value.parentElement!.dataset.tone = tone;
  }
  const difference = target.querySelector(`[data-term="${ledger.differenceField}"]`)!;
  setText(difference, integer(ledger.difference));
  target.dataset.closes = String(ledger.difference === 0);
  const chips = target.querySelector<HTMLElement>('.chips')!;
  chips.dataset.slow = String(ledger.isSlow);
  reconcile(
    chips,
    ledger.facts.map((text, index) => ({ text, index })),
    ({ index }) => String(index),
    () => element('span', { class: 'chip' }),
    (chip, { text }) => setText(chip, text),
  );
}

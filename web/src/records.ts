/**
 * Records: the newest ones in the journal that a filter chooses.
 *
 * WHY      The numbers say that something is odd; the records say what. It is asked only on demand,
 *          as each search is work for the server; a new one ends the one before.
 * TEXTS    All that records hold comes from the network: it becomes text nodes (dom.ts).
 */
import { byId, element, setText } from './dom.ts';
import { bytes, clock, integer, pluralOf } from './number-text.ts';
import { fieldPairs, recordName, type SearchedRecord, shortText } from './record-text.ts';

const LIMIT = 50;
const TITLES = ['Time', 'Exporter', 'Record', 'Fields'] as const;

interface SearchAnswer {
  readonly records: readonly SearchedRecord[];
  readonly searchedRecords: number;
  readonly searchedBytes: number;
  readonly damagedBytes: number;
  readonly oldestSearchedMs: number | null;
  readonly isWhole: boolean;
  readonly endedBy: string;
}

interface SearchError {
  readonly message: string;
  readonly remedy: string;
  readonly line?: number;
  readonly column?: number;
}

let underWay: AbortController | null = null;

export function startRecords(): void {
  const field = byId('records-filter') as HTMLInputElement;
  byId('records-form').addEventListener('submit', (event) => {
    event.preventDefault();
    void search(field);
  });
  const help = byId('records-help');
  const hint = byId('records-hint');
  help.addEventListener('click', () => {
    hint.hidden = !hint.hidden;
    help.setAttribute('aria-expanded', String(!hint.hidden));
  });
  for (const example of hint.querySelectorAll('button')) {
    example.addEventListener('click', () => {
      field.value = example.textContent ?? '';
      void search(field);
    });
  }
}

async function search(field: HTMLInputElement): Promise<void> {
  underWay?.abort();
  const own = new AbortController();
  underWay = own;
  const panel = byId('records-results');
  panel.dataset.waiting = 'true';
  setText(byId('records-note'), 'Searching…');
  try {
    const query = new URLSearchParams({ filter: field.value, limit: String(LIMIT) });
    const answer = await fetch(`./api/v1/records?${query}`, { signal: own.signal });
    const body = await answer.json();
    if (own.signal.aborted) return;
    if (answer.ok) showAnswer(body as SearchAnswer, field.value);
    else showError(field, body as SearchError);
  } catch (error) {
    if (own.signal.aborted) return;
    const remedy = error instanceof Error ? error.message : String(error);
    showError(field, { message: 'The server does not answer', remedy });
  }
  delete panel.dataset.waiting;
}

function showAnswer(answer: SearchAnswer, filter: string): void {
  clearError();
  const rows = answer.records.map((record) => makeRow(record, filter));
  const body = element('tbody', {}, ...rows);
  const table = element('table', {}, makeHead(), body);
  byId('records-results').replaceChildren(...(rows.length === 0 ? [] : [table]));
  setText(byId('records-note'), noteOf(answer));
}

/** The answer to an earlier question would look like one to this. */
function showError(field: HTMLInputElement, { message, remedy, line, column }: SearchError): void {
  byId('records-results').replaceChildren();
  setText(byId('records-note'), '');
  const target = byId('records-error');
  target.hidden = false;
  // Below the sentence of a filter's error stand its line and a caret under the place.
  const [sentence = '', ...lines] = message.split('\n');
  const shown = lines.length === 0 ? [] : [element('pre', {}, lines.join('\n'))];
  target.replaceChildren(element('p', {}, sentence), ...shown, element('p', {}, remedy));
  field.setAttribute('aria-invalid', String(column !== undefined));
  if (line !== 1 || column === undefined) return;
  field.focus();
  const at = Array.from(field.value)
    .slice(0, column - 1)
    .join('').length;
  field.setSelectionRange(at, at);
}

function clearError(): void {
  byId('records-error').hidden = true;
  byId('records-error').replaceChildren();
  byId('records-filter').removeAttribute('aria-invalid');
}

function noteOf(answer: SearchAnswer): string {
  const { records, searchedRecords, searchedBytes, damagedBytes, oldestSearchedMs } = answer;
  const back = oldestSearchedMs === null ? '' : `, back to ${clock(oldestSearchedMs)}`;
  const looked = `Searched ${pluralOf(searchedRecords, 'record')}, ${bytes(searchedBytes)}${back}`;
  const found = records.length === 0 ? 'none found' : `${integer(records.length)} found`;
  const damaged = damagedBytes > 0 ? ` ${bytes(damagedBytes)} are damaged.` : '';
  const rest = answer.isWhole ? 'The journal has no others.' : 'Older ones were not looked at.';
  return `${looked}: ${found}. ${rest}${damaged}`;
}

function makeHead(): HTMLElement {
  const cells = TITLES.map((title) => element('th', { scope: 'col' }, title));
  return element('thead', {}, element('tr', {}, ...cells));
}

function makeRow(record: SearchedRecord, filter: string): HTMLElement {
  const arrival = new Date(record.arrival);
  const milliseconds = String(arrival.getMilliseconds()).padStart(3, '0');
  const time = element('time', { datetime: record.arrival }, clock(arrival.getTime()));
  time.append(element('small', {}, `.${milliseconds}`));
  const short = shortText(record, filter);
  const summary = element('summary', { title: short }, short);
  const details = element('details', {}, summary);
  // Made when somebody looks: a record may have a hundred fields.
  details.addEventListener('toggle', () => {
    if (details.childElementCount === 1) details.append(makeFields(record));
  });
  const cells = [record.exporter, recordName(record), details].map((content, index) =>
    element('td', { 'data-title': TITLES[index + 1]! }, content),
  );
  const first = element('th', { scope: 'row', title: record.arrival }, time);
  return element('tr', { 'data-ordinal': String(record.ordinal) }, first, ...cells);
}

function makeFields(record: SearchedRecord): HTMLElement {
  const pairs = fieldPairs(record).map(([name, value]) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, value)),
  );
  return element('dl', {}, ...pairs);
}

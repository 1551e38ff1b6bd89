/**
 * Tops: who and what uses the line; asked for only while the page can be seen.
 */
import { showBars } from './bars.ts';
import { byId, setText } from './dom.ts';
import { bytes, clock, duration, integer, milliseconds } from './number-text.ts';

const ROWS = 10;
const MINUTE_MS = 60_000;
const LIVE_PERIOD_MS = 1_000;
const STORE_PERIOD_MS = 5_000;
const LISTS = ['subscribers', 'services'] as const;

interface TopAnswer {
  readonly source: 'live' | 'store';
  readonly computedMs: number;
  readonly tookMs: number;
  readonly coveredMs: number;
  readonly rows: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly sessions: number;
    readonly records: number;
  }[];
}

type Measure = 'bytes' | 'sessions' | 'records';

export class Tops {
  #window = '1m';
  #measure: Measure = 'bytes';
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Answers to an earlier choice are thrown away. */
  #round = 0;

  start(): void {
    this.#onSwitch('top-window', (value) => {
      this.#window = value;
    });
    this.#onSwitch('top-measure', (value) => {
      this.#measure = value as Measure;
    });
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#ask();
    });
    this.#ask();
  }

  #onSwitch(id: string, choose: (value: string) => void): void {
    const group = byId(id);
    group.addEventListener('click', (event) => {
      const button = (event.target as Element).closest('button');
      if (button === null) return;
      for (const other of group.querySelectorAll('button')) {
        other.setAttribute('aria-pressed', String(other === button));
      }
      choose(button.value);
      byId('top-subscribers').parentElement!.parentElement!.dataset.waiting = 'true';
      this.#ask();
    });
  }

  #ask(): void {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    this.#round += 1;
    void this.#load(this.#round).then((isCurrent) => {
      if (!isCurrent) return;
      const periodMs = this.#window === '1m' ? LIVE_PERIOD_MS : STORE_PERIOD_MS;
      this.#timer = setTimeout(() => this.#ask(), periodMs);
    });
  }

  async #load(round: number): Promise<boolean> {
    const [window, measure] = [this.#window, this.#measure];
    try {
      const answers = await Promise.all(LISTS.map((by) => fetchTop(by, window, measure)));
      if (round !== this.#round) return false;
      for (const [index, answer] of answers.entries()) this.#show(LISTS[index]!, answer);
      setText(byId('tops-note'), noteOf(answers[0]!));
    } catch (error) {
      if (round !== this.#round) return false;
      setText(byId('tops-note'), error instanceof Error ? error.message : String(error));
    }
    delete byId('top-subscribers').parentElement!.parentElement!.dataset.waiting;
    return true;
  }

  #show(list: (typeof LISTS)[number], answer: TopAnswer): void {
    const format = this.#measure === 'bytes' ? bytes : integer;
    const bars = answer.rows.map((row) => ({
      key: row.name,
      label: labelOf(list, row.name),
      value: row[this.#measure],
      text: format(row[this.#measure]),
    }));
    showBars(byId(`top-${list}`), bars, 'nothing in this window');
  }
}

/** Services are numbers until somebody gives them names. */
function labelOf(list: (typeof LISTS)[number], name: string): string {
  if (list === 'services') return `service ${name}`;
  return name === '' ? '(empty)' : name;
}

function noteOf({ source, computedMs, tookMs, coveredMs }: TopAnswer): string {
  const what = 'Transaction usage records only.';
  if (source === 'live') {
    // Nobody looked before: the sums are young.
    const isFull = coveredMs >= MINUTE_MS;
    const span = isFull ? 'the last minute' : `the last ${duration(coveredMs)}, and counting`;
    return `Live from memory: ${span}. ${what}`;
  }
  return `From the store, computed at ${clock(computedMs)} in ${milliseconds(tookMs)}. ${what}`;
}

async function fetchTop(by: string, window: string, measure: Measure): Promise<TopAnswer> {
  const query = new URLSearchParams({ window, measure, n: String(ROWS) });
  const answer = await fetch(`./api/v1/top/${by}?${query}`);
  if (answer.ok) return (await answer.json()) as TopAnswer;
  const { message, remedy } = await answer.json();
  throw new Error(remedy === '' ? message : `${message}; ${remedy}`);
}

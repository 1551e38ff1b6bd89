/**
 * Top cache: the tops are computed only when asked, and not more often than is useful.
 *
 * WHY        Ten open pages must cost what one costs, and a slow SQL top must not be asked again
 *            while the last one still runs.
 * INVARIANTS 1. one answer per question is in the making; who asks meanwhile waits for it
 *            2. SQL tops run one after another
 *            3. an SQL answer lives at least SQL_TTL_MS and ten times as long as it took
 *            4. the number of answers kept is bounded by the closed lists of source.ts (n is not
 *               part of the question: TOP_ROWS_MAX rows are asked for and cut)
 */
import { monotonicMs, wallMs } from '../../toolkit/base/clock.ts';
import {
  type DashboardSource,
  LIVE_LEASE_MS,
  TOP_ROWS_MAX,
  TOP_WINDOWS,
  type TopMeasure,
  type TopRow,
  type TopSubject,
  type TopWindow,
} from './source.ts';

const LIVE_TTL_MS = 900;
const SQL_TTL_MS = 5_000;
/** A query may use at most a tenth of the time. */
const SQL_REST_FACTOR = 10;

export interface TopQuestion {
  readonly by: TopSubject;
  readonly window: TopWindow;
  readonly measure: TopMeasure;
}

export interface TopAnswer extends TopQuestion {
  /** 'live' = aggregates in memory, 'store' = SQL over what is committed. */
  readonly source: 'live' | 'store';
  /** Wall time at which it was computed, ms since 1970. */
  readonly computedMs: number;
  readonly tookMs: number;
  /** How much of the window is in the sums: a live one fills from when somebody began to look. */
  readonly coveredMs: number;
  readonly rows: readonly TopRow[];
}

interface Entry {
  readonly answer: Promise<TopAnswer>;
  /** Monotonic; Infinity while it is in the making. */
  staleMs: number;
}

export class TopCache {
  readonly #source: DashboardSource;
  readonly #entries = new Map<string, Entry>();
  /** Monotonic: when the live aggregates began, and when they were last asked for. */
  #liveFromMs = 0;
  #liveAskedMs = Number.NEGATIVE_INFINITY;
  #sqlTail: Promise<unknown> = Promise.resolve();
  /** Questions that were really computed, for the tests and /metrics. */
  computed = 0;

  constructor(source: DashboardSource) {
    this.#source = source;
  }

  /** @throws what the source throws; a failed answer is not kept. */
  async ask(question: TopQuestion, n: number): Promise<TopAnswer> {
    const key = `${question.by} ${question.window} ${question.measure}`;
    let entry = this.#entries.get(key);
    if (entry === undefined || monotonicMs() >= entry.staleMs) {
      entry = this.#start(key, question);
      this.#entries.set(key, entry);
    }
    const answer = await entry.answer;
    return { ...answer, rows: answer.rows.slice(0, n) };
  }

  #start(key: string, question: TopQuestion): Entry {
    const isLive = question.window === '1m';
    const answer = isLive ? this.#compute(question) : this.#computeInTurn(question);
    const entry: Entry = { answer, staleMs: Number.POSITIVE_INFINITY };
    answer.then(
      ({ tookMs }) => {
        const restMs = isLive ? LIVE_TTL_MS : Math.max(SQL_TTL_MS, SQL_REST_FACTOR * tookMs);
        entry.staleMs = monotonicMs() + restMs;
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  #computeInTurn(question: TopQuestion): Promise<TopAnswer> {
    const answer = this.#sqlTail.then(() => this.#compute(question));
    // The failure of one answer belongs to whoever asked for it; the next one runs all the same.
    this.#sqlTail = answer.then(
      () => undefined,
      () => undefined,
    );
    return answer;
  }

  async #compute(question: TopQuestion): Promise<TopAnswer> {
    const { by, window, measure } = question;
    const fromMs = monotonicMs();
    const windowMs = TOP_WINDOWS[window];
    const isLive = window === '1m';
    this.computed += 1;
    if (isLive) this.#renewLive(fromMs);
    const found = isLive
      ? await this.#source.topLive(by, TOP_ROWS_MAX)
      : await this.#source.topSince(by, wallMs() - windowMs, measure, TOP_ROWS_MAX);
    const rows = found
      .map(({ name, bytes, sessions, records }) => ({ name, bytes, sessions, records }))
      .sort((a, b) => b[measure] - a[measure]);
    return {
      ...question,
      source: isLive ? 'live' : 'store',
      computedMs: wallMs(),
      coveredMs: isLive ? Math.min(windowMs, Math.round(fromMs - this.#liveFromMs)) : windowMs,
      tookMs: Math.round(monotonicMs() - fromMs),
      rows,
    };
  }

  #renewLive(nowMs: number): void {
    if (nowMs - this.#liveAskedMs > LIVE_LEASE_MS) this.#liveFromMs = nowMs;
    this.#liveAskedMs = nowMs;
  }
}

/**
 * Charts: the three instruments (records/s, MB/s, lag) over the last fifteen minutes, one cursor
 * for all.
 */
import uPlot from 'uplot';
import type { Snapshot } from '../../src/server/snapshot.ts';
import { setText } from './dom.ts';
import { clock, duration, integer, megabytes, seconds } from './number-text.ts';

interface HistoryAnswer {
  readonly timeMs: readonly number[];
  readonly recordsPerSecond: readonly number[];
  readonly bytesPerSecond: readonly number[];
  readonly lagMs: readonly number[];
}

interface Kind {
  readonly name: string;
  readonly colour: string;
  readonly column: Exclude<keyof HistoryAnswer, 'timeMs'>;
  readonly now: (snapshot: Snapshot) => number;
  readonly format: (value: number) => string;
  readonly unit: string;
  /** Points whose highest is drawn: a lag that falls at each flush would be a solid block. */
  readonly highestOf: number;
  /** The scale never gets smaller than this, so that noise does not look like news. */
  readonly topMin: number;
}

const WINDOW_SECONDS = 900;
/** A young server shows its first minutes wide. */
const WINDOW_SECONDS_MIN = 120;
/** A hole in time is shown as a hole. */
const GAP_SECONDS = 5;
const CHART_HEIGHT = 132;
const AXIS_FONT = '11px system-ui, sans-serif';

const KINDS: readonly Kind[] = [
  {
    name: 'records',
    colour: '--water',
    column: 'recordsPerSecond',
    now: (snapshot) => snapshot.recordsPerSecond,
    format: integer,
    unit: 'records/s',
    highestOf: 1,
    topMin: 100,
  },
  {
    name: 'bytes',
    colour: '--brass',
    column: 'bytesPerSecond',
    now: (snapshot) => snapshot.bytesPerSecond,
    format: megabytes,
    unit: 'MB/s',
    highestOf: 1,
    topMin: 100_000,
  },
  {
    name: 'lag',
    colour: '--slate',
    column: 'lagMs',
    now: (snapshot) => Math.max(0, ...snapshot.sinks.map((sink) => sink.lagMs)),
    format: seconds,
    unit: 's',
    highestOf: 8,
    topMin: 5_000,
  },
];

class Instrument {
  readonly #kind: Kind;
  readonly #reading: Element;
  readonly #note: Element;
  readonly #box: HTMLElement;
  readonly #plot: uPlot;
  #times: number[] = [];
  #values: (number | null)[] = [];

  constructor(kind: Kind) {
    this.#kind = kind;
    const root = document.querySelector(`[data-instrument="${kind.name}"]`)!;
    this.#reading = root.querySelector('[data-reading]')!;
    this.#note = root.querySelector('[data-note]')!;
    this.#box = root.querySelector<HTMLElement>('[data-chart]')!;
    this.#box.setAttribute('role', 'img');
    this.#plot = new uPlot(this.#options(), [[], []], this.#box);
    new ResizeObserver(() => {
      this.#plot.setSize({ width: this.#box.clientWidth, height: CHART_HEIGHT });
    }).observe(this.#box);
  }

  load(answer: HistoryAnswer): void {
    this.#times = [];
    this.#values = [];
    for (const [index, timeMs] of answer.timeMs.entries()) {
      this.#append(timeMs, answer[this.#kind.column][index]!);
    }
    this.#draw();
  }

  add(snapshot: Snapshot): void {
    const value = this.#kind.now(snapshot);
    this.#append(snapshot.timeMs, value);
    setText(this.#reading, this.#kind.format(value));
    this.#draw();
  }

  /** After a change of theme. */
  redraw(): void {
    this.#plot.redraw(false, true);
  }

  #append(timeMs: number, value: number): void {
    const time = timeMs / 1000;
    const last = this.#times.at(-1);
    if (last !== undefined && time <= last) return;
    if (last !== undefined && time - last > GAP_SECONDS) {
      this.#times.push(last + 1);
      this.#values.push(null);
    }
    this.#times.push(time);
    this.#values.push(value);
    while (this.#times[0]! < time - WINDOW_SECONDS) {
      this.#times.shift();
      this.#values.shift();
    }
  }

  #draw(): void {
    const { highestOf } = this.#kind;
    const drawn = highestOf === 1 ? this.#values : highestBehind(this.#values, highestOf);
    this.#plot.setData([this.#times, drawn]);
    this.#describe(this.#plot.cursor.idx ?? null);
  }

  /** The line under the chart: the point under the cursor, or the range of the window. */
  #describe(index: number | null): void {
    const { format, unit } = this.#kind;
    const values = this.#values.filter((value) => value !== null);
    if (values.length === 0) {
      setText(this.#note, 'no data yet');
      return;
    }
    const range = `${format(Math.min(...values))} to ${format(Math.max(...values))}`;
    const mean = format(values.reduce((sum, value) => sum + value, 0) / values.length);
    const spanMs = 1000 * (this.#times.at(-1)! - this.#times[0]!);
    const summary = `${duration(spanMs, 1)}: ${range}, mean ${mean}`;
    this.#box.setAttribute('aria-label', `${summary} ${unit}`);
    const value = index === null ? null : this.#values[index];
    const at = index === null ? undefined : this.#times[index];
    const isPointed = value !== null && value !== undefined && at !== undefined;
    setText(this.#note, isPointed ? `${clock(at * 1000)}: ${format(value)} ${unit}` : summary);
  }

  #options(): uPlot.Options {
    const { colour, format, topMin } = this.#kind;
    const axis = { stroke: () => colourOf('--muted'), font: AXIS_FONT, ticks: { show: false } };
    const grid = { stroke: () => colourOf('--line'), width: 1 };
    return {
      width: 300,
      height: CHART_HEIGHT,
      padding: [8, 16, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        sync: { key: 'millrace' },
        drag: { x: false, y: false },
        points: { size: 6, fill: () => colourOf(colour), stroke: () => colourOf('--panel') },
      },
      hooks: { setCursor: [(plot) => this.#describe(plot.cursor.idx ?? null)] },
      scales: {
        x: { time: true, range: () => this.#window() },
        y: { range: (_plot, _low, high) => [0, Math.max(topMin, (high ?? 0) * 1.08)] },
      },
      axes: [
        {
          ...axis,
          grid: { show: false },
          size: 22,
          gap: 4,
          space: 50,
          values: (_plot, splits) => splits.map((at) => clock(at * 1000).slice(0, 5)),
          incrs: [60, 180, 300],
        },
        {
          ...axis,
          grid,
          size: 52,
          gap: 6,
          space: 36,
          values: (_plot, splits) => splits.map((value) => shortOf(value, format)),
        },
      ],
      series: [
        {},
        {
          stroke: () => colourOf(colour),
          fill: () => colourOf(`${colour}-wash`),
          width: 1.5,
          points: { show: false },
        },
      ],
    };
  }

  #window(): [number, number] {
    const end = this.#times.at(-1) ?? Date.now() / 1000;
    const span = end - (this.#times[0] ?? end);
    return [end - Math.min(WINDOW_SECONDS, Math.max(WINDOW_SECONDS_MIN, span)), end];
  }
}

export class Charts {
  readonly #instruments = KINDS.map((kind) => new Instrument(kind));

  constructor() {
    document.addEventListener('millrace-theme', () => {
      for (const instrument of this.#instruments) instrument.redraw();
    });
  }

  /** Asks for the points that were made while nobody looked. */
  async load(): Promise<void> {
    const answer = await fetch('./api/v1/history');
    if (!answer.ok) throw new Error(`history: ${answer.status}`);
    const history = (await answer.json()) as HistoryAnswer;
    for (const instrument of this.#instruments) instrument.load(history);
  }

  add(snapshot: Snapshot): void {
    for (const instrument of this.#instruments) instrument.add(snapshot);
  }
}

/** For each point the highest of it and the `count - 1` before it. */
function highestBehind(values: readonly (number | null)[], count: number): (number | null)[] {
  return values.map((value, index) => {
    if (value === null) return null;
    let highest = value;
    for (let at = Math.max(0, index - count + 1); at < index; at += 1) {
      highest = Math.max(highest, values[at] ?? 0);
    }
    return highest;
  });
}

/** 12,000 -> 12k on an axis, where there is no room. */
function shortOf(value: number, format: (value: number) => string): string {
  if (format !== integer) return format(value).replace(/\.0+$/, '');
  return value >= 1000 ? `${value / 1000}k` : String(value);
}

function colourOf(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

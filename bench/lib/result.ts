/**
 * The result of a bench: rows with targets, as JSON and as a table for people.
 *
 * A row's value is the median of its rounds, its spread the least and the greatest of them. A
 * target is a bound, printed as `<= 1.5`; `met` is null where there is none. The JSON shape:
 * {name, date, machine, rows: [{name, value, unit, target, met, spread}]}.
 */
import { describeMachine } from './machine.ts';

export interface Bound {
  readonly atMost?: number;
  readonly atLeast?: number;
}

export interface BenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** `<= 1.5`, `>= 200000`, or null. */
  readonly target: string | null;
  readonly met: boolean | null;
  /** Least and greatest of the rounds. */
  readonly spread: readonly [number, number];
}

export interface BenchResult {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly machine: string;
  /** What was typed. */
  readonly command: string;
  /** What the figures cannot show. */
  readonly note?: string;
  readonly rows: readonly BenchRow[];
}

/** The middle of the values; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** One row from the values of its rounds (at least one). */
export function makeRow(
  name: string,
  values: readonly number[],
  unit: string,
  bound: Bound = {},
): BenchRow {
  const value = median(values);
  const { atMost, atLeast } = bound;
  let target: string | null = null;
  let met: boolean | null = null;
  if (atMost !== undefined) {
    target = `<= ${atMost}`;
    met = value <= atMost;
  } else if (atLeast !== undefined) {
    target = `>= ${atLeast}`;
    met = value >= atLeast;
  }
  const spread = [Math.min(...values), Math.max(...values)] as const;
  return { name, value, unit, target, met, spread };
}

export function makeResult(name: string, rows: readonly BenchRow[], note?: string): BenchResult {
  const date = new Date().toISOString().slice(0, 19).concat('Z');
  const command = ['npm run bench --', ...process.argv.slice(2)].join(' ');
  return {
    name,
    date,
    machine: describeMachine(),
    command,
    ...(note === undefined ? {} : { note }),
    rows,
  };
}

/** Three significant digits below a thousand, whole numbers above. */
export function formatNumber(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return String(Number(value.toPrecision(3)));
}

export const TABLE_HEAD = ['what', 'value', 'unit', 'target', 'met', 'spread'] as const;

/** The cells of a row, in the order of TABLE_HEAD. */
export function rowCells(row: BenchRow): readonly string[] {
  const [least, greatest] = row.spread;
  const spread = least === greatest ? '' : `${formatNumber(least)} .. ${formatNumber(greatest)}`;
  const met = row.met === null ? '' : row.met ? 'yes' : 'NO';
  return [row.name, formatNumber(row.value), row.unit, row.target ?? '', met, spread];
}

/** The table for a terminal: name and unit flush left, numbers flush right. */
export function formatTable(result: BenchResult): string {
  const lines = [TABLE_HEAD, ...result.rows.map(rowCells)];
  const widths = TABLE_HEAD.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]!.length)),
  );
  const isNumber = (column: number): boolean => column === 1;
  const text = lines.map((cells) =>
    cells
      .map((cell, column) =>
        isNumber(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!),
      )
      .join('  ')
      .trimEnd(),
  );
  text.splice(1, 0, widths.map((width) => '-'.repeat(width)).join('  '));
  const note = result.note === undefined ? '' : `\n${result.note}\n`;
  return `${result.name}: ${result.date}, ${result.machine}\n${note}\n${text.join('\n')}\n`;
}

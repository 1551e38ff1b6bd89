/**
 * Render: rows of a query as aligned text, JSON lines or CSV, in pieces, with bounded memory.
 *
 * RULES   JSON: one object a row, one row a line. Integers above 2^53 are text (JSON numbers would
 *         lose digits). CSV: RFC 4180 (CRLF, quotes doubled, a head); NULL is empty, an empty text
 *         is "". Table: for people; the first TABLE_ROWS_MAX rows. Bytes of raw records are shown
 *         as hex. Times are `YYYY-MM-DD HH:MM:SS.ffffff`, UTC.
 */
import {
  DuckDBBlobValue,
  type DuckDBResult,
  DuckDBTimestampValue,
  type DuckDBValue,
} from '@duckdb/node-api';

export type TextFormat = 'table' | 'json' | 'csv';

export const TABLE_ROWS_MAX = 1000;
const CELL_LENGTH_MAX = 120;

export type Cell = string | number | boolean | null;

/** A value as JSON would have it. */
export function cellOf(value: DuckDBValue): Cell {
  if (value === null) return null;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    return value;
  }
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value.toString();
  }
  if (value instanceof DuckDBBlobValue) return Buffer.from(value.bytes).toString('hex');
  if (value instanceof DuckDBTimestampValue) return timestampText(value.micros);
  return value.toString();
}

/** Microseconds since 1970 as `2026-01-31 07:10:00` or with six digits behind the second. */
export function timestampText(micros: bigint): string {
  const rest = ((micros % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(Number((micros - rest) / 1000n));
  if (Number.isNaN(date.getTime())) return micros.toString();
  const text = date.toISOString().slice(0, 19).replace('T', ' ');
  return rest === 0n ? text : `${text}.${String(rest).padStart(6, '0')}`;
}

/** Rows in pieces as DuckDB gives them. */
export async function* cellRows(result: DuckDBResult): AsyncGenerator<Cell[][]> {
  for (;;) {
    const chunk = await result.fetchChunk();
    if (chunk === null || chunk.rowCount === 0) return;
    yield chunk.getRows().map((row) => row.map(cellOf));
  }
}

/** All rows as objects: for results that are known to be small. */
export async function readRows(result: DuckDBResult): Promise<Record<string, Cell>[]> {
  const names = result.deduplicatedColumnNames();
  const rows: Record<string, Cell>[] = [];
  for await (const piece of cellRows(result)) {
    for (const row of piece) rows.push(Object.fromEntries(row.map((cell, i) => [names[i]!, cell])));
  }
  return rows;
}

export function csvCell(cell: Cell): string {
  if (cell === null) return '';
  if (cell === '') return '""';
  const text = String(cell);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function* renderCsv(result: DuckDBResult): AsyncGenerator<string> {
  yield `${result.deduplicatedColumnNames().map(csvCell).join(',')}\r\n`;
  for await (const piece of cellRows(result)) {
    yield piece.map((row) => `${row.map(csvCell).join(',')}\r\n`).join('');
  }
}

async function* renderJson(result: DuckDBResult): AsyncGenerator<string> {
  const names = result.deduplicatedColumnNames();
  for await (const piece of cellRows(result)) {
    const lines = piece.map((row) =>
      JSON.stringify(Object.fromEntries(row.map((cell, i) => [names[i]!, jsonCell(cell)]))),
    );
    yield `${lines.join('\n')}\n`;
  }
}

/** JSON knows no NaN and no Infinity: they are texts. */
function jsonCell(cell: Cell): Cell {
  return typeof cell === 'number' && !Number.isFinite(cell) ? String(cell) : cell;
}

/** Control characters as `\u00XX`, so that text from the network cannot steer a terminal. */
export function visible(text: string): string {
  const shown = text.replaceAll(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
    /[\u0000-\u001f\u007f-\u009f]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return shown.length > CELL_LENGTH_MAX ? `${shown.slice(0, CELL_LENGTH_MAX - 1)}…` : shown;
}

async function* renderTable(result: DuckDBResult): AsyncGenerator<string> {
  const names = result.deduplicatedColumnNames();
  const rows: string[][] = [];
  const isNumber = names.map(() => true);
  let isCut = false;
  for await (const piece of cellRows(result)) {
    for (const row of piece) {
      if (rows.length === TABLE_ROWS_MAX) {
        isCut = true;
        break;
      }
      row.forEach((cell, i) => {
        if (cell !== null && typeof cell !== 'number') isNumber[i] = false;
      });
      rows.push(row.map((cell) => (cell === null ? 'NULL' : visible(String(cell)))));
    }
    if (isCut) break;
  }
  yield alignedLines(names, rows, isNumber);
  const note = isCut ? `(the first ${TABLE_ROWS_MAX} rows; --format csv or json has all)` : '';
  yield note === '' ? `(${rows.length} ${rows.length === 1 ? 'row' : 'rows'})\n` : `${note}\n`;
}

/** Head, rule and rows; numbers to the right. */
export function alignedLines(
  names: readonly string[],
  rows: readonly (readonly string[])[],
  isNumber: readonly boolean[],
): string {
  const widths = names.map((name, i) => {
    return rows.reduce((width, row) => Math.max(width, row[i]!.length), name.length);
  });
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width)).join('  ');
  return `${[line(names), rule, ...rows.map(line)].join('\n')}\n`;
}

/** The result as pieces of text. */
export function renderText(result: DuckDBResult, format: TextFormat): AsyncGenerator<string> {
  switch (format) {
    case 'csv':
      return renderCsv(result);
    case 'json':
      return renderJson(result);
    case 'table':
      return renderTable(result);
  }
}

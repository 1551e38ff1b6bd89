/**
 * Filter error: MR_FILTER with the place in the text, as line, column and a caret under it.
 */
import { MillraceError } from '../../toolkit/base/errors.ts';

const SHOWN_COLUMNS = 72;
/** Columns in front of the caret that are shown of a long line. */
const SHOWN_BEFORE = 40;

/** A filter that cannot be understood. `line` and `column` count from 1, columns in characters. */
export class FilterError extends MillraceError {
  readonly line: number;
  readonly column: number;

  constructor(text: string, at: number, found: string, remedy = '') {
    const before = text.slice(0, at);
    const line = before.split('\n').length;
    const column = Array.from(before.slice(before.lastIndexOf('\n') + 1)).length + 1;
    const shown = caretLines(text, at);
    super('MR_FILTER', `filter, line ${line}, column ${column}: ${found}${shown}`, remedy);
    this.line = line;
    this.column = column;
  }
}

/** The line with the place, and a caret below; empty when there is nothing to show. */
function caretLines(text: string, at: number): string {
  const from = text.lastIndexOf('\n', at - 1) + 1;
  const next = text.indexOf('\n', from);
  const line = Array.from(text.slice(from, next < 0 ? text.length : next));
  if (line.length === 0) return '';
  const column = Array.from(text.slice(from, at)).length;
  const first = Math.max(0, column - SHOWN_BEFORE);
  const part = line.slice(first, first + SHOWN_COLUMNS);
  const start = first > 0 ? '...' : '';
  const end = first + part.length < line.length ? '...' : '';
  const shown = `${start}${part.join('').replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')}${end}`;
  return `\n  ${shown}\n  ${' '.repeat(start.length + column - first)}^`;
}

/** What was found, for a sentence: short, in quotes, without control characters. */
export function quoted(text: string): string {
  const characters = Array.from(text);
  const short = characters.length > 40 ? `${characters.slice(0, 37).join('')}...` : text;
  return `"${short.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, ' ')}"`;
}

/**
 * Outside summary: what a guarded program's memory went through, as lines for people.
 */
import type { GuardCulprit } from './culprits.ts';
import { sizeText } from './label.ts';
import type { OutsideTotals } from './outside-guards.ts';

export interface OutsideSummary extends OutsideTotals {
  readonly culprits: readonly GuardCulprit[];
}

export function summaryLines(summary: OutsideSummary): string[] {
  const { buffers, bytes, failed, ended, culprits } = summary;
  const what = `${plural(buffers, 'buffer', 'buffers')} (${sizeText(bytes)})`;
  const lines = [`millrace guard: ${what} guarded, ${whoText(culprits)}`];
  const rows = culprits.map((one) => [count(one.count), whereText(one), one.label] as const);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  for (const [times, where, label] of rows) {
    lines.push(`  ${times.padStart(widths[0]!)} × ${where.padEnd(widths[1]!)}  ${label}`);
  }
  if (failed > 0) lines.push(`  ${plural(failed, 'buffer', 'buffers')} could not be guarded`);
  if (ended > 0) {
    lines.push(`  ${plural(ended, 'guard', 'guards')} ended early: too much memory was held`);
  }
  return lines;
}

/** `fill (table.js:14:7)`, or what is known of it. */
export function whereText({ function: name, file, line, column }: GuardCulprit): string {
  if (file === '' && name === '') return 'others, for which there was no room';
  const place = line === 0 ? file : `${file}:${line}${column === 0 ? '' : `:${column}`}`;
  return `${name === '' ? '(anonymous)' : name} (${place.replace(/^file:\/\//, '')})`;
}

function whoText(culprits: readonly GuardCulprit[]): string {
  if (culprits.length === 0) return 'nobody wrote there';
  return `${plural(culprits.length, 'place', 'places')} wrote there`;
}

function plural(amount: number, one: string, many: string): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

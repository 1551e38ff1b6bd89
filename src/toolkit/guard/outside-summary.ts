/**
 * Outside summary: who wrote into a guarded program's memory, as lines for people.
 */
import type { GuardCulprit } from './culprits.ts';
import { sizeText } from './label.ts';
import type { OutsideTotals } from './outside-guards.ts';
import { culpritOf, type GuardReport } from './report.ts';

/** What one process says at its end. */
export interface OutsideSummary {
  readonly pid: number;
  readonly totals: OutsideTotals;
  readonly culprits: readonly GuardCulprit[];
}

/** The processes of a program together. */
export interface ProgramSummary extends OutsideTotals {
  /** Processes that died before they could count: their culprits are those of their reports. */
  readonly died: number;
  readonly culprits: readonly GuardCulprit[];
}

/** `text` has a line of JSON for each process that ended by itself. */
export function programSummary(text: string, reports: readonly GuardReport[]): ProgramSummary {
  const ended = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as OutsideSummary);
  const pids = new Set(ended.map(({ pid }) => pid));
  const left = reports.filter(({ pid }) => !pids.has(pid));
  const sum = (key: keyof OutsideTotals): number =>
    ended.reduce((total, { totals }) => total + totals[key], 0);
  return {
    buffers: sum('buffers'),
    bytes: sum('bytes'),
    failed: sum('failed'),
    ended: sum('ended'),
    allowed: sum('allowed'),
    died: new Set(left.map(({ pid }) => pid)).size,
    culprits: merge([
      ...ended.flatMap(({ pid, culprits }) => nameLate(culprits, reportsOf(reports, pid))),
      ...left.map(culpritFrom),
    ]),
  };
}

/** Those that were named after the process had counted its culprits. */
function reportsOf(reports: readonly GuardReport[], pid: number): GuardReport[] {
  return reports.filter((report) => report.pid === pid && report.names === 'perf-map');
}

/** Of several late names nobody knows whose the further writes were: one write each. */
function nameLate(culprits: readonly GuardCulprit[], reports: readonly GuardReport[]) {
  if (reports.length === 0) return culprits;
  const isUnknown = (one: GuardCulprit): boolean => one.function === '' && one.file === '';
  const known = culprits.filter((one) => !isUnknown(one));
  const labels = new Set(culprits.filter(isUnknown).map(({ label }) => label));
  const late = [...labels].flatMap((label) => {
    const unknown = culprits.filter((one) => isUnknown(one) && one.label === label);
    const count = unknown.reduce((sum, one) => sum + one.count, 0);
    const named = merge(reports.map(culpritFrom).filter((one) => one.label === label));
    const first = named[0];
    if (first === undefined) return unknown;
    if (named.length === 1) return [{ ...first, count }];
    const rest = count - named.reduce((sum, one) => sum + one.count, 0);
    return rest > 0 ? [...named, { ...unknown[0]!, count: rest }] : named;
  });
  return [...known, ...late];
}

/** Where each place is reported once, it has a count of 1. */
function culpritFrom(report: GuardReport): GuardCulprit {
  const frame = culpritOf(report);
  return {
    label: report.label,
    function: frame?.function ?? '',
    file: frame === null ? '' : frame.file || frame.module,
    line: frame?.line ?? 0,
    column: frame?.column ?? 0,
    count: 1,
  };
}

function merge(all: readonly GuardCulprit[]): GuardCulprit[] {
  const found = new Map<string, GuardCulprit>();
  for (const one of all) {
    const key = JSON.stringify({ ...one, count: 0 });
    found.set(key, { ...one, count: one.count + (found.get(key)?.count ?? 0) });
  }
  return [...found.values()].sort((a, b) => b.count - a.count);
}

export function summaryLines(summary: ProgramSummary): string[] {
  const { buffers, bytes, failed, ended, allowed, died, culprits } = summary;
  const who =
    culprits.length === 0
      ? 'nobody wrote there'
      : `${plural(culprits.length, 'place', 'places')} wrote there`;
  const what = `${plural(buffers, 'buffer', 'buffers')} guarded (${sizeText(bytes)})`;
  const lines = [`millrace guard: ${died > 0 && buffers === 0 ? 'buffers guarded' : what}, ${who}`];
  if (died === 0 && buffers === 0) {
    lines.push(
      '  none was made that is large enough: --min-bytes takes smaller ones, --only others',
    );
  }
  const rows = culprits.map((one) => [count(one.count), whereText(one), one.label] as const);
  const widths = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]!.length)));
  for (const [times, where, label] of rows) {
    lines.push(`  ${times.padStart(widths[0]!)} × ${where.padEnd(widths[1]!)}  ${label}`);
  }
  const notes: readonly (readonly [number, string])[] = [
    [allowed, `${plural(allowed, 'write was', 'writes were')} let pass by --allow`],
    [failed, `${plural(failed, 'buffer', 'buffers')} could not be guarded`],
    [ended, `${plural(ended, 'guard', 'guards')} ended early: too much memory was held for them`],
    [
      died,
      `${plural(died, 'process', 'processes')} died before counting:` +
        ' the places are those of the reports',
    ],
  ];
  for (const [amount, note] of notes) if (amount > 0) lines.push(`  ${note}`);
  return lines;
}

/** `fill (table.js:14:7)`, or what is known of it. */
function whereText({ function: name, file, line, column }: GuardCulprit): string {
  if (file === '' && name === '') return 'others, whose names are not known';
  const place = line === 0 ? file : `${file}:${line}${column === 0 ? '' : `:${column}`}`;
  return `${name === '' ? '(anonymous)' : name} (${place.replace(/^file:\/\//, '')})`;
}

function plural(amount: number, one: string, many: string): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

/**
 * The result of `millrace nettest bench` for a terminal: a table for each cell, then the targets.
 */
import { cellName } from '../nettest/bench/plan.ts';
import type { BenchResult, CellResult, ContestantResult } from '../nettest/bench/result.ts';
import { table } from './text-table.ts';

const HEAD = ['what', 'usr', 'sys', 'usr', 'sys', 'sender', 'spread', 'both', 'GB/s', ''] as const;
/** Columns of figures are flush right. */
const RIGHT = [1, 2, 3, 4, 5, 6, 7, 8];

function ms(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}

function cells(result: ContestantResult): string[] {
  const { senderRatio, bothRatio } = result;
  const spread =
    senderRatio === null
      ? ''
      : `${senderRatio.spread[0].toFixed(2)}..${senderRatio.spread[1].toFixed(2)}`;
  return [
    result.name,
    ms(result.senderUsrMs.value),
    ms(result.senderSysMs.value),
    ms(result.receiverUsrMs.value),
    ms(result.receiverSysMs.value),
    senderRatio === null ? '' : senderRatio.value.toFixed(2),
    spread,
    bothRatio === null ? '' : bothRatio.value.toFixed(2),
    result.gbPerSecond.value.toFixed(2),
    result.note,
  ];
}

function cellLines(cell: CellResult, reference: string): string[] {
  const lines = table(HEAD, cell.results.map(cells), RIGHT);
  const refusals = cell.refusals.map(({ name, reason }) => `  ${name}: ${reason}`);
  const head = `${cellName(cell)} CPU: ms per GB of sender and receiver, ratios to ${reference}`;
  return [head, ...lines, ...refusals, ''];
}

export function benchLines(result: BenchResult): string[] {
  const rows = result.rows.map(({ name, value, target, met, spread }) => [
    name,
    value.toFixed(2),
    target ?? '',
    met === null ? '' : met ? 'met' : 'MISSED',
    `${spread[0].toFixed(2)}..${spread[1].toFixed(2)}`,
  ]);
  return [
    ...result.cells.flatMap((cell) => cellLines(cell, result.reference)),
    ...result.notes,
    '',
    ...table(['target rows', 'ratio', 'target', '', 'spread'], rows, [1, 4]),
    '',
    `${result.date}, ${result.machine}`,
  ];
}

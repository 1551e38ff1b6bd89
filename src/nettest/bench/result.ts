/**
 * The result of the bench, as JSON: rows with targets, and every cell.
 *
 * `name`, `date`, `machine`, `command` and `rows` are those of every bench of Millrace
 * (bench/lib/result.ts), so that docs/benchmarks.md shows them alike.
 */
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';
import {
  type Book,
  bothMs,
  type Pick,
  type Statistic,
  senderMs,
  senderSysMs,
  statisticOf,
} from './book.ts';
import type { Cell, Run } from './plan.ts';

/** A row of docs/benchmarks.md. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** `<= 0.7`, or null. */
  readonly target: string | null;
  readonly met: boolean | null;
  readonly spread: readonly [number, number];
}

/** One contestant in one cell; CPU time in ms per GB, ratios against the reference. */
export interface ContestantResult {
  readonly name: string;
  readonly senderUsrMs: Statistic;
  readonly senderSysMs: Statistic;
  readonly receiverUsrMs: Statistic;
  readonly receiverSysMs: Statistic;
  /** Sender's CPU time, and the sum of both, against those of the reference. */
  readonly senderRatio: Statistic | null;
  readonly bothRatio: Statistic | null;
  readonly senderSysRatio: Statistic | null;
  readonly gbPerSecond: Statistic;
  readonly note: string;
}

/** Who could not run, and why. */
export interface Refusal {
  readonly name: string;
  readonly reason: string;
}

export interface CellResult extends Cell {
  readonly results: readonly ContestantResult[];
  readonly refusals: readonly Refusal[];
}

export interface BenchResult {
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly machine: string;
  readonly command: string;
  readonly rows: readonly Row[];
  /** What ratios are against: c-send, or copy where there is no C yardstick. */
  readonly reference: string;
  readonly rounds: number;
  readonly secondsPerRun: number;
  /** What a reader must know. */
  readonly notes: readonly string[];
  /** File name of the chart, beside the JSON. */
  readonly chart: string;
  readonly cells: readonly CellResult[];
}

/** The median of at least one value, with least and greatest. */
export function makeRow(name: string, values: readonly number[], atMost?: number): Row {
  const { value, spread } = statisticOf(values)!;
  const target = atMost === undefined ? null : `<= ${atMost}`;
  const met = atMost === undefined ? null : value <= atMost;
  return { name, value, unit: 'x', target, met, spread };
}

/** The cells of a plan with what the book has of them. */
export function cellResults(runs: readonly Run[], book: Book, reference: string): CellResult[] {
  const cells = new Map<Cell, { results: ContestantResult[]; refusals: Refusal[] }>();
  for (const { cell, contestant } of runs) {
    const entry = cells.get(cell) ?? { results: [], refusals: [] };
    cells.set(cell, entry);
    const { name } = contestant;
    const refusal = book.refusalOf(cell, name);
    const result = contestantResult(book, cell, name, reference);
    if (refusal !== undefined) entry.refusals.push({ name, reason: refusal });
    else if (result !== null) entry.results.push(result);
  }
  return [...cells].map(([cell, entry]) => ({ ...cell, ...entry }));
}

function contestantResult(
  book: Book,
  cell: Cell,
  name: string,
  reference: string,
): ContestantResult | null {
  const gbPerSecond = book.statistic(cell, name, (of) => of.gbPerSecond);
  if (gbPerSecond === null) return null;
  const ratio = (pick: Pick): Statistic | null =>
    name === 'null' ? null : statisticOf(book.ratios(cell, name, reference, pick));
  return {
    name,
    senderUsrMs: book.statistic(cell, name, (of) => of.senderUsrMs)!,
    senderSysMs: book.statistic(cell, name, senderSysMs)!,
    receiverUsrMs: book.statistic(cell, name, (of) => of.receiverUsrMs)!,
    receiverSysMs: book.statistic(cell, name, (of) => of.receiverSysMs)!,
    senderRatio: ratio(senderMs),
    bothRatio: ratio(bothMs),
    senderSysRatio: ratio(senderSysMs),
    gbPerSecond,
    note: book.noteOf(cell, name),
  };
}

/** Four digits are more than a measurement has. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(4))
    : value;
}

/** The JSON file: a cell a line, so that two results can be compared by eye. */
export function resultText({ cells, ...rest }: BenchResult): string {
  const head = JSON.stringify(rest, rounded, 1).slice(0, -2);
  const lines = cells.map((cell) => `  ${JSON.stringify(cell, rounded)}`);
  return `${head},\n "cells": [\n${lines.join(',\n')}\n ]\n}\n`;
}

/** CPUs, memory, kernel, Node.js, in one line. */
export function describeMachine(): string {
  const model = (cpus()[0]?.model ?? 'unknown CPU').replaceAll(/\s+/g, ' ').trim();
  const memoryGb = Math.round(totalmem() / 1e9);
  const cpuCount = availableParallelism();
  return `${cpuCount} x ${model}, ${memoryGb} GB, Linux ${release()}, Node.js ${process.version}`;
}

/** The machine's own congestion control, for people. */
export function systemCongestion(): string {
  try {
    return readFileSync('/proc/sys/net/ipv4/tcp_congestion_control', 'utf8').trim();
  } catch {
    return 'unknown';
  }
}

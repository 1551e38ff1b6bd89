import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Book } from './book.ts';
import { drawChart } from './chart.ts';
import { benchMarkdown } from './markdown.ts';
import { makePlan, PATHS } from './plan.ts';
import { type BenchResult, cellResults } from './result.ts';
import { targetRows } from './targets.ts';

const PLAN = { pin: 'one', paths: PATHS, hasYardstick: true, cpuCount: 2 } as const;

/** Everybody needs 100 ms per GB, splice half of it. */
function makeResult(): BenchResult {
  const runs = makePlan(PLAN);
  const book = new Book();
  for (const { cell, contestant } of runs) {
    const isSplice = ['splice', 'c-splice', 'tee'].includes(contestant.name);
    const sysUs = isSplice ? 50_000 : 100_000;
    const transfer = { bytes: 1e9, usrUs: 0, sysUs, seconds: 0.25 };
    if (contestant.name === 'uringZerocopy') book.refuse(cell, contestant.name, 'seccomp <&>');
    else book.add(cell, contestant.name, 0, { sender: transfer, receiver: transfer });
  }
  return {
    name: 'nettest-bench',
    date: '2026-01-02T03:04:05Z',
    machine: '2 x CPU <&>',
    command: 'millrace nettest bench',
    rows: targetRows(runs, book, 'c-send'),
    reference: 'c-send',
    rounds: 1,
    secondsPerRun: 0.25,
    notes: ['a note'],
    chart: 'nettest-bench.svg',
    cells: cellResults(runs, book, 'c-send'),
  };
}

test('the chart is well formed: every element is closed, text is escaped', () => {
  const svg = drawChart(makeResult());
  const open: string[] = [];
  for (const [, slash, name, rest] of svg.matchAll(/<(\/?)(\w+)([^>]*)>/g)) {
    if (slash === '/') assert.equal(open.pop(), name);
    else if (!rest!.endsWith('/')) open.push(name!);
  }
  assert.deepEqual(open, []);
  assert.ok(svg.includes('2 x CPU &lt;&amp;&gt;'));
  assert.ok(svg.includes('prefers-color-scheme: dark'));
});

test('the chart labels each bar with figure and ratio', () => {
  const svg = drawChart(makeResult());
  assert.equal(svg.match(/>splice</g)!.length, 6);
  assert.ok(svg.includes('50 ms, 0.50×'));
  assert.ok(svg.includes('TCP over veth, one CPU, 256 KiB messages'));
});

test('target rows: bounds, met or not', () => {
  const rows = new Map(makeResult().rows.map((row) => [row.name, row]));
  const splice = rows.get('splice / c-send: sender sys, 64 KiB, TCP loopback, one CPU')!;
  assert.deepEqual([splice.value, splice.target, splice.met], [0.5, '<= 0.7', true]);
  const both = rows.get('splice / c-send: sender + receiver, 64 KiB, TCP loopback, two CPUs')!;
  assert.deepEqual([both.target, both.met], [null, null]);
  const tee = rows.get('tee / node-net: sender CPU, x8, 256 KiB, UNIX, one CPU')!;
  assert.deepEqual([tee.value, tee.target, tee.met], [0.5, '<= 0.4', false]);
  const place = 'UNIX, one CPU, x1';
  const auto = rows.get(`auto / best: sender CPU, ${place}, worst size (1024 KiB: splice)`)!;
  assert.deepEqual([auto.value, auto.met], [2, false]);
  assert.equal(rows.get('copy / c-send: sender CPU, 64 KiB, one CPU')!.met, true);
});

test('the page: figures by message size, what was refused, the article beside ours', () => {
  const page = benchMarkdown(makeResult(), 'benchmarks');
  assert.ok(page.includes('![CPU time to move 1 GB, by mechanism](benchmarks/nettest-bench.svg)'));
  assert.ok(page.includes('|  | 4 KiB | 16 KiB | 64 KiB | 256 KiB | 1 MiB |'));
  assert.ok(page.includes('| splice | 50 + 50 (0.50) |'));
  assert.ok(page.includes('Not measured: uringZerocopy: seccomp <&>.'));
  assert.ok(page.includes('| article, 2011 | 389 | 105 | 0.27 | 459 | 423 |'));
  assert.ok(page.includes('| Millrace, TCP loopback, one CPU | 100 | 50 | 0.50 | 100 | 50 |'));
});

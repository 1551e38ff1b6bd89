import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMarkdown, replaceGenerated } from '../doc.ts';
import { type BenchResult, formatNumber, formatTable, makeRow, median } from './result.ts';

test('the median is the middle, or the mean of the two middles', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(median([10, 9]), 9.5);
});

test('a row knows its bound, whether it is met, and its spread', () => {
  assert.deepEqual(makeRow('a', [3, 1, 2], 'µs', { atMost: 2 }), {
    name: 'a',
    value: 2,
    unit: 'µs',
    target: '<= 2',
    met: true,
    spread: [1, 3],
  });
  assert.equal(makeRow('a', [2.1], 'µs', { atMost: 2 }).met, false);
  assert.equal(makeRow('a', [2.1], 'µs', { atLeast: 2 }).met, true);
  assert.equal(makeRow('a', [1.9], 'µs', { atLeast: 2 }).met, false);
  assert.equal(makeRow('a', [1.9], 'µs').met, null);
});

test('numbers have three digits, or all of the whole ones', () => {
  assert.equal(formatNumber(0.123456), '0.123');
  assert.equal(formatNumber(12.3456), '12.3');
  assert.equal(formatNumber(234567.8), '234,568');
});

const RESULT: BenchResult = {
  name: 'sample',
  date: '2026-01-02T03:04:05Z',
  machine: '2 x CPU',
  command: 'npm run bench -- sample',
  rows: [makeRow('first | second', [1, 2, 3], 'µs', { atMost: 1 }), makeRow('plain', [7], 's')],
};

test('the table shows every cell', () => {
  const lines = formatTable(RESULT).trimEnd().split('\n');
  assert.equal(lines.length, 6);
  assert.match(lines[4]!, /^first \| second +2 {2}µs +<= 1 +NO +1 \.\. 3$/);
  assert.match(lines[5]!, /^plain +7 {2}s$/);
});

test('the page keeps its own words and gets the tables between its markers', () => {
  const first = replaceGenerated('# Mine\n\nwords\n', formatMarkdown(RESULT));
  assert.match(first, /^# Mine\n\nwords\n/);
  assert.match(first, /\| first \\\| second \| 2 \| µs \| &lt;= 1 \| NO \| 1 \.\. 3 \|/);
  assert.match(first, /2026-01-02, 2 x CPU/);
  const again = replaceGenerated(`${first}tail\n`, formatMarkdown(RESULT));
  assert.equal(again, `${first}tail\n`, 'a second run changes nothing');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DuckDBInstance, type DuckDBResult } from '@duckdb/node-api';
import { csvCell, readRows, renderText, type TextFormat, timestampText } from './render.ts';
import { parseSince, windowStartMs } from './top.ts';

async function withResult<T>(sql: string, run: (result: DuckDBResult) => Promise<T>): Promise<T> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    return await run(await connection.stream(sql));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function render(sql: string, format: TextFormat): Promise<string> {
  return withResult(sql, async (result) => {
    let text = '';
    for await (const piece of renderText(result, format)) text += piece;
    return text;
  });
}

const HOSTILE = `SELECT * FROM (VALUES
  (1, 'a,b'), (2, 'say "hi"'),
  (3, E'two\\r\\nlines'), (4, ''), (5, NULL), (6, '<b>'), (7, chr(0) || 'x'))
  AS t(id, "na,me")`;

test('CSV is quoted as RFC 4180 says; NULL and the empty text differ', async () => {
  assert.equal(
    await render(HOSTILE, 'csv'),
    'id,"na,me"\r\n1,"a,b"\r\n2,"say ""hi"""\r\n' +
      '3,"two\r\nlines"\r\n4,""\r\n5,\r\n6,<b>\r\n7,\0x\r\n',
  );
  assert.equal(csvCell('plain'), 'plain');
});

test('JSON lines parse to the same values', async () => {
  const text = await render(HOSTILE, 'json');
  const rows = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(rows, await withResult(HOSTILE, readRows));
  assert.equal(rows[6]!['na,me'], '\0x');
});

test('a table for people shows control characters and never sends them', async () => {
  const text = await render(`SELECT 1 AS n, E'\\x1b[31mred' AS t, NULL AS x`, 'table');
  assert.equal(text.includes('\x1b'), false);
  assert.match(text, /\\u001b\[31mred/);
  assert.match(text, /NULL/);
  assert.match(text, /\(1 row\)/);
});

test('numbers, times and bytes keep their digits', async () => {
  const [row] = await withResult(
    `SELECT 9007199254740993::BIGINT AS big, 42::BIGINT AS small, 1.5::DOUBLE AS float,
       TIMESTAMP '2026-01-31 07:10:00.000123' AS t, '\\xAA\\x00'::BLOB AS b, [1, 2] AS l`,
    readRows,
  );
  assert.deepEqual(row, {
    big: '9007199254740993',
    small: 42,
    float: 1.5,
    t: '2026-01-31 07:10:00.000123',
    b: 'aa00',
    l: '[1, 2]',
  });
  assert.equal(timestampText(-1n), '1969-12-31 23:59:59.999999');
});

test('times of --since are understood, others refused with a remedy', () => {
  const now = Date.UTC(2026, 0, 31, 12);
  assert.equal(parseSince('15m', now), now - 900_000);
  assert.equal(parseSince('1.5h', now), now - 5_400_000);
  assert.equal(parseSince('7d', now), now - 7 * 86_400_000);
  assert.equal(parseSince('all', now), 0);
  assert.equal(parseSince('2026-01-31', now), Date.UTC(2026, 0, 31));
  assert.equal(parseSince('2026-01-31T08:00', now), Date.UTC(2026, 0, 31, 8));
  assert.equal(parseSince('2026-01-31 08:00:30', now), Date.UTC(2026, 0, 31, 8, 0, 30));
  assert.equal(parseSince('2026-01-31T08:00+02:00', now), Date.UTC(2026, 0, 31, 6));
  for (const wrong of ['', '1w', 'yesterday', '2026-13-01', '1h1', '-1h']) {
    assert.throws(() => parseSince(wrong, now), /no time/, wrong);
  }
  assert.equal(windowStartMs(119_999), 60_000);
});

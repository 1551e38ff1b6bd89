import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { DuckDBInstance } from '@duckdb/node-api';
import type { Batch } from './batch.ts';
import { setWords } from './batch.ts';
import { mergeParquet } from './parquet-merge.ts';
import { PlainFile, PlainFilePool } from './plain-file.ts';
import { type Cell, readRows } from './render.ts';
import { quoteText, type Table } from './tables.ts';
import { ThriftReader, ThriftWriter } from './thrift-compact.ts';

const TABLE: Table = {
  name: 'test',
  kind: 'records',
  keys: [],
  columns: [
    { name: 'moment', type: 'timestamp' },
    { name: 'name', type: 'text' },
    { name: 'count', type: 'int' },
    { name: 'small', type: 'int' },
    { name: 'ratio', type: 'float' },
    { name: 'raw', type: 'blob' },
  ],
};

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-parquet-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Rows 0 .. rows - 1 with NULLs in every third (fifth) row. */
function makeBatch(rows: number, first = 0): Batch {
  const at = new Int32Array(2 * rows);
  const count = new Int32Array(2 * rows);
  const starts = new Uint32Array(rows);
  const ends = new Uint32Array(rows);
  const valid = new Uint8Array(rows);
  const ratioValid = new Uint8Array(rows);
  const ratio = new Float64Array(rows);
  const small = new Uint16Array(rows);
  const texts: Uint8Array[] = [];
  let length = 0;
  for (let i = 0; i < rows; i++) {
    const n = first + i;
    setWords(at, i, 1_769_843_400_000_000 + n);
    setWords(count, i, n % 2 === 0 ? n * 5_000_000_000 : -n);
    const text = Buffer.from(n % 3 === 0 ? '' : `näme ${n}`);
    texts.push(text);
    starts[i] = length;
    length += text.length;
    ends[i] = length;
    valid[i] = n % 3 === 0 ? 0 : 1;
    ratioValid[i] = n % 5 === 0 ? 0 : 1;
    ratio[i] = n / 4;
    small[i] = n & 0xffff;
  }
  const bytes = new Uint8Array(Buffer.concat(texts));
  return {
    rowCount: rows,
    columns: [
      { kind: 'int', words: at, valid: null },
      { kind: 'text', bytes, starts, ends, valid },
      { kind: 'int', words: count, valid },
      { kind: 'small', values: small },
      { kind: 'float', values: ratio, valid: ratioValid },
      { kind: 'text', bytes, starts, ends, valid: null },
    ],
  };
}

function encodeParquet(table: Table, ...batches: Batch[]): Uint8Array {
  const file = new PlainFile(table);
  for (const batch of batches) file.append(batch);
  return new Uint8Array(Buffer.concat(file.parts()));
}

function expected(n: number): Record<string, Cell> {
  return {
    n,
    name: n % 3 === 0 ? null : `näme ${n}`,
    count: n % 3 === 0 ? null : n % 2 === 0 ? n * 5_000_000_000 : -n,
    small: n & 0xffff,
    ratio: n % 5 === 0 ? null : n / 4,
    raw: n % 3 === 0 ? '' : Buffer.from(`näme ${n}`).toString('hex'),
  };
}

async function read(paths: readonly string[]): Promise<Record<string, Cell>[]> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const list = paths.map(quoteText).join(', ');
  const result = await connection.stream(
    `SELECT epoch_us(moment) - 1769843400000000 AS n, * EXCLUDE (moment)
     FROM read_parquet([${list}]) ORDER BY n`,
  );
  const rows = await readRows(result);
  connection.closeSync();
  instance.closeSync();
  return rows;
}

test('DuckDB reads back what the plain writer wrote', async (context) => {
  const dir = folder(context);
  for (const rows of [1, 7, 8, 9, 2048, 5000]) {
    const path = join(dir, `${rows}.parquet`);
    writeFileSync(path, encodeParquet(TABLE, makeBatch(rows)));
    const found = await read([path]);
    assert.equal(found.length, rows);
    found.forEach((row, n) => {
      assert.deepEqual(row, expected(n));
    });
  }
});

test('pages of many batches: NULLs of all kinds, texts of all lengths', async (context) => {
  const dir = folder(context);
  const path = join(dir, 'pages.parquet');
  const rows = 300;
  const lengths = [0, 1, 2, 3, 4, 5, 7, 8, 127, 128, 129, 1000];
  const texts = Array.from({ length: rows }, (_, i) => 'x'.repeat(lengths[i % 12]!) + (i % 7));
  texts[5] = '';
  const bytes = new TextEncoder().encode(texts.join(''));
  const ends = new Uint32Array(rows);
  const starts = new Uint32Array(rows);
  let end = 0;
  texts.forEach((text, i) => {
    starts[i] = end;
    end += text.length;
    ends[i] = end;
  });
  const words = new Int32Array(2 * rows);
  for (let i = 0; i < rows; i++) setWords(words, i, i - 100);
  const exporter = new TextEncoder().encode('10.1.2.3');
  const none = new Uint8Array(rows);
  const some = Uint8Array.from(none, (_, i) => (i % 3 === 0 ? 0 : 1));
  const file = new PlainFile(TABLE);
  for (const valid of [null, none, some]) {
    file.append({
      rowCount: rows,
      columns: [
        { kind: 'int', words, valid: null },
        { kind: 'text', bytes, starts, ends, valid },
        { kind: 'int', words, valid },
        { kind: 'small', values: new Uint32Array(rows).fill(4294967295) },
        { kind: 'float', values: new Float64Array(rows).fill(0.5), valid },
        { kind: 'same', text: exporter },
      ],
    });
  }
  writeFileSync(path, Buffer.concat(file.parts()));
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const found = await readRows(
    await connection.stream(
      `SELECT name, count, small, ratio, decode(raw) AS raw, epoch_us(moment) AS moment
       FROM read_parquet(${quoteText(path)}, file_row_number = true) ORDER BY file_row_number`,
    ),
  );
  assert.equal(found.length, 3 * rows);
  found.forEach((row, n) => {
    const i = n % rows;
    const page = Math.floor(n / rows);
    const isNull = page === 1 || (page === 2 && i % 3 === 0);
    assert.deepEqual(row, {
      name: isNull ? null : texts[i],
      count: isNull ? null : i - 100,
      small: 4294967295,
      ratio: isNull ? null : 0.5,
      raw: '10.1.2.3',
      moment: i - 100,
    });
  });
  const [range] = await readRows(
    await connection.stream(
      `SELECT stats_min_value AS low, stats_max_value AS high, stats_null_count AS nulls
       FROM parquet_metadata(${quoteText(path)}) WHERE path_in_schema = 'moment'`,
    ),
  );
  assert.match(String(range!.low), /^1969-12-31 23:59:59.9999/);
  assert.match(String(range!.high), /^1970-01-01 00:00:00.000199/);
  connection.closeSync();
  instance.closeSync();
});

test('a file taken from the pool again holds nothing of before', async (context) => {
  const path = join(folder(context), 'again.parquet');
  const pool = new PlainFilePool();
  const first = pool.take(TABLE);
  first.append(makeBatch(3000, 50));
  pool.give(first);
  const file = pool.take(TABLE);
  assert.equal(file, first, 'reused');
  file.append(makeBatch(9));
  writeFileSync(path, Buffer.concat(file.parts()));
  assert.deepEqual(
    await read([path]),
    Array.from({ length: 9 }, (_, n) => expected(n)),
  );
});

test('files of both writers are merged byte for byte and read back', async (context) => {
  const dir = folder(context);
  const paths = [0, 1, 2, 3].map((i) => join(dir, `${i}.parquet`));
  const sizes = [3000, 1, 500, 2000];
  let first = 0;
  paths.forEach((path, i) => {
    writeFileSync(path, encodeParquet(TABLE, makeBatch(sizes[i]!, first)));
    first += sizes[i]!;
  });
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  const columns = TABLE.columns.map(({ name }) => name).join(', ');
  for (const [i, options] of [
    'COMPRESSION zstd, PARQUET_VERSION V2',
    'COMPRESSION snappy',
  ].entries()) {
    const source = paths[i * 3]!;
    const target = join(dir, `duck${i}.parquet`);
    await connection.run(
      `COPY (SELECT ${columns} FROM ${quoteText(source)}) TO ${quoteText(target)}
       (FORMAT parquet, ${options})`,
    );
    paths[i * 3] = target;
  }
  connection.closeSync();
  instance.closeSync();
  const merged = join(dir, 'merged.parquet');
  const made = await mergeParquet(paths, merged);
  assert.deepEqual(made, { rows: first, groups: 4 });
  assert.deepEqual(await read([merged]), await read(paths));
  const twice = join(dir, 'twice.parquet');
  await mergeParquet([merged, paths[1]!], twice);
  assert.equal((await read([twice])).length, first + 1);
});

test('files of other columns, and files that are none, are refused', async (context) => {
  const dir = folder(context);
  const a = join(dir, 'a.parquet');
  const b = join(dir, 'b.parquet');
  writeFileSync(a, encodeParquet(TABLE, makeBatch(3)));
  const columns = TABLE.columns.map((column) => ({ ...column, name: `${column.name}_` }));
  writeFileSync(b, encodeParquet({ ...TABLE, columns }, makeBatch(3)));
  await assert.rejects(mergeParquet([a, b], join(dir, 'c.parquet')), /columns differ/);
  writeFileSync(b, 'PAR1 but not really');
  await assert.rejects(mergeParquet([a, b], join(dir, 'c.parquet')), /not a whole Parquet file/);
});

test('a Thrift struct is read and written without a change', () => {
  const bytes = encodeParquet(TABLE, makeBatch(20));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(bytes.length - 8, true);
  const footer = bytes.slice(bytes.length - 8 - length, bytes.length - 8);
  const writer = new ThriftWriter();
  writer.struct(new ThriftReader(footer).struct());
  assert.deepEqual(writer.bytes(), footer);
});

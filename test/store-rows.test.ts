import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RdrReader, type RdrRecord, TABLES } from '../src/rdr/index.ts';
import { countRows } from '../src/server/store/count-rows.ts';
import { QueryEngine } from '../src/server/store/query.ts';
import { readRows, timestampText } from '../src/server/store/render.ts';
import { HEADER_COLUMNS, STORE_TABLES } from '../src/server/store/tables.ts';
import { record, text, uint32, VECTOR } from './support/records.ts';
import { BlockMaker, simulatedBlocks, type TestBlock } from './support/store-blocks.ts';
import { ask, startStage, storeAll, withFolder } from './support/store-harness.ts';

const ARRIVAL_US = Date.UTC(2026, 0, 31, 7, 10) * 1000;

/** What a stored row must be, from the reader of objects: another path than the decoder's. */
function expectedRow(item: RdrRecord, block: TestBlock, index: number): Record<string, unknown> {
  const header = Object.values(item.header);
  const row: Record<string, unknown> = {
    arrival_time: timestampText(BigInt(block.arrivalUs)),
    exporter: block.exporter,
    connection_id: block.connectionId,
    record_ordinal: block.connectionOrdinal + index,
  };
  HEADER_COLUMNS.forEach((name, i) => {
    row[name] = header[i];
  });
  const extra: unknown[] = [];
  const entry = item.catalog!;
  for (const field of entry.fields) row[field.column] = null;
  for (const { index: at, type, typeName, value } of item.fields) {
    const column = entry.fields[at];
    const isText = typeName === 'STRING';
    const isNumber = typeName !== undefined && !isText;
    const fits =
      column !== undefined &&
      ((column.kind === 'text' && isText) ||
        (column.kind === 'int' && isNumber && typeName !== 'FLOAT') ||
        (column.kind === 'float' && isNumber));
    // DuckDB's binding drops a leading byte order mark when it shows a text; it is in the file.
    if (fits) row[column.column] = typeof value === 'string' ? value.replace(/^\ufeff/, '') : value;
    else extra.push([at, type, value]);
  }
  row.extra = extra.length === 0 ? null : JSON.stringify(extra);
  return row;
}

function expectedRows(blocks: readonly TestBlock[]): Map<string, Record<string, unknown>[]> {
  const tables = new Map<string, Record<string, unknown>[]>();
  for (const block of blocks) {
    const reader = new RdrReader();
    const items = [...reader.push(block.payload), ...reader.end()];
    items.forEach((item, index) => {
      if (item.kind !== 'record') return;
      const table = item.catalog?.tableName ?? 'other_records';
      if (table === 'other_records') return;
      const rows = tables.get(table) ?? [];
      rows.push(expectedRow(item, block, index));
      tables.set(table, rows);
    });
  }
  return tables;
}

async function assertRows(dataDir: string, blocks: readonly TestBlock[]): Promise<void> {
  const expected = expectedRows(blocks);
  const engine = await QueryEngine.open(dataDir);
  for (const { tableName } of TABLES) {
    const sql = `FROM ${tableName} ORDER BY arrival_time, connection_id, record_ordinal`;
    const rows = await readRows(await engine.run(sql));
    const wanted = expected.get(tableName!) ?? [];
    wanted.sort(
      (a, b) =>
        String(a.arrival_time).localeCompare(String(b.arrival_time)) ||
        Number(a.connection_id) - Number(b.connection_id) ||
        Number(a.record_ordinal) - Number(b.record_ordinal),
    );
    assert.equal(rows.length, wanted.length, `${tableName}: rows`);
    rows.forEach((row, i) => {
      assert.deepEqual(row, wanted[i], `${tableName}, row ${i}`);
    });
  }
  engine.close();
}

test('every column of every row is what was sent, small tables and large ones', async (context) => {
  await withFolder(async (dataDir) => {
    const seed = 1 + Math.floor(Math.random() * 1e9);
    context.diagnostic(`seed ${seed}`);
    const { maker } = simulatedBlocks({ records: 12_000, seed, mix: 'all' });
    const tur = simulatedBlocks({ records: 9_000, seed, mix: 'default', malformedRatio: 0.05 });
    for (const block of tur.maker.blocks) maker.add(block.payload, ARRIVAL_US + 5_000_000, 9);
    // The first pass prepares DuckDB's tables, so that later batches go through them.
    const { stage } = await startStage(dataDir, maker.blocks, { flushRows: 6_000 });
    assert.equal(await stage.drain(60_000), true);
    const stats = stage.stats();
    await stage.onClose();
    const { delivered, filtered, malformed, pending, received } = stats;
    assert.equal(pending, 0);
    assert.equal(received, maker.ordinal);
    assert.equal(delivered + filtered + malformed, received);
    await assertRows(dataDir, maker.blocks);
    const count = await countRows(dataDir);
    assert.equal(count.difference, 0);
    assert.equal(count.found, delivered);
  });
});

/** Transaction usage with these access and info strings. */
function usage(access: Uint8Array, info: Uint8Array): Buffer {
  const ints = (count: number): [number, Uint8Array][] =>
    Array.from({ length: count }, (_, i) => uint32(i + 1) as [number, Uint8Array]);
  return record(0xf0f0f438, [text('sub'), ...ints(6), text(access), text(info), ...ints(16)]);
}

const TEXTS: readonly (Uint8Array | string)[] = [
  '',
  'plain.example',
  'back\\slash',
  '\\x41 looks like an escape',
  'grüße.example',
  '日本語/パス',
  'emoji 😀 end',
  Uint8Array.of(0xff, 0xfe, 0x41),
  Uint8Array.of(0xc3, 0x28),
  Uint8Array.of(0xed, 0xa0, 0x80),
  Uint8Array.of(0xf0, 0x9f, 0x98),
  'nul\0inside',
  'line\r\nbreak\ttab',
  'quote"s and \'s, commas',
  '<script>alert(1)</script>',
  '\ufeffbom',
  '='.repeat(9000),
];

for (const rows of [TEXTS.length, 6000]) {
  test(`awkward text survives, ${rows} rows`, async () => {
    await withFolder(async (dataDir) => {
      const maker = new BlockMaker();
      const of = (i: number): Uint8Array => {
        const value = TEXTS[i % TEXTS.length]!;
        return typeof value === 'string' ? Buffer.from(value) : value;
      };
      let frames: Buffer[] = [];
      for (let i = 0; i < rows; i++) {
        // Long texts seldom, or the heap is full after a few rows.
        const access = i > 40 && of(i).length > 1000 ? of(1) : of(i);
        frames.push(usage(access, of((i * 7 + 1) % (TEXTS.length - 1))));
        if (frames.length < 50 && i + 1 < rows) continue;
        maker.add(new Uint8Array(Buffer.concat(frames)), ARRIVAL_US + i);
        frames = [];
      }
      // Twice: the second generation goes through DuckDB from its first batch on.
      const half = maker.ordinal;
      for (const block of [...maker.blocks]) maker.add(block.payload, block.arrivalUs + 1_000_000);
      const { stage } = await startStage(dataDir, maker.blocks, { flushRows: half });
      await stage.drain(60_000);
      assert.ok(stage.stats().invalidText > 0);
      await stage.onClose();
      await assertRows(dataDir, maker.blocks);
      const marks = await ask(
        dataDir,
        `SELECT hex(encode(info_string))[:6] AS h FROM transaction_usage
         WHERE info_string LIKE '%bom'`,
      );
      assert.ok(marks.length > 0 && marks.every(({ h }) => h === 'EFBBBF'));
    });
  });
}

test('records without a table and malformed ones are kept as bytes, up to a bound', async () => {
  await withFolder(async (dataDir) => {
    const maker = new BlockMaker();
    const unknown = record(0xf0f0ffff, [uint32(1)]);
    const malformed = Buffer.from(VECTOR);
    malformed[19] = 200;
    const payload = new Uint8Array(Buffer.concat([VECTOR, unknown, malformed, malformed, VECTOR]));
    maker.add(payload, ARRIVAL_US, 5, '2001:db8::1');
    maker.add(payload, ARRIVAL_US + 1, 5, '2001:db8::1');
    await storeAll(dataDir, maker.blocks, { malformedRowsPerHour: 3 });
    const rows = await ask(dataDir, 'FROM malformed_records ORDER BY record_ordinal');
    assert.equal(rows.length, 3);
    assert.deepEqual(rows[0], {
      arrival_time: timestampText(BigInt(ARRIVAL_US)),
      exporter: '2001:db8::1',
      connection_id: 5,
      record_ordinal: 2,
      reason: 'count_high',
      raw: malformed.toString('hex'),
    });
    const other = await ask(dataDir, 'FROM other_records ORDER BY record_ordinal');
    assert.equal(other.length, 2);
    assert.equal(other[1]!.record_ordinal, 6);
    assert.equal(other[1]!.tag, 0xf0f0ffff);
    assert.equal(other[1]!.raw, unknown.toString('hex'));
    assert.equal((await countRows(dataDir)).difference, 0);
  });
});

test('a store without files has every table, empty and typed', async () => {
  await withFolder(async (dataDir) => {
    const engine = await QueryEngine.open(dataDir);
    for (const { name, columns } of STORE_TABLES) {
      assert.deepEqual(await readRows(await engine.run(`FROM ${name}`)), []);
      const described = await readRows(await engine.run(`DESCRIBE ${name}`));
      assert.deepEqual(
        described.map((row) => row.column_name),
        columns.map((column) => column.name),
      );
    }
    engine.close();
  });
});

test('131,072 records in one flush: every one is there; the times are printed', async (context) => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 131_072, mix: 'tur' });
    const { stage } = await startStage(dataDir, maker.blocks);
    const before = process.cpuUsage();
    const startMs = performance.now();
    assert.equal(await stage.drain(120_000), true);
    const cpu = process.cpuUsage(before);
    const cpuUs = (cpu.user + cpu.system) / maker.ordinal;
    const stats = stage.stats();
    await stage.onClose();
    context.diagnostic(
      `${cpuUs.toFixed(2)} us CPU a record in all (cold), flush ${Math.round(stats.flushMs)} ms, ` +
        `in all ${Math.round(performance.now() - startMs)} ms`,
    );
    assert.equal(stats.commits, 1);
    assert.equal(stats.delivered, maker.ordinal);
    assert.equal((await countRows(dataDir)).found, maker.ordinal);
  });
});

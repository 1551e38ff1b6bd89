import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeCommit, encodeCommit } from '../src/server/store/commit-record.ts';
import { runCli } from './support/run-cli.ts';
import { simulatedBlocks } from './support/store-blocks.ts';
import { storeAll, withFolder } from './support/store-harness.ts';

async function withStore(run: (dataDir: string, records: number) => Promise<void>): Promise<void> {
  await withFolder(async (dataDir) => {
    const arrivalUs = Date.now() * 1000;
    const { maker } = simulatedBlocks({ records: 3_000, mix: 'tur', arrivalUs });
    await storeAll(dataDir, maker.blocks);
    await run(dataDir, maker.ordinal);
  });
}

test('query answers in each format', async () => {
  await withStore(async (dataDir, records) => {
    const ask = (sql: string, ...more: string[]) =>
      runCli(['query', sql, '--data', dataDir, ...more]);
    const count = 'SELECT count(*) AS n, ip(167772161) AS ip FROM transaction_usage';
    const table = await ask(count);
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout.toString(), /n\s+ip\n-+\s+-+\n3000\s+10\.0\.0\.1\n\(1 row\)/);
    const json = await ask(count, '--format', 'json');
    assert.deepEqual(JSON.parse(json.stdout.toString()), { n: records, ip: '10.0.0.1' });
    const csv = await ask(count, '--format', 'csv');
    assert.equal(csv.stdout.toString(), `n,ip\r\n${records},10.0.0.1\r\n`);
    const parquet = await ask('FROM transaction_usage;', '--format', 'parquet');
    const path = join(dataDir, 'out.parquet');
    writeFileSync(path, parquet.stdout);
    const again = await ask(`SELECT count(*) AS n FROM '${path}'`, '--format', 'csv');
    assert.equal(again.stdout.toString(), `n\r\n${records}\r\n`);
  });
});

test('query refuses wrong SQL with DuckDB’s words and code 1', async () => {
  await withFolder(async (dataDir) => {
    const wrong = await runCli(['query', 'SELECT nothing FROM nowhere', '--data', dataDir]);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /MR_SQL: Catalog Error: Table with name nowhere does not exist/);
    assert.doesNotMatch(wrong.stderr, /\n\s+at /, 'no stack');
    const usage = await runCli(['query', 'SELECT 1', '--format', 'xml', '--data', dataDir]);
    assert.equal(usage.code, 2);
  });
});

test('top prints a table, JSON, and says what is wrong', async () => {
  await withStore(async (dataDir, records) => {
    const top = (...words: string[]) => runCli(['top', ...words, '--data', dataDir]);
    const table = await top('subscribers', '-n', '3');
    assert.equal(table.code, 0, table.stderr);
    assert.equal(table.stdout.toString().trimEnd().split('\n').length, 4);
    const json = await top('exporters', '--since', 'all', '--by', 'records', '--json');
    const rows = JSON.parse(json.stdout.toString()) as { name: string; records: number }[];
    assert.equal(
      rows.reduce((sum, row) => sum + row.records, 0),
      records,
    );
    assert.deepEqual(rows.map(({ name }) => name).sort(), ['127.0.0.1', '127.0.0.2']);
    for (const wrong of [['nobody'], ['hosts', '--since', 'soon'], ['hosts', '--by', 'luck']]) {
      const result = await top(...wrong);
      assert.equal(result.code, 2, wrong.join(' '));
      assert.match(result.stderr, /MR_USAGE/);
    }
    const none = await runCli(['top', 'hosts', '--data', join(dataDir, 'none')]);
    assert.equal(none.code, 0);
    assert.match(none.stdout.toString(), /nothing in this time/);
  });
});

test('store verify compares the ledger with the rows, and notices a difference', async () => {
  await withStore(async (dataDir, records) => {
    const good = await runCli(['store', 'verify', dataDir, '--json']);
    assert.equal(good.code, 0, good.stderr);
    const report = JSON.parse(good.stdout.toString()) as { found: number; difference: number };
    assert.deepEqual([report.found, report.difference], [records, 0]);
    const path = join(dataDir, 'store', 'commits.log');
    const [line] = readFileSync(path, 'utf8').split('\n');
    const record = decodeCommit(line!)!;
    const added = record.added.filter((file) => !file.path.startsWith('transaction_usage'));
    writeFileSync(path, encodeCommit({ ...record, added }));
    const bad = await runCli(['store', 'verify', dataDir]);
    assert.equal(bad.code, 1);
    assert.match(bad.stdout.toString(), /transaction_usage\s+3,000\s+0\s+differs/);
  });
});

import assert from 'node:assert/strict';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readStoreState } from '../src/server/store/commit-log.ts';
import { countRows } from '../src/server/store/count-rows.ts';
import { simulatedBlocks, type TestBlock } from './support/store-blocks.ts';
import { ask, makeFolder, startStage, storeAll, withFolder } from './support/store-harness.ts';

const HOUR_END_US = Date.UTC(2026, 0, 31, 8) * 1000;

/** Everything of every connection, once, from the first record on: no hole, nothing doubled. */
async function assertPrefixes(dataDir: string, blocks: readonly TestBlock[]): Promise<number> {
  const state = readStoreState(join(dataDir, 'store'));
  const names = new Set([...state.files.keys()].map((path) => path.split('/')[0]!));
  const rollups = ['traffic_minute', 'traffic_hour', 'usage_minute'];
  const parts = [...names]
    .filter((name) => !rollups.includes(name))
    .map((name) => `SELECT connection_id, record_ordinal FROM ${name}`);
  if (parts.length === 0) return 0;
  const rows = await ask(
    dataDir,
    `SELECT connection_id, count(*) AS n, count(DISTINCT record_ordinal) AS d,
       max(record_ordinal) + 1 AS top FROM (${parts.join(' UNION ALL ')}) GROUP BY ALL`,
  );
  let total = 0;
  for (const { connection_id, n, d, top } of rows) {
    assert.equal(n, d, `connection ${connection_id}: doubled`);
    assert.equal(n, top, `connection ${connection_id}: a hole`);
    total += Number(n);
  }
  assert.equal(total, state.nextOrdinal, 'the position and the rows agree');
  const block = blocks.find(({ firstOrdinal }) => firstOrdinal === state.nextOrdinal);
  if (block !== undefined) assert.ok(state.position <= block.position);
  assert.equal((await countRows(dataDir)).difference, 0);
  return total;
}

function listFiles(dataDir: string): string[] {
  return readdirSync(join(dataDir, 'store'), { recursive: true })
    .map(String)
    .filter((name) => /\.(parquet|tmp)$/.test(name));
}

test('a crash between any two steps of a flush leaves no gap and no double', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 9_000, mix: 'default' });
    const copies: string[] = [];
    const steps: string[] = [];
    // Kinds of steps, not each of some hundred files: the second flush only, and each kind twice.
    let flushes = 0;
    const seen = new Map<string, number>();
    const onStep = (step: string): void => {
      if (step === 'flush-started') flushes++;
      if (flushes !== 2 || step === 'block-decoded') return;
      const kind = step.split(':')[0]!;
      seen.set(kind, (seen.get(kind) ?? 0) + 1);
      if (seen.get(kind)! > 2) return;
      const copy = makeFolder();
      cpSync(dataDir, copy, { recursive: true });
      copies.push(copy);
      steps.push(step);
    };
    await storeAll(dataDir, maker.blocks, { flushRows: 4_000 }, { onStep });
    assert.ok(copies.length >= 7, steps.join());
    const whole = await assertPrefixes(dataDir, maker.blocks);
    assert.equal(whole, maker.ordinal);
    for (const [i, copy] of copies.entries()) {
      const before = await assertPrefixes(copy, maker.blocks);
      assert.ok(before < maker.ordinal, steps[i]);
      const { stage } = await startStage(copy, maker.blocks, { flushRows: 4_000 });
      const known = readStoreState(join(copy, 'store')).files;
      assert.deepEqual(new Set(listFiles(copy)), new Set(known.keys()), 'leftovers are removed');
      await stage.drain(60_000);
      await stage.onClose();
      assert.equal(await assertPrefixes(copy, maker.blocks), maker.ordinal, steps[i]);
      rmSync(copy, { recursive: true });
    }
  });
});

test('a flush that fails at any step is tried again, and nothing is lost or doubled', async () => {
  const { maker } = simulatedBlocks({ records: 6_000, mix: 'default' });
  for (const failing of ['written', 'renamed', 'folders-synced', 'journal-synced', 'committed']) {
    await withFolder(async (dataDir) => {
      let failures = 0;
      const onStep = (step: string): void => {
        if (!step.startsWith(failing) || failures >= 3) return;
        failures++;
        const error: NodeJS.ErrnoException = new Error('ENOSPC: no space left on device, write');
        error.code = 'ENOSPC';
        throw error;
      };
      const { stage } = await startStage(dataDir, maker.blocks, { flushRows: 2_000 }, { onStep });
      assert.equal(await stage.drain(60_000), true);
      const stats = stage.stats();
      await stage.onClose();
      assert.equal(failures, 3);
      assert.ok(stats.errors >= 1 && stats.errors <= 3);
      assert.match(stats.lastError, /ENOSPC/);
      assert.equal(await assertPrefixes(dataDir, maker.blocks), maker.ordinal);
    });
  }
});

test('a commit waits until the journal is on disk up to its position', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 3_000, mix: 'tur' });
    const asked: number[] = [];
    const committed: number[] = [];
    const position = (): number => readStoreState(join(dataDir, 'store')).position;
    const syncJournal = async (to: number): Promise<void> => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.ok(position() < to, 'not before the journal is on disk');
      asked.push(to);
    };
    const onStep = (step: string): void => {
      if (step === 'committed') committed.push(position());
    };
    await storeAll(dataDir, maker.blocks, { flushRows: 1_000 }, { syncJournal, onStep });
    assert.ok(asked.length > 2);
    assert.deepEqual(asked, committed);
  });
});

test('while a flush fails, rows are bounded and the ledger closes', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 20_000, mix: 'tur', blockBytes: 32_768 });
    let isFull = true;
    const onStep = (step: string): void => {
      if (isFull && step === 'flush-started') throw new Error('ENOSPC: no space left on device');
    };
    const publishedOrdinal = (): number => maker.ordinal;
    const { stage, source } = await startStage(
      dataDir,
      maker.blocks,
      { flushRows: 3_000 },
      { onStep, publishedOrdinal },
    );
    assert.equal(await stage.drain(300), false);
    assert.ok(source.taken < maker.blocks.length / 2, 'blocks stay in the journal');
    assert.equal(source.taken, source.released);
    const held = stage.stats();
    assert.equal(held.received, maker.ordinal);
    assert.equal(held.delivered, 0);
    assert.equal(held.pending, maker.ordinal);
    isFull = false;
    assert.equal(await stage.drain(60_000), true);
    const done = stage.stats();
    assert.equal(done.delivered, maker.ordinal);
    assert.equal(done.pending, 0);
    await stage.onClose();
    assert.equal(await assertPrefixes(dataDir, maker.blocks), maker.ordinal);
  });
});

test('a worker that throws in the middle of a block is replaced without loss', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 9_000, mix: 'tur' });
    for (let life = 0; life < 4; life++) {
      let blocks = 0;
      const onStep = (step: string): void => {
        if (step === 'block-decoded' && ++blocks > 4 + life) throw new Error('planted');
      };
      const { stage } = await startStage(dataDir, maker.blocks, { flushRows: 1_000 }, { onStep });
      await assert.rejects(stage.drain(60_000), /planted/);
      await stage.onClose();
      await assertPrefixes(dataDir, maker.blocks);
    }
    await storeAll(dataDir, maker.blocks);
    assert.equal(await assertPrefixes(dataDir, maker.blocks), maker.ordinal);
  });
});

test('rows of two hours lie in two partitions', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({
      records: 6_000,
      mix: 'tur',
      arrivalUs: HOUR_END_US - 10_000,
      stepUs: 2_000,
    });
    const late = maker.blocks.filter(({ arrivalUs }) => arrivalUs >= HOUR_END_US);
    const lateRecords = late.reduce((sum, { recordCount }) => sum + recordCount, 0);
    assert.ok(late.length > 3 && late.length < maker.blocks.length);
    await storeAll(dataDir, maker.blocks);
    const rows = await ask(
      dataDir,
      `SELECT regexp_extract(filename, 'hour=(\\d\\d)', 1) AS h, count(*) AS n,
         min(arrival_time) AS first, max(arrival_time) AS last
       FROM read_parquet('${dataDir}/store/transaction_usage/*/*/*.parquet',
         filename = true, hive_partitioning = false)
       GROUP BY h ORDER BY h`,
    );
    assert.deepEqual(
      rows.map(({ h, n }) => [h, n]),
      [
        ['07', maker.ordinal - lateRecords],
        ['08', lateRecords],
      ],
    );
    assert.ok(String(rows[0]!.last) < '2026-01-31 08' && String(rows[1]!.first) >= '2026-01-31 08');
    assert.equal(await assertPrefixes(dataDir, maker.blocks), maker.ordinal);
  });
});

test('records that the journal has lost are dropped, and the ledger closes', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 4_000, mix: 'tur' });
    const [removed, ...rest] = maker.blocks;
    const { stage } = await startStage(dataDir, rest);
    await stage.drain(60_000);
    const stats = stage.stats();
    await stage.onClose();
    assert.deepEqual(stats.dropped, { retention: removed!.recordCount });
    assert.equal(stats.delivered + removed!.recordCount, maker.ordinal);
    assert.equal(stats.received, maker.ordinal);
  });
});

test('a leftover of a dead flush is removed by the owner and never seen by a query', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 1_000, mix: 'tur' });
    await storeAll(dataDir, maker.blocks);
    const [path] = listFiles(dataDir).filter((name) => name.startsWith('transaction_usage'));
    const leftover = join(dataDir, 'store', path!.replace('-0.parquet', '-9.parquet'));
    cpSync(join(dataDir, 'store', path!), leftover);
    cpSync(leftover, `${leftover}.tmp`);
    const [row] = await ask(dataDir, 'SELECT count(*) AS n FROM transaction_usage');
    assert.equal(row!.n, maker.ordinal);
    await storeAll(dataDir, maker.blocks);
    assert.equal(existsSync(leftover), false);
    assert.equal(existsSync(`${leftover}.tmp`), false);
    assert.equal(await assertPrefixes(dataDir, maker.blocks), maker.ordinal);
  });
});

test('the oldest held record is that of the flush under way', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 9_000, mix: 'default' });
    let during = -1;
    let ask = (): number => -1;
    const { stage } = await startStage(
      dataDir,
      maker.blocks,
      { flushRows: 4_000 },
      {
        onStep: (step) => {
          if (step === 'journal-synced' && during === -1) during = ask();
        },
      },
    );
    ask = () => stage.stats().oldestHeldMs;
    assert.equal(stage.stats().oldestHeldMs, 0, 'nothing is held');
    await stage.drain(60_000);
    assert.equal(during, maker.blocks[0]!.arrivalUs / 1000);
    assert.equal(stage.stats().oldestHeldMs, 0, 'nothing is held any more');
    await stage.onClose();
  });
});

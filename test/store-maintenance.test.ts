import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readStoreState } from '../src/server/store/commit-log.ts';
import { partitionOf } from '../src/server/store/commit-record.ts';
import { countRows } from '../src/server/store/count-rows.ts';
import { QueryEngine } from '../src/server/store/query.ts';
import { type Cell, readRows } from '../src/server/store/render.ts';
import type { StoreStage } from '../src/server/store/store-stage.ts';
import { STORE_TABLES, TRAFFIC_FAMILY } from '../src/server/store/tables.ts';
import { coveredHours, top } from '../src/server/store/top.ts';
import { TOP_SUBJECTS } from '../src/server/top-words.ts';
import { simulatedBlocks } from './support/store-blocks.ts';
import { ask, startStage, storeAll, withFolder } from './support/store-harness.ts';

const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2026, 0, 31, 7, 55);
/** The hours of 07:55 and of 08:00. */
const FIRST_HOUR = Math.floor(START_MS / HOUR_MS);
const LAST_HOUR = FIRST_HOUR + 1;
const WAIT_MS_MAX = 300_000;

/** All rows of all tables, in an order of their own. */
async function contents(dataDir: string): Promise<Map<string, Record<string, Cell>[]>> {
  const engine = await QueryEngine.open(dataDir);
  const tables = new Map<string, Record<string, Cell>[]>();
  for (const { name } of STORE_TABLES) {
    if (name === 'traffic_hour') continue;
    tables.set(name, await readRows(await engine.run(`FROM ${name} ORDER BY ALL`)));
  }
  engine.close();
  return tables;
}

function filesPerPartition(dataDir: string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const path of readStoreState(join(dataDir, 'store')).files.keys()) {
    const { table, hour } = partitionOf(path);
    const key = `${table} ${hour}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Files that DuckDB has not rewritten yet. */
function plainFiles(dataDir: string): string[] {
  const files = [...readStoreState(join(dataDir, 'store')).files.values()];
  return files.filter(({ plain }) => plain === true).map(({ path }) => path);
}

async function waitUntil(what: string, isTrue: () => boolean, stage: StoreStage): Promise<void> {
  const endMs = performance.now() + WAIT_MS_MAX;
  while (performance.now() < endMs) {
    stage.doWork();
    if (isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`waited in vain: ${what}; ${stage.stats().lastError}`);
}

/** Records of a quarter of an hour around eight o'clock, in many flushes. */
function quarterHour(records: number) {
  return simulatedBlocks({
    records,
    mix: 'default',
    arrivalUs: START_MS * 1000,
    stepUs: 15_000_000,
    blockBytes: 40_000,
    seed: 11,
  });
}

test('compaction of an hour keeps every row and sum; old files go later', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(12_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 700, mergeFiles: 1000 });
    const before = await contents(dataDir);
    const filesBefore = [...readStoreState(join(dataDir, 'store')).files.keys()];
    assert.ok(Math.max(...filesPerPartition(dataDir).values()) > 5);
    let wallMs = START_MS + 2 * HOUR_MS;
    const { stage } = await startStage(
      dataDir,
      maker.blocks,
      { maintainMs: 0, unlinkDelayMs: 1000 },
      { wallMs: () => wallMs },
    );
    assert.deepEqual(plainFiles(dataDir).sort(), [...filesBefore].sort(), 'a flush writes plainly');
    const isCompact = (): boolean =>
      plainFiles(dataDir).length === 0 &&
      [...filesPerPartition(dataDir).values()].every((n) => n === 1);
    await waitUntil('one file a partition', isCompact, stage);
    await waitUntil(
      'traffic_hour',
      () => filesPerPartition(dataDir).has(`traffic_hour ${FIRST_HOUR}`),
      stage,
    );
    assert.deepEqual(await contents(dataDir), before);
    assert.equal((await countRows(dataDir)).difference, 0);
    assert.ok(
      filesBefore.every((path) => existsSync(join(dataDir, 'store', path))),
      'still there',
    );
    wallMs += 2000;
    const gone = (): boolean =>
      filesBefore.every((path) => !existsSync(join(dataDir, 'store', path)));
    await waitUntil('removed files are unlinked', gone, stage);
    await stage.onClose();
    assert.deepEqual(await contents(dataDir), before);
  });
});

test('traffic_hour is the sum of the records by subscriber and service', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(8_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 2_000 });
    const hooks = { wallMs: () => START_MS + 3 * HOUR_MS };
    const { stage } = await startStage(dataDir, maker.blocks, { maintainMs: 0 }, hooks);
    const isMade = (): boolean => filesPerPartition(dataDir).has(`traffic_hour ${LAST_HOUR}`);
    await waitUntil('traffic_hour of both hours', isMade, stage);
    await stage.onClose();
    const parts = TRAFFIC_FAMILY.map(
      ({ table, subscriber }) =>
        `SELECT date_trunc('hour', arrival_time) AS hour, ${subscriber} AS subscriber_id,
           service_id,
           session_upstream_volume AS up, session_downstream_volume AS down FROM ${table}`,
    );
    const expected = await ask(
      dataDir,
      `SELECT hour, subscriber_id, service_id, count(*) AS records, count(*) AS sessions,
         sum(up)::BIGINT AS upstream_bytes, sum(down)::BIGINT AS downstream_bytes
       FROM (${parts.join(' UNION ALL ')}) GROUP BY ALL ORDER BY ALL`,
    );
    assert.deepEqual(await ask(dataDir, 'FROM traffic_hour ORDER BY ALL'), expected);
    assert.ok(expected.length > 100);
  });
});

test('roll-ups per minute are the sums of the records', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(8_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 1_500 });
    const parts = TRAFFIC_FAMILY.map(
      ({ table }) =>
        `SELECT date_trunc('minute', arrival_time) AS minute, exporter, service_id, package_id,
           protocol_id, session_upstream_volume AS up, session_downstream_volume AS down
         FROM ${table}`,
    );
    const traffic = await ask(
      dataDir,
      `SELECT minute, exporter, service_id, package_id, protocol_id, count(*) AS records,
         count(*) AS sessions, sum(up)::BIGINT AS upstream_bytes,
         sum(down)::BIGINT AS downstream_bytes
       FROM (${parts.join(' UNION ALL ')}) GROUP BY ALL ORDER BY ALL`,
    );
    assert.deepEqual(await ask(dataDir, 'FROM traffic_minute ORDER BY ALL'), traffic);
    const usage = await ask(
      dataDir,
      `SELECT date_trunc('minute', arrival_time) AS minute, exporter, 'link_usage' AS source,
         service_usage_counter_id, count(*) AS records, sum(sessions)::BIGINT AS sessions,
         sum(upstream_volume)::BIGINT AS upstream_kilobytes,
         sum(downstream_volume)::BIGINT AS downstream_kilobytes
       FROM link_usage GROUP BY ALL ORDER BY ALL`,
    );
    assert.ok(usage.length > 0);
    assert.deepEqual(
      await ask(dataDir, "FROM usage_minute WHERE source = 'link_usage' ORDER BY ALL"),
      usage,
    );
  });
});

test('top gives the same from roll-ups and from records, before and after compaction', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(8_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 1_500 });
    const keys = {
      subscribers: 'subscriber_id',
      services: 'service_id',
      packages: 'package_id',
      hosts: 'host',
      protocols: 'protocol_id',
      exporters: 'exporter',
    } as const;
    const sinceMs = START_MS + 130_000;
    const check = async (): Promise<Set<number>> => {
      const engine = await QueryEngine.open(dataDir);
      for (const subject of TOP_SUBJECTS) {
        for (const by of ['bytes', 'sessions'] as const) {
          const order = by === 'bytes' ? 'b' : 's';
          const direct = await readRows(
            await engine.run(
              `SELECT ${keys[subject]}::VARCHAR AS k,
                 sum(upstream_bytes + downstream_bytes)::BIGINT AS b,
                 count(*) AS s FROM traffic WHERE arrival_time >= TIMESTAMP '2026-01-31 07:57:00'
               GROUP BY ${keys[subject]} ORDER BY ${order} DESC, ${keys[subject]} LIMIT 7`,
            ),
          );
          const rows = await top(engine, { subject, sinceMs, by, count: 7 });
          assert.deepEqual(
            rows.map((row) => [row.name, row.bytes, row.sessions]),
            direct.map(({ k, b, s }) => [k, b, s]),
            `${subject} by ${by}`,
          );
        }
      }
      const covered = coveredHours(engine, sinceMs);
      engine.close();
      return covered;
    };
    assert.equal((await check()).size, 0);
    const hooks = { wallMs: () => START_MS + 3 * HOUR_MS };
    const { stage } = await startStage(dataDir, maker.blocks, { maintainMs: 0 }, hooks);
    const isMade = (): boolean => filesPerPartition(dataDir).has(`traffic_hour ${LAST_HOUR}`);
    await waitUntil('traffic_hour', isMade, stage);
    await stage.onClose();
    assert.deepEqual(await check(), new Set([LAST_HOUR]));
  });
});

test('many files of an open hour are merged by size, rows kept', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = simulatedBlocks({ records: 10_000, mix: 'tur', blockBytes: 20_000 });
    await storeAll(dataDir, maker.blocks, { flushRows: 150, mergeFiles: 100_000 });
    const before = await contents(dataDir);
    const options = { maintainMs: 0, mergeFiles: 8 };
    const hooks = { wallMs: () => START_MS - HOUR_MS };
    const { stage } = await startStage(dataDir, maker.blocks, options, hooks);
    const isMerged = (): boolean => Math.max(...filesPerPartition(dataDir).values()) < 16;
    await waitUntil('few files', isMerged, stage);
    await stage.onClose();
    assert.deepEqual(await contents(dataDir), before);
    assert.equal((await countRows(dataDir)).difference, 0);
  });
});

test('retention by age and by size takes whole hours, counted as expired', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(6_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 1_000 });
    const [old] = await ask(
      dataDir,
      `SELECT count(*) AS n FROM transaction_usage
       WHERE arrival_time < TIMESTAMP '2026-01-31 08:00:00'`,
    );
    const retention = {
      transaction_usage: { maxAgeHours: 2, maxBytes: 0 },
      traffic_minute: { maxAgeHours: 0, maxBytes: 1 },
    };
    // 8:00 is 2.2 hours ago, 9:00 only 1.2.
    const hooks = { wallMs: () => Date.UTC(2026, 0, 31, 10, 12) };
    const { stage } = await startStage(dataDir, maker.blocks, { maintainMs: 0, retention }, hooks);
    const hasExpired = (): boolean =>
      !filesPerPartition(dataDir).has(`transaction_usage ${FIRST_HOUR}`) &&
      !filesPerPartition(dataDir).has(`traffic_minute ${LAST_HOUR}`);
    await waitUntil('old hours are gone', hasExpired, stage);
    await stage.onClose();
    const state = readStoreState(join(dataDir, 'store'));
    assert.deepEqual({ ...state.ledger.expired }, { transaction_usage: old!.n });
    assert.equal((await countRows(dataDir)).difference, 0);
    assert.equal(state.nextOrdinal, maker.ordinal, 'the position stays');
  });
});

test('a crash at every step of compaction and retention loses and doubles nothing', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(3_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 700 });
    const before = await contents(dataDir);
    for (const failing of ['renamed', 'folders-synced', 'compact-files', 'compact-committed']) {
      for (let nth = 1; nth <= 2; nth++) {
        let count = 0;
        const onStep = (step: string): void => {
          if (step.startsWith(failing) && ++count === nth) throw new Error('planted');
        };
        const hooks = { wallMs: () => START_MS + 3 * HOUR_MS, onStep };
        const { stage } = await startStage(dataDir, maker.blocks, { maintainMs: 0 }, hooks);
        await waitUntil(`${failing}, time ${nth}`, () => stage.stats().errors > 0, stage);
        await stage.onClose();
        const left = readdirSync(join(dataDir, 'store'), { recursive: true });
        assert.ok(left.length > 0);
        assert.deepEqual(await contents(dataDir), before, failing);
        assert.equal((await countRows(dataDir)).difference, 0);
      }
    }
  });
});

test('a query whose files were merged away meanwhile is answered all the same', async () => {
  await withFolder(async (dataDir) => {
    const { maker } = quarterHour(3_000);
    await storeAll(dataDir, maker.blocks, { flushRows: 500 });
    const engine = await QueryEngine.open(dataDir);
    const sql = 'SELECT count(*) AS n, sum(upstream_bytes)::BIGINT AS up FROM traffic';
    const before = await readRows(await engine.run(sql));
    const hooks = { wallMs: () => START_MS + 3 * HOUR_MS };
    const options = { maintainMs: 0, unlinkDelayMs: 0 };
    const { stage } = await startStage(dataDir, maker.blocks, options, hooks);
    const isMade = (): boolean => filesPerPartition(dataDir).has(`traffic_hour ${LAST_HOUR}`);
    await waitUntil('traffic_hour', isMade, stage);
    await waitUntil('unlinks', () => stage.stats().files < 60, stage);
    await stage.onClose();
    // As if the log had been read before the merge: the old files are asked for first.
    let isFirst = true;
    const vanished = join(dataDir, 'store', 'vanished.parquet');
    const result = await engine.retry(() => {
      const text = isFirst ? `SELECT count(*) FROM read_parquet('${vanished}')` : sql;
      isFirst = false;
      return text;
    });
    assert.deepEqual(await readRows(result), before);
    engine.close();
  });
});

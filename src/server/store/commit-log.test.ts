import assert from 'node:assert/strict';
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { CommitLog, LOG_NAME, readStoreState, type StoreState } from './commit-log.ts';
import {
  type CommitRecord,
  decodeCommit,
  encodeCommit,
  NO_COUNTS,
  partitionOf,
  partitionPath,
  spanOf,
} from './commit-record.ts';

function folder(context: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'millrace-log-'));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** A flush of 10 records in one file. */
function flush(state: StoreState): CommitRecord {
  const to = state.position + 1000;
  return {
    version: 1,
    sequence: state.sequence + 1,
    kind: 'flush',
    from: state.position,
    to,
    toOrdinal: state.nextOrdinal + 10,
    timeUs: 1,
    added: [
      {
        path: `t/date=2026-01-31/hour=07/${state.position}-${to}-0.parquet`,
        rows: 9,
        bytes: 5,
        groups: 1,
      },
    ],
    removed: [],
    ledger: { ...NO_COUNTS, delivered: { t: 9 }, malformed: { fields_short: 1 } },
  };
}

async function writeLog(storeDir: string, count: number): Promise<void> {
  const log = await CommitLog.open(storeDir);
  for (let i = 0; i < count; i++) await log.append(flush);
  await log.close();
}

test('a record survives encoding, and any changed byte is noticed', () => {
  const line = encodeCommit(flush({ position: 0, sequence: 0, nextOrdinal: 0 } as StoreState));
  const body = line.slice(0, -1);
  assert.deepEqual(encodeCommit(decodeCommit(body)!), line);
  for (let i = 0; i < body.length; i++) {
    const changed =
      body.slice(0, i) + String.fromCharCode(body.charCodeAt(i) ^ 1) + body.slice(i + 1);
    assert.equal(decodeCommit(changed), null, `byte ${i}`);
  }
});

test('names of partitions and files are understood again', () => {
  assert.equal(partitionPath('usage', 0), 'usage/date=1970-01-01/hour=00');
  const path = `${partitionPath('link_usage', 491_000)}/128-4096-3.parquet`;
  assert.deepEqual(partitionOf(path), { table: 'link_usage', hour: 491_000 });
  assert.deepEqual(spanOf(path), { from: 128, to: 4096, n: 3 });
});

test('what was appended is there after opening again', async (context) => {
  const storeDir = folder(context);
  await writeLog(storeDir, 3);
  const log = await CommitLog.open(storeDir);
  assert.equal(log.tornBytes, 0);
  await log.append(flush);
  await log.close();
  const state = readStoreState(storeDir);
  assert.equal(state.sequence, 4);
  assert.equal(state.position, 4000);
  assert.equal(state.nextOrdinal, 40);
  assert.equal(state.files.size, 4);
  assert.deepEqual(state.ledger.delivered, { t: 36 });
  assert.deepEqual(state.ledger.malformed, { fields_short: 4 });
});

test('a log cut at every byte: whole lines count, the rest is cut off', async (context) => {
  const storeDir = folder(context);
  await writeLog(storeDir, 3);
  const path = join(storeDir, LOG_NAME);
  const whole = readFileSync(path);
  for (let cut = 0; cut <= whole.length; cut++) {
    writeFileSync(path, whole.subarray(0, cut));
    const lines = whole.subarray(0, cut).toString().split('\n').length - 1;
    assert.equal(readStoreState(storeDir).commits, lines, `reader, cut at ${cut}`);
    if (cut % 7 !== 0 && cut < whole.length - 3) continue;
    const log = await CommitLog.open(storeDir);
    assert.equal(log.state.position, lines * 1000);
    await log.append(flush);
    await log.close();
    assert.equal(readStoreState(storeDir).commits, lines + 1, `owner, cut at ${cut}`);
  }
});

test('garbage at the end is a torn tail, damage before a line an error', async (context) => {
  const storeDir = folder(context);
  await writeLog(storeDir, 3);
  const path = join(storeDir, LOG_NAME);
  const whole = readFileSync(path);
  appendFileSync(path, Buffer.from('deadbeef {"half": '));
  assert.equal(readStoreState(storeDir).commits, 3);
  const firstLine = whole.indexOf(10);
  const damaged = Buffer.from(whole);
  damaged[firstLine + 20]! ^= 1;
  writeFileSync(path, damaged);
  assert.throws(
    () => readStoreState(storeDir),
    (error: MillraceError) => error.code === 'MR_STORE_LOG' && /line 2/.test(error.message),
  );
  await assert.rejects(CommitLog.open(storeDir), MillraceError);
  assert.deepEqual(readFileSync(path), damaged, 'a damaged log is left as it is');
});

test('a line taken out is noticed by the sequence', async (context) => {
  const storeDir = folder(context);
  await writeLog(storeDir, 3);
  const path = join(storeDir, LOG_NAME);
  const lines = readFileSync(path, 'utf8').split('\n');
  lines.splice(1, 1);
  writeFileSync(path, lines.join('\n'));
  assert.throws(() => readStoreState(storeDir), /sequence 3 stands behind 1/);
});

test('a snapshot says the same in one line, and appending goes on', async (context) => {
  const storeDir = folder(context);
  const log = await CommitLog.open(storeDir);
  for (let i = 0; i < 5; i++) await log.append(flush);
  const before = readStoreState(storeDir);
  const bytes = statSync(join(storeDir, LOG_NAME)).size;
  await log.snapshot(7);
  assert.equal(log.lines, 1);
  assert.ok(statSync(join(storeDir, LOG_NAME)).size < bytes);
  const after = readStoreState(storeDir);
  assert.deepEqual([...after.files], [...before.files]);
  assert.deepEqual(after.ledger, before.ledger);
  assert.equal(after.position, before.position);
  await Promise.all([log.append(flush), log.append(flush), log.snapshot(8), log.append(flush)]);
  await log.close();
  const last = readStoreState(storeDir);
  assert.equal(last.position, 8000);
  assert.equal(last.files.size, 8);
  assert.deepEqual(last.ledger.delivered, { t: 72 });
});

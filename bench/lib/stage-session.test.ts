import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { namedMix, RecordStream, SubscriberPool } from '../../src/simulator/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { runYardstick } from './peers.ts';
import { StageSession } from './stage-session.ts';

const RECORDS = 20_000;
const STUB = fileURLToPath(new URL('./stub-server.js', import.meta.url));
/** Without the addon there may be no C compiler either. */
const needsCompiler = { skip: addonSkipReason() };

const folder = mkdtempSync(join(tmpdir(), 'millrace-session-'));
after(() => rmSync(folder, { recursive: true }));

function makeFile() {
  const stream = new RecordStream({
    seed: 5,
    mix: namedMix('default'),
    subscribers: new SubscriberPool(100),
  });
  const bytes = new Uint8Array(RECORDS * 1000);
  const length = stream.fill(bytes, 0, bytes.length, RECORDS);
  const path = join(folder, 'stream.rdr');
  writeFileSync(path, bytes.subarray(0, length));
  return { path, records: RECORDS, bytesPerRecord: statSync(path).size / RECORDS };
}

const file = makeFile();

test('the yardstick receives and walks exactly what is sent', needsCompiler, async () => {
  for (const mode of ['frame', 'walk'] as const) {
    const totals = await runYardstick({
      mode,
      file: file.path,
      connections: 3,
      records: 50_000,
      rate: 0,
      receiveBufferBytes: 0,
    });
    assert.equal(totals.records, 50_000);
    assert.equal(totals.mode, mode);
    assert.ok(totals.cpuUs > 0);
  }
});

test('a round is measured and its counts are checked', needsCompiler, async () => {
  const load = { file, connections: 2, rate: 50_000, seconds: 0.4 };
  const session = await StageSession.start('frame', load, { program: STUB });
  try {
    await session.warmUp();
    const run = await session.run();
    assert.ok(run.records > 10_000 && run.records <= 20_000, `${run.records}`);
    assert.ok(run.cpuUsPerRecord > 0 && run.threadUsPerRecord.size > 0);
  } finally {
    await session.stop();
  }
});

test('a server that lost a record fails the round, by name and number', needsCompiler, async () => {
  const load = { file, connections: 1, rate: 0, seconds: 0.1 };
  const options = { more: ['--lose', '1'], program: STUB, standstillMs: 300 };
  const session = await StageSession.start('frame', load, options);
  try {
    await assert.rejects(
      () => session.warmUp(),
      /stages frame: records framed is 1599999, expected 1600000$/,
    );
  } finally {
    await session.stop();
  }
});

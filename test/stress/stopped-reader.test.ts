/**
 * A store that stands still for 30 s at full input: it falls back to the segments, catches up, and
 * every record is there.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeConfig, type Server, startServer } from '../../src/server/index.ts';
import { countRows } from '../../src/server/store/count-rows.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { runCli } from '../support/run-cli.ts';
import { sleepMs } from '../support/server-process.ts';

const PAUSE_MS = 30_000;
const INPUT_SECONDS = 32;
const CATCH_UP_MS = 240_000;

async function untilStored(server: Server, records: number): Promise<void> {
  const endMs = Date.now() + CATCH_UP_MS;
  while (Date.now() < endMs) {
    const sink = server.snapshot().sinks[0];
    if (sink !== undefined && sink.received === records && sink.pending === 0) return;
    await sleepMs(200);
  }
  assert.fail(`not caught up: ${JSON.stringify(server.snapshot().sinks)}`);
}

const skip = addonSkipReason() ?? false;

test('a store stopped for 30 s at full input loses nothing', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-stopped-'));
  const data = join(folder, 'data');
  try {
    const config = makeConfig({
      listen: ['127.0.0.1:0'],
      http: null,
      data,
      log: { level: 'fatal' },
      pages: { arenaBytes: 64 * 1024 * 1024 },
    });
    const pause = { step: 'block-decoded', time: 3, pauseMs: PAUSE_MS };
    const server = await startServer(config, [pause]);
    const { code, stdout, stderr } = await runCli([
      'generate',
      server.ports.listen[0]!,
      '--seconds',
      String(INPUT_SECONDS),
      '--json',
    ]);
    assert.equal(code, 0, stderr);
    const sent = JSON.parse(stdout.toString()) as {
      records: number;
      bytes: number;
      tables: Record<string, number>;
    };
    t.diagnostic(`${sent.records} records, ${sent.bytes} bytes in ${INPUT_SECONDS} s`);
    await untilStored(server, sent.records);
    const last = await server.drain();
    await server.closed;
    assert.equal(last.intake.read, sent.bytes);
    assert.equal(last.intake.difference, 0);
    assert.equal(last.sinks[0]!.difference, 0);
    assert.ok(last.sinks[0]!.evictions > 0, 'it lost its place in the ring');
    const counted = await countRows(data);
    assert.equal(counted.difference, 0);
    const found = Object.fromEntries(counted.tables.map(({ table, found: n }) => [table, n]));
    for (const [table, count] of Object.entries(sent.tables)) {
      assert.equal(found[table] ?? 0, count, table);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

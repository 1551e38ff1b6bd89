/**
 * Retention of the journal under `sink: null`: what the forwarder's channels hold, and nobody else.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { runCli } from './support/run-cli.ts';
import { ServerProcess } from './support/server-process.ts';

const needsAddon = { skip: addonSkipReason(), timeout: 180_000 };
const RECORDS = 30_000;
const SEGMENT_BYTES = 1_048_576;

type From = 'journal-start' | 'last-position';

/** A server with a destination that nobody answers for, and six segments of records in it. */
async function filled(t: { after(fn: () => Promise<unknown>): void }, onLag: string) {
  const data = join(temporaryFolder(t as never), 'data');
  const config = (lag: string, from: From = 'journal-start') => ({
    sink: 'null' as const,
    journal: { segmentBytes: SEGMENT_BYTES, retentionBytes: SEGMENT_BYTES, capBytes: 1e9 },
    forward: {
      destinations: [
        {
          name: 'a',
          host: '127.0.0.1',
          port: 9,
          onLag: lag as 'hold',
          from,
        },
      ],
    },
  });
  const server = await ServerProcess.start(data, config(onLag));
  t.after(() => server.kill());
  const target = `127.0.0.1:${server.port}`;
  const sent = await runCli(['generate', target, '--records', String(RECORDS), '--json']);
  assert.equal(sent.code, 0, sent.stderr);
  await server.until(({ journal }) => journal.nextOrdinal === RECORDS);
  return { config, data, server };
}

test('what no channel holds goes by age and size', needsAddon, async (t) => {
  const { server } = await filled(t, 'drop-oldest');
  await server.until(({ journal }) => journal.segments <= 2);
});

test('what a channel holds stays, over a restart too', needsAddon, async (t) => {
  const { config, data, server } = await filled(t, 'hold');
  // The count is told by the retention that has run.
  const { journal } = await server.until((status) => status.journal.segments >= 6);
  await server.kill();
  const again = await ServerProcess.start(data, config('hold'));
  t.after(() => again.kill());
  const later = await again.until((status) => status.journal.segments > 0);
  assert.ok(later.journal.segments >= journal.segments, `${later.journal.segments} segments`);
});

test('a position that cannot be read holds all, is seen, and goes on', needsAddon, async (t) => {
  const { config, data, server } = await filled(t, 'hold');
  const { journal } = await server.until((status) => status.journal.segments >= 6);
  await server.kill();
  const path = join(data, 'positions', 'a.position');
  renameSync(path, `${path}.away`);
  mkdirSync(path);
  const again = await ServerProcess.start(data, config('hold', 'last-position'));
  t.after(() => again.kill());
  const later = await again.until(
    (status) => status.journal.segments > 0 && status.forward?.channels[0]?.state === 'blocked',
  );
  assert.ok(later.journal.segments >= journal.segments, `${later.journal.segments} segments`);
  const { why } = later.forward!.channels[0]!;
  assert.ok(why.startsWith(`${path} cannot be opened: EISDIR; `), why);
  const status = await runCli(['status', '--http', again.http.slice('http://'.length)]);
  const stdout = status.stdout.toString();
  assert.match(stdout, /a: blocked/);
  assert.match(stdout, /cannot be opened: EISDIR/);
  const metrics = await (await fetch(`${again.http}/metrics`)).text();
  assert.match(metrics, /millrace_forward_channel_state\{channel="a",state="blocked"\} 1/);
  const trouble = 'a channel has trouble with its files';
  await again.until(() => again.stderr.includes(trouble));
  assert.equal(again.stderr.split(trouble).length, 2, again.stderr);
  rmdirSync(path);
  renameSync(`${path}.away`, path);
  const open = await again.until(({ forward }) => forward?.channels[0]?.state === 'down');
  assert.equal(open.forward!.channels[0]!.pending, RECORDS);
  await again.until(() => again.stderr.includes('a channel has no more trouble with its files'));
});

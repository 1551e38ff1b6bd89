import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Prng } from '../base/prng.ts';
import { addonSkipReason } from '../sys/load.ts';
import { type Connection, connected, fillPattern, Pump } from './connections.test-data.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { OutputPipe } from './output-pipe.ts';
import { type PayloadSource, payloadSource } from './output-source.ts';
import type { OutputWriter } from './output-writer.ts';
import { SpliceWriter } from './splice-writer.ts';
import { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';

const NOBODY = 65_534;
const SOFT_LIMIT_FILE = '/proc/sys/fs/pipe-user-pages-soft';
const BIG_PIPE_BYTES = 1 << 20;
const BYTES = 300_000;

/** Pipes until the user's soft limit is used up: what comes next has two slots. */
function useUpPipes(t: TestContext): void {
  const limitBytes = Number(readFileSync(SOFT_LIMIT_FILE, 'utf8')) * 4096;
  const pipes: OutputPipe[] = [];
  t.after(() => {
    for (const pipe of pipes) pipe.close();
  });
  for (;;) {
    const pipe = new OutputPipe();
    assert.equal(pipe.open(BIG_PIPE_BYTES), 0);
    pipes.push(pipe);
    if (pipe.capacityBytes < 65_536) return;
    assert.ok(pipes.length * 65_536 <= limitBytes + BIG_PIPE_BYTES, 'the limit is enforced');
  }
}

function sendAll(writer: OutputWriter, connection: Connection, source: PayloadSource): void {
  const pump = new Pump(writer, connection, new Prng(1));
  pump.offer({ source, offset: 0, length: BYTES, expected: source.bytes });
  pump.finish();
  assert.equal(writer.counts.copiedBytes, BYTES, 'a pipe of two slots is worse than a copy');
  assert.ok(writer.counts.degradedCount > 0);
  writer.close();
}

const childTest = { skip: process.getuid?.() !== NOBODY && 'runs in the child of the other test' };

test('a user without pipe memory: everything is copied', childTest, (t) => {
  const source = payloadSource(fillPattern(new Uint8Array(BYTES)));
  const before = TeePayload.fill(source);
  useUpPipes(t);
  const connection = connected(t, 'unix');
  sendAll(new SpliceWriter(connection.fd, new ImmutableReclaim()), connection, source);
  sendAll(new TeeWriter(connection.fd, before), connection, source);
  const after = TeePayload.fill(source);
  sendAll(new TeeWriter(connection.fd, after), connection, source);
  before.close();
  after.close();
});

const parentTest = {
  skip:
    addonSkipReason() ||
    (process.getuid?.() !== 0 && 'needs root, to run a child as a user of its own'),
  timeout: 60_000,
};

test('fs.pipe-user-pages-soft is used up', parentTest, (t) => {
  const probe = spawnSync(process.execPath, ['-e', ''], { uid: NOBODY, gid: NOBODY });
  if (probe.status !== 0) return t.skip('user nobody cannot run node here');
  const path = fileURLToPath(import.meta.url);
  const environment = { ...process.env, NODE_TEST_CONTEXT: undefined };
  const child = spawnSync(process.execPath, ['--test-reporter=tap', path], {
    uid: NOBODY,
    gid: NOBODY,
    env: environment,
    encoding: 'utf8',
    timeout: 50_000,
  });
  assert.match(child.stdout, /^ok 1 - a user without pipe memory: everything is copied$/m);
  assert.equal(child.status, 0, child.stdout + child.stderr);
});

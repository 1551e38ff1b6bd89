/**
 * `millrace sink` as a user runs it, with `millrace generate` at the other end.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { SinkSummary } from '../src/sink/index.ts';
import { runCli } from './support/run-cli.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const START_MS = 30_000;

interface Running {
  readonly port: number;
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

async function startSink(context: TestContext, ...words: string[]): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'sink', '0', ...words]);
  context.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (piece: Buffer) => {
    stdout += piece.toString();
  });
  const listening = new Promise<number>((resolve, reject) => {
    setTimeout(() => reject(new Error(`no port: ${stderr}`)), START_MS).unref();
    child.stderr.on('data', (piece: Buffer) => {
      stderr += piece.toString();
      const port = /listens on \S+ port (\d+)/.exec(stderr);
      if (port !== null) resolve(Number(port[1]));
    });
  });
  const ended = new Promise<Awaited<Running['ended']>>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { port: await listening, child, ended };
}

test('eight marked connections arrive whole, and SIGTERM ends with a summary', async (context) => {
  const sink = await startSink(context, '--verify', 'exact', '--marked', '--json');
  const words = ['--records', '4000', '--connections', '8', '--exporters', '4', '--mark', '--json'];
  const sent = await runCli(['generate', `127.0.0.1:${sink.port}`, ...words]);
  assert.equal(sent.code, 0, sent.stderr);
  sink.child.kill('SIGTERM');
  const { code, stdout, stderr } = await sink.ended;
  assert.equal(code, 0, stderr);
  const summary = JSON.parse(stdout) as SinkSummary;
  const totals = JSON.parse(sent.stdout.toString()) as { records: number; bytes: number };
  assert.equal(summary.records, totals.records);
  assert.equal(summary.bytes, totals.bytes);
  assert.deepEqual(summary.sequences, {
    strictness: 'exact',
    streams: 8,
    backwards: 0,
    gaps: 0,
    missing: 0,
    doubles: 0,
    restarts: 0,
  });
});

test('what --verify order does not count is not said to be none', async (context) => {
  const sink = await startSink(context, '--verify', 'order', '--stop-after', '100');
  await runCli(['generate', `127.0.0.1:${sink.port}`, '--records', '100', '--json']);
  const { code, stdout, stderr } = await sink.ended;
  assert.equal(code, 0, stderr);
  assert.match(stdout, /out of order 0, gaps and doubles not counted\n/);
});

test('the same stream twice is no exact one: exit code 1, and words', async (context) => {
  const sink = await startSink(context, '--verify', 'exact', '--marked', '--stop-after', '200');
  for (let i = 0; i < 2; i++) {
    const words = ['--records', '100', '--mark', '--json'];
    await runCli(['generate', `127.0.0.1:${sink.port}`, ...words]);
  }
  const { code, stdout, stderr } = await sink.ended;
  assert.equal(code, 1);
  assert.match(stdout, /^200 records/);
  assert.match(stderr, /MR_SINK_VERIFY: .*100 records twice/);
});

test('a port that is taken, a bad port and a bad rate are told', async (context) => {
  const sink = await startSink(context);
  const taken = await runCli(['sink', String(sink.port)]);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /MR_PORT_IN_USE/);
  const port = await runCli(['sink', '70000']);
  assert.equal(port.code, 2);
  assert.match(port.stderr, /at most 65535/);
  const rate = await runCli(['sink', '0', '--slow', 'lazy']);
  assert.equal(rate.code, 2);
  assert.match(rate.stderr, /64kB/);
});

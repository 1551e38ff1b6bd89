import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { runCli } from './support/run-cli.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const skip = addonSkipReason();

interface Running {
  readonly child: ChildProcess;
  readonly listen: string;
  readonly http: string;
  readonly data: string;
  /** Ends it with a signal; its exit code and all of its stdout. */
  end(signal: NodeJS.Signals): Promise<{ code: number | null; stdout: string }>;
}

/** `millrace serve` on free ports; resolves when it says where it listens. */
async function serve(t: { after(fn: () => void): void }, data: string): Promise<Running> {
  const parameters = ['serve', '--listen', '127.0.0.1:0', '--http', '127.0.0.1:0', '--data', data];
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout.on('data', (text: Buffer) => {
      stdout += text.toString();
      if (/^page /m.test(stdout)) resolve();
    });
    child.on('close', () => reject(new Error(`serve ended: ${stderr}`)));
  });
  await ready;
  return {
    child,
    data,
    listen: /exporters on (\S+)/.exec(stdout)![1]!,
    http: /^page http:\/\/(\S+)\/$/m.exec(stdout)![1]!,
    async end(signal) {
      const closed = once(child, 'close');
      child.kill(signal);
      await closed;
      return { code: child.exitCode, stdout };
    },
  };
}

test('serve, generate, status, SIGTERM: the ledgers close and agree', { skip }, async (t) => {
  const server = await serve(t, join(temporaryFolder(t), 'data'));
  const sent = await runCli(['generate', server.listen, '--records', '5000', '--json']);
  assert.equal(sent.code, 0, sent.stderr);
  const totals = JSON.parse(sent.stdout.toString());
  const status = await runCli(['status', '--http', server.http]);
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout.toString(), /intake ledger/);
  const { code, stdout } = await server.end('SIGTERM');
  assert.equal(code, 0);
  assert.match(stdout, /SIGTERM: draining/);
  assert.equal(stdout.match(/closes: nothing is unaccounted for/g)?.length, 2, stdout);
  const grouped = String(totals.bytes).replace(/\B(?=(?:\d{3})+$)/g, ',');
  assert.ok(stdout.includes(grouped), `${grouped} bytes in ${stdout}`);
  const verify = await runCli(['journal', 'verify', server.data, '--json']);
  assert.equal(verify.code, 0);
  assert.equal(JSON.parse(verify.stdout.toString()).records, 5000);
});

test('journal tools and dump read beside the running server', { skip }, async (t) => {
  const server = await serve(t, join(temporaryFolder(t), 'data'));
  await runCli(['generate', server.listen, '--records', '500', '--json']);
  const journal = join(server.data, 'journal');
  for (let attempt = 0; ; attempt++) {
    const { stdout } = await runCli(['dump', journal]);
    const count = stdout.toString().split('\n').length - 1;
    if (count === 500) break;
    assert.ok(attempt < 20, `${count} of 500 records`);
  }
  const verify = await runCli(['journal', 'verify', server.data]);
  assert.equal(verify.code, 0);
  assert.equal((await server.end('SIGINT')).code, 0);
});

test('a second server on the folder, a taken port and a wrong key say so', { skip }, async (t) => {
  const data = join(temporaryFolder(t), 'data');
  const server = await serve(t, data);
  const free = ['--listen', '127.0.0.1:0', '--http', 'off'];
  const second = await runCli(['serve', ...free, '--data', data]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /MR_DATA_LOCKED/);
  const other = join(temporaryFolder(t), 'other');
  const taken = await runCli([
    'serve',
    '--listen',
    server.listen,
    '--http',
    'off',
    '--data',
    other,
  ]);
  assert.equal(taken.code, 1);
  assert.match(taken.stderr, /MR_PORT_IN_USE/);
  assert.equal((await server.end('SIGTERM')).code, 0);
});

test('configuration errors end with 2 and name file and key', async (t) => {
  const folder = temporaryFolder(t);
  const path = join(folder, 'millrace.yaml');
  const cases: [string, RegExp][] = [
    ['jornal: {}\n', /MR_CONFIG_KEY.*jornal/],
    ['store: { flushMs: 1 }\n', /MR_CONFIG_KEY.*store\.flushMs/],
    ['listen: [nowhere]\n', /MR_ADDRESS/],
    ['store: [\n', /MR_CONFIG_FILE.*millrace\.yaml:\d+:\d+/],
  ];
  for (const [text, message] of cases) {
    writeFileSync(path, text);
    const { code, stderr } = await runCli(['serve', '-c', path, '--check']);
    assert.equal(code, 2, text);
    assert.match(stderr, message);
  }
  writeFileSync(path, 'store: { flushMs: 1000 }\n');
  const fine = await runCli(['serve', '-c', path, '--check']);
  assert.equal(fine.code, 0);
  const missing = await runCli(['serve', '-c', join(folder, 'none.yaml')]);
  assert.equal(missing.code, 2);
  const plan = await runCli(['serve', '-c', path, '--print-plan']);
  assert.match(plan.stdout.toString(), /collect 0[\s\S]*pages:/);
});

test('demo stops by itself, on the next free ports, with everything accounted for', {
  skip,
}, async (t) => {
  const data = join(temporaryFolder(t), 'demo');
  const blocker = createServer();
  await new Promise<void>((resolve) => {
    // Taken by another test or program is as good as taken by us.
    blocker.once('error', () => resolve());
    blocker.listen(33_000, '127.0.0.1', resolve);
  });
  t.after(() => blocker.close());
  const { code, stdout, stderr } = await runCli(['demo', '--seconds', '2', '--data', data]);
  assert.equal(code, 0, stderr);
  const text = stdout.toString();
  assert.match(text, /live page {2}http:\/\/127\.0\.0\.1:\d+\//);
  assert.doesNotMatch(text, /listening on 127\.0\.0\.1:33000,/);
  assert.match(text, /records\/s .* ledgers close/);
  assert.match(text, /top subscribers/);
  assert.match(text, /top services/);
  assert.equal(text.match(/closes: nothing is unaccounted for/g)?.length, 3);
  assert.match(text, /all of them arrived/);
  const [sent, forwarded] = [/SCE sent ([\d,]+) records/, /destination got ([\d,]+) of them/].map(
    (form) => form.exec(text)?.[1],
  );
  assert.ok(sent !== undefined && sent !== '0', text);
  assert.equal(forwarded, sent);
});

/**
 * Reload: SIGHUP and `millrace reload` to a server that runs, with files of every kind.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../src/server/config.ts';
import { makeConfig } from '../src/server/config.ts';
import { type ReloadStatus, startServer } from '../src/server/index.ts';
import { addonSkipReason } from '../src/toolkit/sys/load.ts';
import { temporaryFolder } from './support/journal-files.ts';
import { runCli } from './support/run-cli.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));
const needsAddon = { skip: addonSkipReason(), timeout: 120_000 };

/** A port that nobody answers: what is sent there is not what these tests are about. */
const NOWHERE = { host: '127.0.0.1', port: 9 };
const to = (name: string, more: object = {}) => ({ name, ...NOWHERE, ...more });

const RESENT = 'forward: 1 reopened (a: filter resend lingerMs)';

function keysOf(data: string, forward: ConfigInput['forward'] = {}, more: ConfigInput = {}) {
  return { listen: ['127.0.0.1:0'], http: null, data, ...more, forward };
}

async function server(t: { after(fn: () => Promise<unknown>): void }, input: ConfigInput) {
  const running = await startServer(makeConfig(input));
  t.after(() => running.drain());
  return running;
}

test('destinations come, change and go in a server that runs', needsAddon, async (t) => {
  const data = join(temporaryFolder(t as never), 'data');
  const running = await server(t, keysOf(data));
  const reload = async (...destinations: ReturnType<typeof to>[]): Promise<string> => {
    const outcome = await running.reload(keysOf(data, { destinations }));
    assert.ok(outcome.ok, outcome.text);
    assert.equal(running.snapshot().reload.text, outcome.text);
    return outcome.text;
  };
  assert.equal(running.snapshot().reload.count, 0);
  assert.equal(await reload(), 'forward: nothing has changed');
  assert.equal(await reload(to('a')), 'forward: 1 new (a)');
  assert.equal(await reload(to('a'), to('b')), 'forward: 1 new (b), 1 untouched (a)');
  assert.equal(
    await reload(to('a', { lingerMs: 7, filter: 'tag = 1' })),
    'forward: 1 changed (a: filter lingerMs), 1 removed (b)',
  );
  assert.equal(running.config.forward.destinations[0]!.lingerMs, 7);
  assert.equal(await reload(to('a', { resend: 'none' })), RESENT);
  assert.equal(await reload(), 'forward: 1 removed (a)');
  assert.equal(running.snapshot().reload.count, 6);
});

test('what is wrong changes nothing, and says what it is', needsAddon, async (t) => {
  const data = join(temporaryFolder(t as never), 'data');
  const running = await server(t, keysOf(data, { destinations: [to('a')] }));
  const port = Number(running.ports.listen[0]!.split(':')[1]);
  const cases: [unknown, RegExp][] = [
    [keysOf(data, { destinations: [to('a'), to('a')] }), /^MR_CONFIG_KEY: .*is also/],
    [keysOf(data, { destinations: [to('a', { filter: 'x' })] }), /^MR_FILTER: /],
    [keysOf(data, { destinations: [to('a', { port })] }), /^MR_FORWARD_LOOP: /],
    [{ ...keysOf(data), jornal: {} }, /^MR_CONFIG_KEY: .*jornal/],
    [[], /^MR_CONFIG_KEY: /],
  ];
  for (const [input, pattern] of cases) {
    const outcome = await running.reload(input);
    assert.equal(outcome.ok, false);
    assert.match(outcome.text, pattern);
    assert.equal(running.config.forward.destinations.length, 1);
  }
  const { ok, text } = await running.reload(keysOf(data, { destinations: [to('a'), to('b')] }));
  assert.deepEqual([ok, text], [true, 'forward: 1 new (b), 1 untouched (a)']);
});

test('keys that need a restart are named; forward is reloaded', needsAddon, async (t) => {
  const data = join(temporaryFolder(t as never), 'data');
  const running = await server(t, keysOf(data));
  const more = { collect: { lingerMs: 33 }, sink: 'null' as const };
  const outcome = await running.reload(keysOf(data, { destinations: [to('a')] }, more));
  assert.equal(
    outcome.text,
    'forward: 1 new (a); not applied, as it needs a restart: sink, collect.lingerMs',
  );
  assert.ok(outcome.ok);
  assert.equal(running.config.collect.lingerMs, 20);
});

interface Serving {
  readonly file: string;
  readonly data: string;
  readonly pid: number;
  readonly write: (forward: ConfigInput['forward'] | string) => void;
  readonly outcome: () => ReloadStatus;
}

/** `millrace serve -c FILE`, or without a file. */
async function serve(t: { after(fn: () => void): void }, hasFile = true): Promise<Serving> {
  const folder = temporaryFolder(t);
  const file = join(folder, 'millrace.yaml');
  const data = join(folder, 'data');
  const write: Serving['write'] = (forward) =>
    writeFileSync(
      file,
      typeof forward === 'string' ? forward : JSON.stringify({ http: null, forward }),
    );
  write({ destinations: [to('a')] });
  const more = hasFile ? ['-c', file] : ['--http', 'off'];
  const parameters = ['serve', '--listen', '127.0.0.1:0', '--data', data, ...more];
  const child = spawn(process.execPath, [MAIN, ...parameters], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => child.kill('SIGKILL'));
  let stdout = '';
  for (;;) {
    const [piece] = (await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'close').then(() => ['']),
    ])) as [Buffer | string];
    stdout += piece.toString();
    if (/^listening/m.test(stdout)) break;
    assert.notEqual(piece, '', `serve ended: ${stdout}`);
  }
  const outcome = (): ReloadStatus =>
    JSON.parse(readFileSync(join(data, 'reload.json'), 'utf8')) as ReloadStatus;
  return { file, data, pid: child.pid!, write, outcome };
}

test('millrace reload prints what became of it', needsAddon, async (t) => {
  const { data, file, write, outcome } = await serve(t);
  const reload = () => runCli(['reload', '--data', data]);
  const unchanged = await reload();
  assert.deepEqual(
    [unchanged.code, unchanged.stdout.toString()],
    [0, 'forward: nothing has changed\n'],
    unchanged.stderr,
  );
  write({ destinations: [to('a'), to('b')] });
  const changed = await reload();
  // The options of the command line go before the file: listen and data do not differ.
  assert.equal(changed.stdout.toString(), 'forward: 1 new (b), 1 untouched (a)\n');
  write({ destinations: [to('a', { port: 0 })] });
  const wrong = await reload();
  assert.equal(wrong.code, 1);
  assert.match(wrong.stderr, /MR_RELOAD: MR_CONFIG_KEY: .*destinations\[a\]\.port/);
  assert.ok(wrong.stderr.includes(file));
  write('forward: [');
  assert.match((await reload()).stderr, /MR_RELOAD: MR_CONFIG_FILE: .*millrace\.yaml:1:/);
  assert.deepEqual([outcome().count, outcome().ok], [4, false]);
});

test('millrace reload says when there is nobody to tell', needsAddon, async (t) => {
  const nobody = await runCli(['reload', '--data', join(temporaryFolder(t), 'data')]);
  assert.equal(nobody.code, 1);
  assert.match(nobody.stderr, /MR_RELOAD: no server runs on/);
  // SIGHUP would end it: it must not be sent.
  const withoutFile = await serve(t, false);
  const refused = await runCli(['reload', '--data', withoutFile.data]);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /MR_RELOAD: .*no configuration file/);
  assert.ok(process.kill(withoutFile.pid, 0));
  // What a killed server leaves in the file of the lock is no server; nor is a foreign process.
  for (const pid of [process.pid, withoutFile.pid]) {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'lock'), `${pid} SIGHUP\n`);
    const dead = await runCli(['reload', '--data', folder]);
    assert.match(dead.stderr, /MR_RELOAD: no server runs on/);
  }
});

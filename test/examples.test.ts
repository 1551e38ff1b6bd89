import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';

const needsAddon = { skip: addonSkipReason() };
const needsGuard = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard is x86-64 only',
};
const EXAMPLES = join(import.meta.dirname, '../examples');
const TIMEOUT_MS = 60_000;

/** Runs an example that ends by itself; what it printed. */
async function runExample(name: string, ...parameters: string[]): Promise<string> {
  const child = spawn(process.execPath, [join(EXAMPLES, name), ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  const [out, err, end] = await Promise.all([
    readText(child.stdout),
    readText(child.stderr),
    new Promise<string>((resolve) => {
      child.once('close', (code, signal) => {
        resolve(`${code ?? signal}`);
      });
    }),
  ]);
  assert.equal(end, '0', `${name} ended with ${end}: ${out}${err}`);
  return out;
}

async function readText(stream: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk;
  return text;
}

test('examples/static-to-many: tee copies nothing, all clients get all', needsAddon, async () => {
  const out = await runExample('static-to-many.js');
  assert.match(out, /^tee: 8 of 8 clients got all of \d+ bytes,\n {2}0 bytes were copied/);
  assert.match(out, /^copy: 8 of 8 clients/m);
});

test('examples/file-server: all clients get the file', needsAddon, async () => {
  const out = await runExample('file-server.js');
  assert.match(out, /^16 of 16 clients got all of \d+ bytes,\n {2}by \d+ calls of sendfile/);
});

test('examples/record-stream: pages filled again arrive as they were', needsAddon, async () => {
  const out = await runExample('record-stream.js');
  assert.match(out, /^4 of 4 clients got what was stamped$/m);
});

test('examples/forward: one sink gets all, one what its filter chooses', needsAddon, async () => {
  const out = await runExample('forward.js');
  assert.match(out, /^all: 20000 records = 20000 delivered \+ 0 filtered, by sendfile$/m);
  const web = /^web: 20000 records = (\d+) delivered \+ \d+ filtered, by copy$/m.exec(out)?.[1];
  assert.ok(Number(web) > 0, out);
  assert.match(out, /^a sink got 20000 records; nothing is wrong$/m);
  assert.match(out, new RegExp(`^a sink got ${web} records; nothing is wrong$`, 'm'));
});

test('examples/pinned-pair: each worker on its CPU, every item once', needsAddon, async () => {
  const out = await runExample('pinned-pair.js');
  assert.match(out, /^(?:writer on CPU \d+, reader on CPU \d+|not pinned: .*)$/m);
  assert.match(out, /^2000000 items came once each/m);
});

test('examples/ring-pair: two workers, every item in order', async () => {
  const out = await runExample('ring-pair.js');
  assert.match(out, /^1000000 items came in order/);
});

test('examples/ring-pool: every task once', async () => {
  const out = await runExample('ring-pool.js');
  assert.match(out, /^17984 primes below 200000: 400 tasks, 3 workers;$/m);
});

test('examples/ring-broadcast: a slow reader is evicted, learns it and is back', async () => {
  const out = await runExample('ring-broadcast.js');
  assert.match(out, /^quick: read \d+, missed \d+ of 20000 items$/m);
  assert.match(out, /^slow: read \d+, missed \d+ of 20000 items\n(?: {2}evicted at .*\n)+/m);
});

test('examples/guard-table: who wrote into the other part', needsAddon, async () => {
  const out = await runExample('guard-table.js');
  assert.match(
    out,
    /^part 0 was written 1 times by worker 1 in countRow \(guard-table\.js:\d+\)$/m,
  );
});

test('examples/guard-hunt: the symptom, and the line that made it', needsGuard, async () => {
  assert.match(await runExample('guard-hunt.js'), /^tariff 7362 is 0, not 0\.5\n/m);
  const out = await runExample('guard-hunt.js', '--guard');
  assert.match(out, /^written by charge \(.*\/examples\/guard-hunt\.js:\d+\)$/m);
});

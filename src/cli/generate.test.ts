import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { namedMix, RecordStream, type SendResult, SubscriberPool } from '../simulator/index.ts';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function start(...parameters: string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, 'generate', ...parameters], { stdio: 'pipe' });
}

async function outcome(child: ChildProcess): Promise<Outcome> {
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (data: Buffer) => stdout.push(data));
  child.stderr?.on('data', (data: Buffer) => stderr.push(data));
  await once(child, 'close');
  return {
    code: child.exitCode,
    stdout: Buffer.concat(stdout),
    stderr: Buffer.concat(stderr).toString(),
  };
}

function generate(...parameters: string[]): Promise<Outcome> {
  return outcome(start(...parameters));
}

function expectedHash(records: number, malformedRatio = 0): string {
  const stream = new RecordStream({
    seed: 5,
    mix: namedMix('all'),
    subscribers: new SubscriberPool(10_000),
    malformedRatio,
  });
  const buffer = new Uint8Array(1 << 20);
  const hash = createHash('sha256');
  while (stream.totals.records < records) {
    const length = stream.fill(buffer, 0, buffer.length, records - stream.totals.records);
    hash.update(buffer.subarray(0, length));
  }
  return hash.digest('hex');
}

test('--out writes the bytes of the seed into a file, and tells their totals', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-generate-'));
  try {
    const path = join(folder, 'a.rdr');
    const common = ['--records', '2e3', '--seed', '5', '--mix', 'all', '--json'];
    const { code, stdout } = await generate('--out', path, ...common);
    assert.equal(code, 0);
    const result = JSON.parse(stdout.toString()) as SendResult;
    const bytes = readFileSync(path);
    assert.equal(result.records, 2000);
    assert.equal(result.bytes, bytes.length);
    assert.equal(result.connections[0]!.sha256, expectedHash(2000));
    assert.equal(createHash('sha256').update(bytes).digest('hex'), expectedHash(2000));

    const piped = await generate('--out', '-', ...common);
    assert.ok(piped.stdout.equals(bytes));
    assert.equal((JSON.parse(piped.stderr) as SendResult).records, 2000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('Ctrl-C ends every connection behind a whole record, with exit code 0', async () => {
  let received = 0;
  let ended = 0;
  const server = createServer((socket) => {
    socket.on('data', (data: Buffer) => {
      received += data.length;
    });
    socket.on('end', () => {
      ended++;
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const { port } = server.address() as AddressInfo;
    const child = start(`127.0.0.1:${port}`, '--connections', '2', '--exporters', '2', '--json');
    const finished = outcome(child);
    while (received < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill('SIGINT');
    const { code, stdout } = await finished;
    assert.equal(code, 0);
    const result = JSON.parse(stdout.toString()) as SendResult;
    assert.equal(result.complete, false);
    assert.equal(result.bytes, received);
    assert.equal(ended, 2);
    assert.deepEqual(
      result.connections.map((connection) => connection.localAddress),
      ['127.0.0.2', '127.0.0.3'],
    );
  } finally {
    server.close();
  }
});

test('a mix can be a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-generate-'));
  try {
    const mix = join(folder, 'mine.json');
    writeFileSync(mix, '{"weights":{"dhcp":1},"periodic":{}}');
    const good = await generate('--out', join(folder, 'a'), '--records', '10', '--mix', mix);
    assert.equal(good.code, 0);
    assert.deepEqual((JSON.parse(good.stdout.toString()) as SendResult).tables, { dhcp: 10 });
    writeFileSync(mix, '{"weights":{"dhpc":1}}');
    const bad = await generate('--out', join(folder, 'a'), '--records', '10', '--mix', mix);
    assert.equal(bad.code, 2);
    assert.match(bad.stderr, /MR_CONFIG_KEY: .*weights\.dhpc/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('wrong usage has a code and exit code 2, a missing server exit code 1', async () => {
  const cases: readonly [string[], number, RegExp][] = [
    [[], 2, /MR_USAGE: .*HOST:PORT or --out/],
    [['127.0.0.1'], 2, /MR_ADDRESS/],
    [['127.0.0.1:1', '--start', 'soon'], 2, /MR_USAGE: .*soon/],
    [['127.0.0.1:1', '--malformed', '1.5'], 2, /MR_USAGE: .*1\.5/],
    [['127.0.0.1:1', '--mix', 'nothing'], 2, /MR_USAGE: .*nothing/],
    [['127.0.0.1:1', '--mix', 'nothing.json'], 2, /MR_CONFIG_FILE/],
    [['127.0.0.1:1', '--chunk', 'fixed'], 2, /MR_USAGE: .*fixed/],
    [['127.0.0.1:1', '--exporters', '251'], 2, /MR_USAGE: .*251/],
    [['127.0.0.1:1', '--records', 'many'], 2, /MR_USAGE: /],
    [['127.0.0.1:1', '--seed', '4294967296'], 2, /MR_USAGE: .*seed/],
    [['--out', '/dev/full', '--records', '10000'], 1, /MR_OUTPUT: .*\/dev\/full/],
    [['--out', 'x'], 2, /MR_USAGE: .*end/],
    [['--out', 'x', '--records', '1', '--connections', '2'], 2, /MR_USAGE: .*one connection/],
    [['127.0.0.1:1', '--records', '1'], 1, /MR_CONNECT: .*127\.0\.0\.1:1/],
  ];
  for (const [parameters, code, pattern] of cases) {
    const found = await generate(...parameters);
    assert.match(found.stderr, pattern, parameters.join(' '));
    assert.equal(found.code, code, parameters.join(' '));
    assert.equal(found.stdout.length, 0);
  }
});

test('the help names every mix and has examples', async () => {
  const { code, stdout } = await generate('--help');
  assert.equal(code, 0);
  assert.match(stdout.toString(), /Examples:/);
  for (const name of ['default', 'tur', 'all', 'events', 'periodic']) {
    assert.match(stdout.toString(), new RegExp(`^ {2}${name} `, 'm'));
  }
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import {
  describePair,
  runPair,
  startNettest,
  startRecv,
  startUntil,
} from './support/nettest-rig.ts';
import { checkWay, WAYS } from './support/nettest-ways.ts';
import { runCli } from './support/run-cli.ts';

const skip = addonSkipReason();
const TIMES = /^usr=\d+, sys=\d+, real=\d+$/;

/** Every line equals its pattern, and there are no others. */
function assertLines(text: string, patterns: readonly (string | RegExp)[]): void {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '');
  assert.equal(lines.length, patterns.length, text);
  patterns.forEach((pattern, index) => {
    if (typeof pattern === 'string') assert.equal(lines[index], pattern);
    else assert.match(lines[index]!, pattern);
  });
}

test("the article's lines: xmit -s65536 -p200, recv -s65536 -r", { skip }, async () => {
  const receiver = await startRecv(['-s65536', '-r']);
  const xmit = await startNettest(['xmit', '-s65536', '-p200', String(receiver.port)]).done;
  const recv = await receiver.done;
  assert.deepEqual([xmit.code, recv.code], [0, 0], xmit.stderr + recv.stderr);
  assertLines(xmit.stdout.toString(), [
    'opt packets=200',
    `use port ${receiver.port}`,
    'xmit: msg=64kb, packets=200 vmsplice() -> splice()',
    `Connecting to 127.0.0.1/${receiver.port}`,
    TIMES,
  ]);
  assertLines(recv.stdout.toString(), ['recv: msg=64kb, recv()', TIMES]);
  assertLines(recv.stderr, [/^recv: listens on port/, 'Waiting for connect...', 'Got connect!']);
  assert.match(xmit.stderr, /^xmit: \w+.*: \S/, 'it says how it sends, and why');
});

test("the article's lines with -n; recv without -r", { skip }, async () => {
  const { xmit, recv, port } = await runPair(['-s', '65536'], ['-s', '65536', '-p', '200', '-n']);
  assert.deepEqual([xmit.code, recv.code], [0, 0], xmit.stderr + recv.stderr);
  assertLines(xmit.stdout.toString(), [
    'opt packets=200',
    'use normal io',
    `use port ${port}`,
    'xmit: msg=64kb, packets=200 send()',
    `Connecting to 127.0.0.1/${port}`,
    TIMES,
  ]);
  assertLines(recv.stdout.toString(), ['recv: msg=64kb, splice() addr map', TIMES]);
});

Object.entries(WAYS).forEach(([name, words], index) => {
  // Both ways of receiving with every option: test/stress/nettest-grid.test.ts.
  const [bytes, way] = index % 2 === 0 ? [65_536, ['-r']] : [100_003, []];
  test(`xmit ${name}, ${bytes} bytes; recv ${way.join('')}`, { skip }, async () => {
    await checkWay(words, way, bytes, 60);
  });
});

test('one MiB a message, in both ways of receiving', { skip }, async () => {
  for (const way of [['-r'], []]) {
    const pair = await runPair(
      ['-s1048576', ...way],
      ['-s1048576', '-p20', '--mechanism', 'splice'],
    );
    assert.deepEqual([pair.xmit.code, pair.recv.code], [0, 0], describePair(pair));
  }
});

test('IPv6', { skip }, async (context) => {
  const pair = await runPair(['-r'], ['-p10'], '::1').catch((error: Error) => error);
  if (pair instanceof Error) {
    context.skip('no IPv6 here');
    return;
  }
  assert.deepEqual([pair.xmit.code, pair.recv.code], [0, 0], describePair(pair));
  assert.match(pair.xmit.stdout.toString(), /^Connecting to ::1\/\d+$/m);
});

test('UNIX sockets: a path that is removed afterwards', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-nettest-'));
  try {
    const where = `unix:${join(folder, 'socket')}`;
    for (const words of [['-n'], ['--mechanism', 'splice']]) {
      const receiver = await startUntil(['recv', '-s70000', '--stamp', where], 'Waiting');
      const xmit = await startNettest(['xmit', '-s70000', '-p40', '--stamp', ...words, where]).done;
      const recv = await receiver.done;
      assert.deepEqual([xmit.code, recv.code], [0, 0], xmit.stderr + recv.stderr);
      assert.match(xmit.stdout.toString(), new RegExp(`^Connecting to ${where}$`, 'm'));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('--reader slow and paused get every message', { skip }, async () => {
  for (const reader of ['slow', 'paused']) {
    const pair = await runPair(
      ['-s65536', '-r', '--stamp', '--reader', reader, '--json'],
      ['-s65536', '-p20', '--stamp'],
    );
    assert.deepEqual([pair.xmit.code, pair.recv.code], [0, 0], describePair(pair));
    const totals = JSON.parse(pair.recv.stdout.toString()) as Record<string, number>;
    assert.equal(totals.messages, 20);
  }
});

test("the old program's ring is caught by a paused reader, its pages are named", {
  skip,
}, async () => {
  const pair = await runPair(
    [
      '-s65536',
      '-r',
      '--stamp',
      '--reader',
      'paused',
      '--receive-buffer',
      '4194304',
      '--keep-going',
    ],
    ['-s65536', '-p300', '--stamp', '--mechanism', 'splice', '--reclaim', 'doubleBuffer'],
  );
  assert.match(pair.xmit.stderr, /^xmit: UNSAFE: splice, doubleBuffer: /m);
  assert.equal(pair.recv.code, 1, describePair(pair));
  assert.match(pair.recv.stderr, /MR_NETTEST_CORRUPT: \d+ of 300 messages were corrupt/);
  assert.match(pair.recv.stderr, /carries connection 0, message \d+, generation \d+; wanted/);
});

test('SIGINT ends behind a whole message, with the totals', { skip }, async () => {
  const receiver = await startRecv(['-s65536', '-r']);
  const sender = await startUntil(['xmit', '-s65536', '--json', String(receiver.port)], 'xmit: ');
  await sleep(200);
  sender.child.kill('SIGINT');
  const xmit = await sender.done;
  const recv = await receiver.done;
  assert.deepEqual([xmit.code, recv.code], [0, 0], xmit.stderr + recv.stderr);
  const totals = JSON.parse(xmit.stdout.toString()) as Record<string, unknown>;
  assert.equal(totals.stoppedBy, 'signal');
  assert.equal(totals.cut, 0);
});

test('SIGTERM ends xmit although the receiver takes nothing', { skip }, async () => {
  const receiver = await startRecv(['-s65536', '-r', '--reader', 'paused']);
  const words = ['xmit', '-s16777216', '--pool', '32', String(receiver.port)];
  const sender = await startUntil(words, 'xmit: ');
  sender.child.kill('SIGTERM');
  const xmit = await sender.done;
  assert.match(xmit.stdout.toString(), /usr=\d+/);
  receiver.child.kill('SIGINT');
  await receiver.done;
});

test('--seconds ends both sides', { skip }, async () => {
  const pair = await runPair(['-s4096', '-r'], ['-s4096', '--seconds', '0.5', '--json']);
  assert.deepEqual([pair.xmit.code, pair.recv.code], [0, 0], describePair(pair));
  const totals = JSON.parse(pair.xmit.stdout.toString()) as Record<string, unknown>;
  assert.equal(totals.stoppedBy, 'seconds');
});

test('a receiver that goes away: the end without -p, an error with it', { skip }, async () => {
  for (const [words, code] of [
    [[], 0],
    [['-p1000000'], 1],
  ] as const) {
    const pair = await runPair(['-r', '--seconds', '0.3'], words);
    assert.equal(pair.xmit.code, code, describePair(pair));
    assert.match(pair.xmit.stdout.toString(), /^usr=/m);
    if (code === 1) assert.match(pair.xmit.stderr, /MR_CONNECT: the connection was lost after/);
  }
});

const BAD: readonly (readonly [string, readonly string[], number, RegExp])[] = [
  ['an unknown option', ['xmit', '-x', '5500'], 2, /MR_USAGE: unknown option '-x'/],
  ['no port', ['xmit'], 2, /MR_USAGE: missing/],
  ['a port out of range', ['xmit', '70000'], 2, /MR_USAGE: "70000" is no port\n {2}\S/],
  ['a port out of range, recv', ['recv', '70000'], 2, /MR_USAGE: "70000" is no port\n {2}\S/],
  ['size 0', ['xmit', '-s0', '5500'], 2, /MR_USAGE: -s 0: .*\n {2}\S/],
  ['size 0, recv', ['recv', '-s', '0', '5500'], 2, /MR_USAGE: -s 0: .*\n {2}\S/],
  ['no size', ['xmit', '-sx', '5500'], 2, /MR_USAGE: .*whole number/],
  ['above the pool', ['xmit', '-s2000000', '--pool', '1', '5500'], 2, /MR_USAGE: .*above the pool/],
  [
    'no mechanism',
    ['xmit', '--mechanism', 'x', '5500'],
    2,
    /MR_USAGE: "x" is no mechanism\n {2}\S/,
  ],
  [
    'no policy',
    ['xmit', '--reclaim', 'x', '5500'],
    2,
    /MR_USAGE: "x" is no reclaim policy\n {2}\S/,
  ],
  ['-n and another mechanism', ['xmit', '-n', '--mechanism', 'tee', '1'], 2, /MR_USAGE: -n is/],
  ['no reader', ['recv', '--reader', 'x', '5500'], 2, /MR_USAGE: .*fast, slow, paused/],
  ['no CPU', ['xmit', '--pin', '9999', '5500'], 2, /MR_USAGE: there is no CPU 9999.*\n {2}\S/],
  [
    'no congestion control',
    ['xmit', '--congestion', 'x', '1'],
    2,
    /MR_USAGE: .*"x" is not.*\n {2}\S/,
  ],
  ['no listener', ['xmit', '-p1', '1'], 1, /MR_CONNECT: no connection to 127.0.0.1\/1: .*\n {2}\S/],
  ['no host', ['xmit', 'no host.invalid', '1'], 1, /MR_ADDRESS: the host/],
];

for (const [what, words, code, pattern] of BAD) {
  test(`refused: ${what}`, { skip }, async () => {
    const result = await runCli(['nettest', ...words]);
    assert.match(result.stderr, pattern);
    assert.ok(result.code === code || (what === 'no host' && result.code === 2));
    assert.equal(result.stderr.match(/MR_/g)?.length, 1, 'one error');
  });
}

test('a port that is taken', { skip }, async () => {
  const receiver = await startRecv(['-r']);
  const second = await runCli(['nettest', 'recv', '127.0.0.1', String(receiver.port)]);
  assert.equal(second.code, 1);
  assert.match(second.stderr, /MR_PORT_IN_USE: 127\.0\.0\.1\/\d+ is in use\n {2}\S/);
  receiver.child.kill('SIGINT');
  assert.equal((await receiver.done).code, 0);
});

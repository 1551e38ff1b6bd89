import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';

const needsAddon = { skip: addonSkipReason() };
const MAIN = fileURLToPath(new URL('../src/cli/main.js', import.meta.url));

function probe(...words: string[]): { status: number | null; out: string; err: string } {
  const run = spawnSync(process.execPath, [MAIN, 'nettest', 'probe', ...words], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  return { status: run.status, out: run.stdout, err: run.stderr };
}

test('nettest probe prints what the kernel does, and the choices', needsAddon, () => {
  const { status, out } = probe();
  assert.equal(status, 0);
  assert.match(out, /^Linux \d/);
  assert.match(out, /^vmsplice +(?:yes|no) +\S/m);
  assert.match(out, /^tcp +local +pages +copy +-/m);
  assert.match(out, /^udp +local +pages +copy +-/m);
});

test('nettest probe HOST --why tells the way there and every candidate', needsAddon, () => {
  const { status, out } = probe('127.0.0.1', '--why');
  assert.equal(status, 0);
  assert.match(out, /^127\.0\.0\.1 is local: /m);
  assert.match(out, /doubleBuffer +unsafe/);
  assert.ok(!out.includes('remote'));
});

test('nettest probe --json is one object', needsAddon, () => {
  const { status, out } = probe('--json', '::1');
  assert.equal(status, 0);
  const report = JSON.parse(out) as { probe: object; route: { place: string }; choices: object[] };
  assert.equal(report.route.place, 'local');
  assert.ok('msgZerocopy' in report.probe);
  assert.ok(report.choices.length > 3);
});

test('nettest probe with a host that is unknown, or two', needsAddon, () => {
  const unknown = probe('no-such-host.invalid');
  assert.equal(unknown.status, 2);
  assert.match(unknown.err, /MR_ADDRESS/);
  assert.equal(probe('127.0.0.1', '::1').status, 2);
});

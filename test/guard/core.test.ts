/**
 * The core from C: regions, chains of handlers, threads that fault at once, handlers in trouble.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PARTS, programOf, REGION_SCENARIOS, run } from '../support/core-programs.ts';

const regions = programOf('core-regions');
const chain = programOf('core-chain');
const faults = programOf('core-faults', { core: PARTS });
/** The same with the true stack walk, single step and report. */
const real = programOf('core-faults', { flags: ['-O1', '-DREAL'] });
const skip = regions === null || chain === null || faults === null ? 'no C compiler' : false;

for (const scenario of REGION_SCENARIOS) {
  test(`regions: ${scenario}`, { skip }, () => {
    const { stdout, status, stderr } = run(regions!, scenario);
    assert.equal(stdout, 'right\n', stderr);
    assert.equal(status, 0);
  });
}

const OLDER = ['older: address', 'older: context'];
const SIGNALS_HELD = [
  'older: SIGSEGV blocked',
  'older: SIGUSR2 blocked',
  'older: SIGUSR1 open',
  'went on',
];
const CHAIN_SCENARIOS: readonly (readonly [string, readonly string[], number | string])[] = [
  ['info', [...OLDER, ...SIGNALS_HELD], 0],
  ['nodefer', [...OLDER, 'older: SIGSEGV open', ...SIGNALS_HELD.slice(1)], 0],
  ['plain', ['plain older', 'went on'], 0],
  ['reset', ['plain older', 'went on'], 'SIGSEGV'],
  ['default', [], 'SIGSEGV'],
  ['ignore', ['went on'], 'SIGSEGV'],
  ['sent', [], 'SIGSEGV'],
  ['jump', ['jumped 1000 times'], 5],
  ['trap', [], 'SIGTRAP'],
  ['bus', [], 'SIGBUS'],
  ['overflow', ['older: on another stack'], 3],
  ['overflow-plain', [], 'SIGSEGV'],
];
for (const [scenario, lines, end] of CHAIN_SCENARIOS) {
  test(`a fault that is none of ours: ${scenario}`, { skip }, () => {
    const { stdout, status, signal, stderr } = run(chain!, scenario);
    assert.deepEqual(stdout.split('\n').slice(0, -1), lines, stderr);
    assert.equal(signal ?? status, end);
  });
}

for (const scenario of ['opened', 'ended']) {
  test(`a fault whose page was ${scenario} meanwhile is no fault`, { skip }, () => {
    const { stdout, stderr, status } = run(chain!, scenario);
    assert.equal(stdout, 'written\n', stderr);
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });
}

test('a handler that comes above ours is chained to, once a fault', { skip }, () => {
  const { stdout, stderr, signal } = run(chain!, 'above');
  const once = ['above', ...OLDER, ...SIGNALS_HELD];
  const lines = stdout.split('\n').slice(0, -1);
  const wanted = [...once, ...once, 'ours on top', ...once];
  assert.deepEqual(lines.slice(0, wanted.length), wanted);
  // Dying of a reported write is the turn of all others, once.
  assert.equal(lines.filter((line) => line === 'above').length, 4);
  assert.match(stderr, /^segmentation fault at 0x[0-9a-f]+: with_above .*wrote/m);
  assert.equal(stderr.match(/^segmentation fault/gm)?.length, 1);
  assert.equal(signal, 'SIGSEGV');
});

test('a write into a protected page: one report, and SIGSEGV', { skip }, () => {
  const { stderr, signal } = run(faults!, 'report');
  assert.equal(stderr, 'report 1: data + 28675, dies\n');
  assert.equal(signal, 'SIGSEGV');
});

test('four threads fault at once: whole reports, one death', { skip }, () => {
  for (let round = 0; round < 10; round += 1) {
    const { stderr, signal } = run(faults!, 'at-once');
    // The first one's death may come between the two pieces of the next one's report.
    assert.match(stderr, /^(report \d: data \+ \d+, dies\n)+(report \d:)?$/);
    assert.equal(signal, 'SIGSEGV');
  }
});

test('a handler that faults says where it was, and dies', { skip }, () => {
  const { stderr, signal } = run(faults!, 'nested');
  assert.match(stderr, /^millrace guard: a fault inside of the handler; thread \d+, while walking/);
  assert.match(stderr, /of the fault at 0x[0-9a-f]+ \(pc 0x[0-9a-f]+\) in data\n$/);
  assert.equal(signal, 'SIGSEGV');
});

test('a handler that hangs is ended by the watchdog', { skip }, () => {
  const { stderr, signal } = run(faults!, 'hang', { MILLRACE_GUARD_WATCHDOG_MS: '200' });
  assert.match(stderr, /^millrace guard: the handler hangs; thread \d+, while walking the stack/);
  assert.equal(signal, 'SIGSEGV');
});

test('storms of protect and unprotect lose no write, and forget no page', { skip }, () => {
  const { stdout, stderr } = run(faults!, 'storm');
  assert.match(stdout, /^right: \d+ adds/, stderr);
});

for (const scenario of ['come-and-go', 'fork', 'slots', 'rounds']) {
  test(`threads: ${scenario}`, { skip }, () => {
    const { stdout, stderr } = run(faults!, scenario);
    assert.match(stdout, /^right/, stderr);
  });
}

test('storms with writers that are stepped over lose no write either', { skip }, () => {
  const { stdout, stderr } = run(real!, 'storm');
  assert.match(stdout, /^right: \d+ adds/, stderr);
  assert.match(run(real!, 'come-and-go').stdout, /^right/);
});

test('no byte below a small alternate stack of somebody else is touched', { skip }, () => {
  const { stdout, stderr } = run(real!, 'small-stack');
  assert.equal(stdout, 'right\n', stderr);
  assert.equal(stderr.match(/^segmentation fault at/gm)?.length, 2); // two places, once each
});

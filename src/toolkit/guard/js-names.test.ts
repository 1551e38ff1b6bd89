import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInThisContext } from 'node:vm';
import { addonSkipReason } from '../sys/load.ts';
import { checkNames, exactStackFlags, UNKNOWN_NAMES } from './js-names.ts';
import { guardNative, loadGuard } from './native.ts';
import { exactStacks, guardStatus } from './status.ts';

const skip = addonSkipReason() ?? (process.arch === 'x64' ? false : 'x86-64 only');
const ALL = { interpreted: true, baseline: true, optimised: true, inlined: true };

test('a known function has its own name and line, however it runs', { skip }, () => {
  assert.deepEqual(guardStatus().names, { v8: process.versions.v8, source: 'v8', exact: ALL });
});

test('a wrong belief about V8 is noticed, and the right one found', { skip }, () => {
  const native = guardNative();
  for (const wrong of [1, 255]) {
    native.tryV8(wrong);
    assert.equal(checkNames(native), true);
    const [known] = native.captureStack(0);
    assert.match(known?.[1] ?? '', /js-names\.test\.js$/);
  }
});

test('where no belief fits, there are no names', { skip }, () => {
  const native = { ...loadGuard(), captureStack: () => [['known', 'other.js', 3, 35, 2, 1]] };
  assert.equal(checkNames(native as never), false);
  assert.deepEqual(guardNative().captureStack(0), []);
  assert.equal(checkNames(guardNative()), true);
});

test('exactStacks() takes away only what is not exact', { skip }, () => {
  const { names, flags } = exactStacks();
  const isOld = process.versions.v8.startsWith('11.');
  assert.deepEqual(
    { exact: names.exact, flags },
    {
      exact: ALL,
      flags: isOld ? [] : ['--no-maglev-osr'],
    },
  );
});

test('flags keep functions from what is not exact, and V8 knows them', () => {
  const flagsFor = (exact: Partial<typeof ALL>) =>
    exactStackFlags({ v8: '11.3', source: 'v8', exact: { ...ALL, ...exact } });
  assert.deepEqual(flagsFor({ baseline: false }), ['--no-sparkplug']);
  assert.deepEqual(flagsFor({ inlined: false }), ['--no-turbo-inlining', '--no-maglev-inlining']);
  const all = flagsFor({ baseline: false, optimised: false, inlined: false });
  assert.deepEqual(all, ['--no-sparkplug', '--max-optimized-bytecode-size=0', '--no-maglev']);
  assert.deepEqual(exactStackFlags({ v8: '14.6', source: 'v8', exact: ALL }), ['--no-maglev-osr']);
  const words = [...all, ...flagsFor({ inlined: false }), '-e', '0'];
  assert.equal(spawnSync(process.execPath, words).status, 0);
  assert.deepEqual(exactStackFlags(UNKNOWN_NAMES), []);
});

test('the intrinsics of V8 are off again', { skip }, () => {
  setFlagsFromString('--no-allow-natives-syntax');
  guardStatus();
  assert.throws(() => runInThisContext('(f) => %HaveSameMap(f, f)'), SyntaxError);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { CONTESTANTS, makePlan, orderOfRound, PATHS, parseOnly, type Run } from './plan.ts';

const WHOLE = { pin: 'one', paths: PATHS, hasYardstick: true, cpuCount: 2 } as const;

function nameOf({ cell, contestant }: Run): string {
  const { path, messageBytes, fanOut, pin } = cell;
  return `${contestant.name} ${path} ${messageBytes} x${fanOut} ${pin}`;
}

test('every mechanism, message size, path and fan-out is in the plan, each once', () => {
  const names = makePlan(WHOLE).map(nameOf);
  assert.equal(new Set(names).size, names.length);
  for (const { name } of CONTESTANTS) assert.ok(names.some((one) => one.startsWith(`${name} `)));
  for (const path of PATHS) {
    for (const bytes of [4096, 16_384, 65_536, 262_144, 1_048_576]) {
      for (const fanOut of [1, 8])
        assert.ok(names.includes(`splice ${path} ${bytes} x${fanOut} one`));
    }
  }
});

test('large messages to one are run on two CPUs too, where there are two', () => {
  const both = makePlan(WHOLE).filter(({ cell }) => cell.pin === 'two');
  const cells = new Set(
    both.map(({ cell }) => `${cell.path} ${cell.messageBytes} x${cell.fanOut}`),
  );
  const sizes = [65_536, 262_144, 1_048_576];
  const expected = ['tcp', 'unix'].flatMap((path) => sizes.map((bytes) => `${path} ${bytes} x1`));
  assert.deepEqual([...cells], expected);
  assert.ok(makePlan({ ...WHOLE, cpuCount: 1 }).every(({ cell }) => cell.pin === 'one'));
  assert.ok(makePlan({ ...WHOLE, pin: 'none' }).every(({ cell }) => cell.pin === 'none'));
});

test('a path that the machine lacks, and a yardstick that it cannot build, are left out', () => {
  const plan = makePlan({ ...WHOLE, paths: ['tcp'], hasYardstick: false });
  assert.ok(
    plan.every(({ cell, contestant }) => cell.path === 'tcp' && contestant.kind === 'agent'),
  );
});

test('--only: any word of a kind, all kinds; the reference stays', () => {
  const plan = makePlan({ ...WHOLE, only: 'tcp,veth,64K,1M,x8,tee' });
  assert.deepEqual(plan.map(nameOf), [
    'c-send tcp 65536 x8 one',
    'tee tcp 65536 x8 one',
    'c-send tcp 1048576 x8 one',
    'tee tcp 1048576 x8 one',
    'c-send veth 65536 x8 one',
    'tee veth 65536 x8 one',
    'c-send veth 1048576 x8 one',
    'tee veth 1048576 x8 one',
  ]);
});

test('--only: an unknown word is a wrong usage that names the known ones', () => {
  for (const text of ['tcp,splize', '', '5K', 'x3', '64k,']) {
    assert.throws(
      () => parseOnly(text),
      (error) => error instanceof MillraceError && error.code === 'MR_USAGE',
      text,
    );
  }
});

test('within a cell everybody is first once, and nobody is left out', () => {
  const runs = makePlan({ ...WHOLE, only: 'tcp,64K,x1,copy,splice' }).slice(0, 3);
  const firsts = [0, 1, 2].map((round) => orderOfRound(runs, round)[0]!.contestant.name);
  assert.deepEqual(firsts, ['c-send', 'copy', 'splice']);
  const names = orderOfRound(runs, 1).map(({ contestant }) => contestant.name);
  assert.deepEqual(names, ['copy', 'splice', 'c-send']);
});

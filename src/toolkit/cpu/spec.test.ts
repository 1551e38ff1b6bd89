import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CpuSpec, cpusOf } from './spec.ts';
import { readTopology } from './topology.ts';
import { addCgroup2, filesOf, makeTree, type Shape } from './trees.test-data.ts';

const SHAPE: Shape = { sockets: 2, coresPerSocket: 4, threadsPerCore: 2, coresPerL3: 2 };

function machineOf(shape: Partial<Shape> = {}, cpuset?: string) {
  const tree = makeTree({ ...SHAPE, ...shape });
  if (cpuset !== undefined) addCgroup2(tree, 'box', { 'box/cpuset.cpus.effective': cpuset });
  return readTopology(filesOf(tree));
}

test('every form names the CPUs that the picture of the machine shows', () => {
  const machine = machineOf({ isolated: '6-7,14-15' });
  const expected: [CpuSpec, number[]][] = [
    ['3', [3]],
    ['0-3', [0, 1, 2, 3]],
    ['8,1-2', [1, 2, 8]],
    [
      [5, 3, 5],
      [3, 5],
    ],
    ['core:2', [2, 10]],
    ['l3:1', [2, 3, 10, 11]],
    ['node:1', [4, 5, 6, 7, 12, 13, 14, 15]],
    ['socket:0', [0, 1, 2, 3, 8, 9, 10, 11]],
    ['isolated', [6, 7, 14, 15]],
    ['last', [15]],
    ['last-1', [14]],
    [' last-15 ', [0]],
    ['all', Array.from({ length: 16 }, (_, cpu) => cpu)],
  ];
  for (const [spec, cpus] of expected) assert.deepEqual(cpusOf(spec, machine), cpus, String(spec));
});

test('groups are cut to what may be used; a list is not', () => {
  const machine = machineOf({ offline: [11] }, '1-3,9-10');
  assert.deepEqual(cpusOf('l3:1', machine), [2, 3, 10]);
  assert.deepEqual(cpusOf('last-1', machine), [9]);
  assert.throws(() => cpusOf('0-3', machine), /CPU 0 is outside the cpuset/);
  assert.throws(() => cpusOf('3,11', machine), /CPU 11 is offline/);
  assert.throws(() => cpusOf('99', machine), /there is no CPU 99/);
});

test('what names nothing is MR_CPU, with what there is', () => {
  const machine = machineOf({}, '1-2');
  for (const spec of ['isolated', 'core:3', 'core:99', 'node:1', 'node:7', 'last-2', []]) {
    assert.throws(
      () => cpusOf(spec, machine),
      (error: Error & { code?: string; remedy?: string }) => {
        assert.equal(error.code, 'MR_CPU');
        assert.match(error.remedy!, /it may use 1-2/);
        return true;
      },
    );
  }
  for (const spec of ['core', 'core:x', 'cpu3', 'first', '-1', 'last--1', '']) {
    assert.throws(() => cpusOf(spec, machine), /is no way to name CPUs/, spec);
  }
});

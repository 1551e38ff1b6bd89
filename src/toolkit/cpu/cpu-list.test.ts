import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatCpuList, formatCpuMask, parseCpuList, parseCpuMask } from './cpu-list.ts';

test('lists of the kernel are read', () => {
  assert.deepEqual(parseCpuList('0-3,8\n'), [0, 1, 2, 3, 8]);
  assert.deepEqual(parseCpuList(''), []);
  assert.deepEqual(parseCpuList('(null)'), []);
  assert.deepEqual(parseCpuList('0-15:2/8'), [0, 1, 8, 9]);
  assert.deepEqual(parseCpuList('8,1-2,2'), [1, 2, 8]);
});

test('what is no list is null', () => {
  for (const text of ['x', '3-1', '-1', '1,', '0-8192', '1.5', '0-7:0/2', '0-7:3/2', '1 2']) {
    assert.equal(parseCpuList(text), null, text);
  }
});

test('masks: the highest group stands first', () => {
  assert.deepEqual(parseCpuMask('3,80000001'), [0, 31, 32, 33]);
  assert.deepEqual(parseCpuMask('00000000,00000000\n'), []);
  assert.equal(parseCpuMask('123456789'), null);
  assert.equal(parseCpuMask(''), null);
  assert.equal(formatCpuMask([0, 31, 32, 33]), '3,80000001');
  assert.equal(formatCpuMask([]), '0');
});

test('lists and masks come back as they were', () => {
  const cpus = fc.uniqueArray(fc.integer({ min: 0, max: 8191 }), { maxLength: 60 });
  fc.assert(
    fc.property(cpus, (some) => {
      const sorted = [...some].sort((a, b) => a - b);
      assert.deepEqual(parseCpuList(formatCpuList(some)), sorted);
      assert.deepEqual(parseCpuMask(formatCpuMask(some)), sorted);
    }),
  );
});

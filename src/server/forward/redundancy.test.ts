/**
 * Redundancy: switch-over and switch-back, by the clock of the test.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Redundancy } from './redundancy.ts';

const OPTIONS = { members: ['best', 'second', 'third'], switchOverMs: 5000, switchBackMs: 30_000 };

test('the best begins, or the one that was active', () => {
  assert.equal(new Redundancy(OPTIONS, '', 0).active, 0);
  assert.equal(new Redundancy(OPTIONS, 'third', 0).active, 2);
  assert.equal(new Redundancy(OPTIONS, 'gone', 0).active, 0);
});

test('a member is left after switchOverMs down, and not when it comes back before', () => {
  const group = new Redundancy(OPTIONS, '', 0);
  group.observe(1, 'up', 0);
  group.observe(0, 'down', 1000);
  assert.equal(group.decide(5999), false);
  group.observe(0, 'up', 5999);
  group.observe(0, 'down', 6001);
  assert.equal(group.decide(11_000), false);
  assert.equal(group.decide(11_001), true);
  assert.equal(group.active, 1);
});

test('the next is the best of those that are up; the others are tried while it is down', () => {
  const group = new Redundancy(OPTIONS, '', 0);
  assert.deepEqual(
    [0, 1, 2].map((member) => group.shouldProbe(member)),
    [false, false, false],
  );
  group.observe(0, 'down', 0);
  assert.deepEqual(
    [0, 1, 2].map((member) => group.shouldProbe(member)),
    [false, true, true],
  );
  group.observe(1, 'down', 0);
  assert.equal(group.decide(5000), false, 'nobody knows whether the third is up');
  group.observe(2, 'up', 5001);
  assert.equal(group.decide(5001), true);
  assert.equal(group.active, 2);
});

test('while all are down the active one stays, and the first to come back takes over', () => {
  const group = new Redundancy(OPTIONS, 'second', 0);
  for (const member of [0, 1, 2]) group.observe(member, 'down', 0);
  assert.equal(group.decide(60_000), false);
  group.observe(2, 'up', 60_001);
  assert.equal(group.decide(60_001), true);
  assert.equal(group.active, 2);
});

test('a better member is taken back when it has been up for switchBackMs', () => {
  const group = new Redundancy(OPTIONS, 'third', 0);
  assert.equal(group.shouldProbe(0), true);
  assert.equal(group.shouldProbe(1), true);
  assert.equal(group.shouldProbe(2), false);
  group.observe(1, 'up', 1000);
  assert.equal(group.decide(30_999), false);
  assert.equal(group.decide(31_000), true);
  assert.equal(group.active, 1);
  group.observe(0, 'up', 31_000);
  group.observe(0, 'down', 60_000);
  group.observe(0, 'up', 60_001);
  assert.equal(group.decide(90_000), false, 'it flapped');
  assert.equal(group.decide(90_001), true);
});

test('one that nobody has tried is no proof of being up', () => {
  const group = new Redundancy(OPTIONS, 'second', 0);
  assert.equal(group.decide(1_000_000), false);
});

test('a member that was left is not taken back for what was long ago', () => {
  const group = new Redundancy({ ...OPTIONS, switchOverMs: 0 }, '', 0);
  group.observe(1, 'up', 0);
  group.observe(0, 'up', 0);
  group.observe(0, 'down', 50_000);
  assert.equal(group.decide(50_000), true);
  group.observe(0, 'up', 50_001);
  assert.equal(group.decide(80_000), false);
  assert.equal(group.decide(80_001), true);
});

test('a probe that ends for want of use and is made again is proof still', () => {
  const group = new Redundancy(OPTIONS, 'second', 0);
  for (let nowMs = 0; nowMs < 30_000; nowMs += 10_000) {
    group.observe(0, 'up', nowMs);
    group.observe(0, 'unknown', nowMs + 9_000);
  }
  assert.equal(group.decide(29_999), false);
  assert.equal(group.decide(30_000), true);
  group.observe(1, 'up', 30_000);
  group.observe(1, 'unknown', 40_000);
  group.observe(0, 'down', 40_000);
  assert.equal(group.decide(50_000), false, 'one that nobody has looked for since is not');
});

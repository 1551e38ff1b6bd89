/**
 * Epochs, group file, membership: no record is taken by two or by none, whoever reads when.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Prng } from '../../toolkit/base/prng.ts';
import { Epochs } from './epochs.ts';
import { GroupFile } from './group-file.ts';
import { Membership } from './membership.ts';

const UUID = new Uint8Array(16).fill(3);

test('an epoch counts from its position on', () => {
  const epochs = new Epochs([{ position: 0, members: ['a', 'b'] }]);
  assert.equal(epochs.add(100, ['b', 'a']), false, 'the same members');
  assert.equal(epochs.add(100, ['b']), true);
  assert.deepEqual(epochs.at(99).members, ['a', 'b']);
  assert.deepEqual(epochs.at(100).members, ['b']);
  assert.equal(epochs.add(100, ['a']), true, 'nobody has read of the one before');
  assert.deepEqual(epochs.at(100).members, ['a']);
  assert.equal(epochs.list.length, 2);
  assert.equal(epochs.prune(99), false);
  assert.equal(epochs.prune(100), true);
  assert.deepEqual(epochs.list, [{ position: 100, members: ['a'] }]);
  assert.deepEqual(epochs.at(5).members, ['a'], 'before the first, the first');
});

test('random members, random readers: each block is taken by exactly one', () => {
  const seed = randomInt(2 ** 32);
  const prng = new Prng(seed);
  const all = ['a', 'b', 'c', 'd'];
  for (let round = 0; round < 50; round++) {
    const epochs = new Epochs([{ position: 0, members: all }]);
    const taken = new Int32Array(500);
    const at = new Map(all.map((name) => [name, 0]));
    for (let step = 0; step < 5000; step++) {
      const name = all[prng.below(all.length)]!;
      const position = at.get(name)!;
      if (position < taken.length) {
        const { members } = epochs.at(position);
        if (members[position % members.length] === name) taken[position]!++;
        at.set(name, position + 1);
      }
      if (!prng.chance(0.01)) continue;
      const members = all.filter(() => prng.chance(0.6));
      if (members.length > 0) epochs.add(Math.max(...at.values()), members);
      epochs.prune(Math.min(...at.values()));
    }
    const lowest = Math.min(...at.values());
    for (let i = 0; i < lowest; i++) assert.equal(taken[i], 1, `seed ${seed}: block ${i}`);
  }
});

test('the group file: written, read, damaged, of another journal', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-group-'));
  try {
    const file = new GroupFile(folder, 'farm', UUID);
    assert.equal(file.read().kind, 'new');
    const epochs = [
      { position: 0, members: ['a', 'b'] },
      { position: 12_345, members: ['b'] },
    ];
    file.write(epochs);
    assert.deepEqual(file.read(), { kind: 'found', epochs });
    assert.equal(new GroupFile(folder, 'farm', new Uint8Array(16)).read().kind, 'other-journal');
    const whole = readFileSync(file.path);
    for (let offset = 0; offset < whole.length; offset++) {
      const bytes = Buffer.from(whole);
      bytes[offset]! ^= 0x20;
      writeFileSync(file.path, bytes);
      // The line feed behind the checksum is not looked at.
      if (offset !== 8) assert.equal(file.read().kind, 'damaged', `offset ${offset}`);
    }
    file.remove();
    file.remove();
    assert.equal(file.read().kind, 'new');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('membership: down for long is out, up for long is in, and somebody stays', () => {
  const membership = new Membership({ switchOverMs: 5, switchBackMs: 10 });
  const all = ['a', 'b', 'c'];
  assert.deepEqual(membership.decide(all, all, 0), all, 'nothing is known');
  for (const name of all) membership.observe(name, 'up', 0);
  membership.observe('b', 'down', 100);
  assert.deepEqual(membership.decide(all, all, 104), all);
  assert.deepEqual(membership.decide(all, all, 105), ['a', 'c']);
  membership.observe('b', 'up', 110);
  assert.deepEqual(membership.decide(all, ['a', 'c'], 119), ['a', 'c']);
  assert.deepEqual(membership.decide(all, ['a', 'c'], 120), all);
  for (const name of all) membership.observe(name, 'down', 200);
  assert.deepEqual(membership.decide(all, ['a', 'c'], 300), ['a', 'c'], 'the last ones stay');
  assert.deepEqual(membership.decide(['c', 'd'], ['a', 'c'], 300), ['c']);
  assert.deepEqual(membership.decide(['d'], ['a', 'c'], 300), ['d']);
});

test('membership: a new member that nobody has tried is not in by itself', () => {
  const membership = new Membership({ switchOverMs: 5, switchBackMs: 10 });
  assert.deepEqual(membership.decide(['a', 'new'], ['a'], 0), ['a']);
});

test('membership: a probe that ends for want of use and is made again is proof still', () => {
  const membership = new Membership({ switchOverMs: 5, switchBackMs: 10 });
  membership.observe('b', 'down', 0);
  for (let nowMs = 1; nowMs < 11; nowMs += 2) {
    membership.observe('b', 'up', nowMs);
    membership.observe('b', 'unknown', nowMs + 1);
  }
  assert.deepEqual(membership.decide(['a', 'b'], ['a'], 10), ['a']);
  assert.deepEqual(membership.decide(['a', 'b'], ['a'], 11), ['a', 'b']);
});

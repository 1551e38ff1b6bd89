/**
 * Rendezvous hash: the function of the file head, its vectors, its shares, and what moves.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashBytes, Rendezvous } from './hash.ts';

function key(text: string): number {
  const bytes = Buffer.from(text);
  return hashBytes(bytes, 0, bytes.length);
}

/** Made with a program of its own (Python), from the text of the file head. */
const VECTORS = ['middle', 'left', 'middle', 'left', 'left', 'middle'];

test('FNV-1a: the vectors of the draft', () => {
  assert.equal(key(''), 0x811c9dc5);
  assert.equal(key('a'), 0xe40c292c);
  assert.equal(key('foobar'), 0xbf9cf968);
});

test('who takes a key is the same in every version: vectors', () => {
  const three = new Rendezvous(['left', 'right', 'middle']);
  assert.deepEqual(three.members, ['left', 'middle', 'right']);
  const taken = ['', 'subscriber1', 'subscriber2', 'subscriber3', '10.0.0.1', 'bob'].map(
    (text) => three.members[three.pick(key(text))],
  );
  assert.deepEqual(taken, VECTORS);
});

test('the order of the configuration does not matter', () => {
  const one = new Rendezvous(['a', 'b', 'c', 'd']);
  const other = new Rendezvous(['d', 'b', 'a', 'c']);
  for (let i = 0; i < 1000; i++) {
    const hash = key(`s${i}`);
    assert.equal(one.members[one.pick(hash)], other.members[other.pick(hash)]);
  }
});

test('shares are even, for texts and for addresses', () => {
  const names = ['collector-a', 'collector-b', 'collector-c', 'collector-d', 'e'];
  for (const make of [
    (i: number) => key(`subscriber${i}`),
    (i: number) => hashBytes(Uint8Array.of(10, i >>> 16, i >>> 8, i), 0, 4),
  ]) {
    const counts = new Int32Array(names.length);
    const group = new Rendezvous(names);
    for (let i = 0; i < 100_000; i++) counts[group.pick(make(i))]!++;
    for (const count of counts) assert.ok(Math.abs(count - 20_000) < 800, counts.join());
  }
});

test('when a member goes, only its keys move', () => {
  const all = new Rendezvous(['a', 'b', 'c', 'd']);
  const less = new Rendezvous(['a', 'b', 'd']);
  const taken = new Set<string>();
  for (let i = 0; i < 10_000; i++) {
    const hash = key(`s${i}`);
    const before = all.members[all.pick(hash)]!;
    const after = less.members[less.pick(hash)]!;
    if (before === 'c') taken.add(after);
    else assert.equal(after, before);
  }
  assert.deepEqual([...taken].sort(), ['a', 'b', 'd'], 'they are shared by all others');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fillWords, messageSeed } from './fill.ts';

test('words differ from each other and from those of the next message', () => {
  const words = new Int32Array(4096);
  fillWords(words, 0, 4096, messageSeed(0, 0));
  assert.ok(new Set(words).size > 4090);
  const next = new Int32Array(4096);
  fillWords(next, 0, 4096, messageSeed(0, 1));
  assert.ok(words.every((word, index) => word !== next[index]));
});

test('only the words asked for are written', () => {
  const words = new Int32Array(10);
  fillWords(words, 3, 6, 1);
  assert.deepEqual(
    [...words].map((word) => word !== 0),
    [false, false, false, true, true, true, false, false, false, false],
  );
});

test('messages and connections have seeds of their own', () => {
  const seeds = new Set<number>();
  for (let connection = 0; connection < 8; connection++) {
    for (let sequence = 0; sequence < 1000; sequence++)
      seeds.add(messageSeed(connection, sequence));
  }
  assert.equal(seeds.size, 8000);
});

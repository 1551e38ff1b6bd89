import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockStarts } from './block-starts.ts';

test('the furthest start within the span, or else the next one below', () => {
  const starts = new BlockStarts(100);
  for (const position of [1_000, 1_400, 1_200]) starts.note(position);
  assert.equal(starts.startBelow(1_500, 400), 1_200);
  assert.equal(starts.startBelow(1_500, 300), 1_200);
  assert.equal(starts.startBelow(1_500, 50), 1_400);
  assert.equal(starts.startBelow(1_400, 50), 1_200);
  assert.equal(starts.startBelow(1_400, 5_000), 1_000);
  assert.equal(starts.startBelow(1_000, 50), -1);
  assert.equal(new BlockStarts().startBelow(10, 10), -1);
});

test('positions that are close to another are left out', () => {
  const starts = new BlockStarts(100);
  for (const position of [1_000, 1_099, 1_000, 901, 1_150]) starts.note(position);
  assert.equal(starts.count, 2);
  assert.equal(starts.startBelow(2_000, 900), 1_150);
  assert.equal(starts.startBelow(1_150, 900), 1_000);
});

test('the number of positions is bounded, and the newest stay', () => {
  const starts = new BlockStarts(1);
  for (let position = 0; position < 10_000; position++) starts.note(position);
  assert.ok(starts.count <= 4_096, String(starts.count));
  assert.equal(starts.startBelow(9_999, 1), 9_998);
  assert.equal(starts.startBelow(9_999, 2_000), 7_999);
});

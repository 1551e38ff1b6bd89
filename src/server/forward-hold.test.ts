import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POSITION_MAX } from '../toolkit/base/limits.ts';
import { type ConfigInput, makeConfig } from './config.ts';
import { makePosition, type StoredPosition } from './forward/position-file.ts';
import { heldPosition } from './forward-hold.ts';
import { forwardOptions } from './forward-plan.ts';

const OURS = new Uint8Array(16).fill(1);
const OTHER = new Uint8Array(16).fill(2);
const JOURNAL = { uuid: OURS, nextPosition: 9_000 };

function held(
  destinations: NonNullable<NonNullable<ConfigInput['forward']>['destinations']>,
  stored: readonly StoredPosition[],
): number {
  return heldPosition(forwardOptions(makeConfig({ forward: { destinations } })), stored, JOURNAL);
}

const to = (name: string, more: object = {}) => ({ name, host: '192.0.2.1', port: 1, ...more });
const at = (channel: string, position: number, uuid = OURS): StoredPosition => ({
  channel,
  position: makePosition(position, 0),
  uuid,
});

test('the lowest position of the channels that hold; nobody else counts', () => {
  assert.equal(held([], [at('gone', 5)]), POSITION_MAX);
  assert.equal(held([to('a', { onLag: 'drop-oldest' })], [at('a', 5)]), POSITION_MAX);
  const three = [to('a'), to('b'), to('c', { onLag: 'drop-oldest' })];
  assert.equal(held(three, [at('a', 700), at('b', 500), at('c', 5), at('gone', 1)]), 500);
});

test('without a position of this journal it is where the channel begins', () => {
  assert.equal(held([to('a')], []), 9_000);
  assert.equal(held([to('a', { from: 'journal-start' })], []), 0);
  assert.equal(held([to('a')], [at('a', 5, OTHER)]), 9_000);
  assert.equal(held([to('a')], [{ channel: 'a', position: null, uuid: null }]), 9_000);
  assert.equal(held([to('a')], [at('a', -1)]), 0);
});

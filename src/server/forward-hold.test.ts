import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POSITION_MAX } from '../toolkit/base/limits.ts';
import { type ConfigInput, makeConfig } from './config.ts';
import { makePosition, type PositionSeen } from './forward/position-file.ts';
import { heldPosition } from './forward-hold.ts';
import { forwardOptions } from './forward-plan.ts';

const JOURNAL = { nextPosition: 9_000 };

type ForwardInput = NonNullable<ConfigInput['forward']>;
type Destinations = NonNullable<ForwardInput['destinations']>;

function held(
  destinations: Destinations,
  files: Readonly<Record<string, PositionSeen>>,
  groups: ForwardInput['groups'] = [],
  epochs: readonly string[] = [],
): number {
  const stored = {
    position: (channel: string): PositionSeen => files[channel] ?? { kind: 'new' },
    hasEpochs: (group: string) => epochs.includes(group),
  };
  const config = makeConfig({ forward: { destinations, groups } });
  return heldPosition(forwardOptions(config), stored, JOURNAL);
}

const to = (name: string, more: object = {}) => ({ name, host: '192.0.2.1', port: 1, ...more });
const at = (position: number): PositionSeen => ({
  kind: 'found',
  position: makePosition(position, 0),
});

test('the lowest position of the channels that hold; nobody else counts', () => {
  assert.equal(held([], { gone: at(5) }), POSITION_MAX);
  assert.equal(held([to('a', { onLag: 'drop-oldest' })], { a: at(5) }), POSITION_MAX);
  const three = [to('a'), to('b'), to('c', { onLag: 'drop-oldest' })];
  assert.equal(held(three, { a: at(700), b: at(500), c: at(5), gone: at(1) }), 500);
});

test('without a position of this journal it is where the channel begins', () => {
  assert.equal(held([to('a')], {}), 9_000);
  assert.equal(held([to('a', { from: 'journal-start' })], {}), 0);
  for (const kind of ['other-journal', 'damaged', 'blank'] as const) {
    assert.equal(held([to('a')], { a: { kind } }), 9_000, kind);
  }
  assert.equal(held([to('a')], { a: at(-1) }), 0);
});

test('a position that cannot be read may be any: all is held', () => {
  const unreadable = { kind: 'unreadable', error: new Error('EACCES') } as const;
  assert.equal(held([to('a'), to('b')], { a: unreadable, b: at(500) }), 0);
  const dropping = to('a', { onLag: 'drop-oldest' });
  assert.equal(held([dropping, to('b')], { a: unreadable, b: at(500) }), 500);
});

test('a member without a position begins where the epochs say', () => {
  const members = [{ destination: 'a' }, { destination: 'b' }];
  const farm = [{ name: 'farm', mode: 'load-balancing', members }] as const;
  const files = { 'farm/a': at(500) };
  assert.equal(held([to('a'), to('b')], files, farm as never), 500);
  assert.equal(held([to('a'), to('b')], files, farm as never, ['farm']), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { ForwardStage, type ForwardStageParts } from './forward-stage.ts';

interface Turn {
  readonly work: number;
  readonly lingerMs: number;
  readonly nextTimerMs: number;
}

/** What one turn makes of the sleep: calls in order. The time stands still at 1000. */
function sleepOf(turn: Turn, isDraining = false, isWoken = false): readonly string[] {
  const calls: string[] = [];
  const lanes = {
    turn: () => turn.work,
    lingerMs: turn.lingerMs,
    nextTimerMs: turn.nextTimerMs,
    heldPosition: POSITION_MAX,
    areStuck: () => false,
    report: () => ({ timeMs: 0, generation: 0, channels: [], cpuMs: 0 }),
  };
  const parts = {
    shared: { publishedPosition: 7, forwardPosition: 0 },
    sleep: {
      arm: (position: number) => calls.push(`arm ${position}`) > 0,
      disarm: () => calls.push('disarm'),
    },
    poller: {
      wait: (timeoutMs: number) => calls.push(`wait ${timeoutMs}`),
      takeWoken: () => isWoken,
    },
    door: { poll: () => calls.push('door'), takeOptions: () => null, generation: 0 },
    resolver: { answer: () => {} },
    lanes,
    catchup: null,
    segments: { openErrors: 0 },
    control: { isDraining },
    tell: () => {},
    nowMs: () => 1000,
  };
  new ForwardStage(parts as unknown as ForwardStageParts).doWork();
  return calls;
}

test('after work, blocks gather for the linger time, and the journal does not wake it', () => {
  assert.deepEqual(sleepOf({ work: 1, lingerMs: 5, nextTimerMs: Infinity }), ['wait 5']);
});

test('no longer than until a timer of a connection', () => {
  assert.deepEqual(sleepOf({ work: 1, lingerMs: 5, nextTimerMs: 1002 }), ['wait 2']);
  assert.deepEqual(sleepOf({ work: 1, lingerMs: 5, nextTimerMs: 0 }), ['wait 0']);
});

test('where there is more to do it only looks for events', () => {
  assert.deepEqual(sleepOf({ work: 1, lingerMs: 0, nextTimerMs: Infinity }), ['wait 0']);
});

test('in a drain it does not linger', () => {
  assert.deepEqual(sleepOf({ work: 1, lingerMs: 5, nextTimerMs: Infinity }, true), ['wait 0']);
});

test('a long linger time, and one of no lane at all, are cut short', () => {
  for (const lingerMs of [10_000, Infinity]) {
    const [wait] = sleepOf({ work: 1, lingerMs, nextTimerMs: Infinity });
    const ms = Number(wait!.slice('wait '.length));
    assert.ok(ms > 0 && ms <= 1000, wait);
  }
});

test('without work it sleeps until the journal or a timer wakes it', () => {
  const calls = sleepOf({ work: 0, lingerMs: 5, nextTimerMs: 1003 });
  assert.deepEqual(calls, ['arm 7', 'wait 3', 'disarm']);
});

test('the door is looked at when somebody has signalled', () => {
  const turn = { work: 1, lingerMs: 5, nextTimerMs: Infinity };
  assert.deepEqual(sleepOf(turn, false, true), ['door', 'wait 5']);
});

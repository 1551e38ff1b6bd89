import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  fakeBlocked,
  fakeChannel,
  fakeDestination,
  fakeDown,
  fakeDropped,
  fakeForward,
} from '../../test/support/fake-forward.ts';
import type { ChannelReport } from './forward/report.ts';
import { EVENT_EVERY_MS, ForwardEvents, LINES_AT_ONCE } from './forward-events.ts';

/** What is logged of these reports, each so many ms behind the one before. */
function linesOf(...reports: readonly (readonly [afterMs: number, ...ChannelReport[]])[]) {
  const events = new ForwardEvents();
  let timeMs = 1_000_000;
  return reports.map(([afterMs, ...channels]) => {
    timeMs += afterMs;
    const told = events.observe(fakeForward(channels, timeMs));
    return told.map(({ level, text }) => `${level}: ${text}`);
  });
}

const UP = fakeChannel();
const DOWN = fakeDown('mediation');
const CONNECTED = 'info: a destination is connected';
const IS_DOWN = 'warn: a destination is down';

test('a destination that comes and goes is told of once each time', () => {
  const lines = linesOf([0, UP], [200, UP], [EVENT_EVERY_MS, DOWN], [200, DOWN]);
  assert.deepEqual(lines, [[CONNECTED], [], [IS_DOWN], []]);
});

test('a short outage is told of at once, one that flaps once in a while, as it stands', () => {
  const flaps = Array.from({ length: 6 }, (_, i) => [200, i % 2 === 0 ? UP : DOWN] as const);
  const lines = linesOf(...flaps, [EVENT_EVERY_MS - 1_000, UP], [200, DOWN], [400, DOWN]);
  const atOnce = [[CONNECTED], [IS_DOWN], [CONNECTED], [IS_DOWN]];
  assert.equal(atOnce.length, LINES_AT_ONCE);
  assert.deepEqual(lines, [...atOnce, [], [], [CONNECTED], [], []]);
});

test('an outage between two reports shows in the breaks', () => {
  const broken = (breaks: number) => fakeChannel({ destinations: [fakeDestination({ breaks })] });
  const lines = linesOf([0, broken(3)], [200, broken(3)], [200, broken(4)], [200, broken(4)]);
  const again = ['info: a destination is connected again'];
  assert.deepEqual(lines, [[CONNECTED], [], again, []]);
  const restarted = linesOf([0, broken(3)], [200, broken(0)], [200, broken(1)]);
  assert.deepEqual(restarted, [[CONNECTED], [], again], 'of a new worker');
});

test('idle, connecting and standby are neither up nor down', () => {
  const still = (['idle', 'connecting', 'resolving', 'standby'] as const).map((state) =>
    fakeChannel({ destinations: [fakeDestination({ state, connections: 0 })] }),
  );
  const lines = linesOf([0, DOWN], ...still.map((one) => [EVENT_EVERY_MS, one] as const));
  assert.deepEqual(lines, [[IS_DOWN], [], [], [], []]);
});

test('a file that cannot be opened is told of when it begins and when it ends', () => {
  const events = new ForwardEvents();
  const tell = (timeMs: number, channel: ChannelReport) =>
    events.observe(fakeForward([channel], timeMs)).filter(({ text }) => text.includes('files'));
  const blocked = fakeBlocked('mediation');
  const { why } = blocked;
  assert.deepEqual(tell(0, blocked), [
    {
      level: 'warn',
      text: 'a channel has trouble with its files',
      fields: { channel: 'mediation', why },
    },
  ]);
  for (let ms = 200; ms < 60_000; ms += 200) assert.deepEqual(tell(ms, blocked), []);
  const [line, ...more] = tell(60_000, UP);
  assert.deepEqual(more, []);
  assert.equal(line!.text, 'a channel has no more trouble with its files');
  assert.deepEqual(tell(60_200, UP), []);
  let lines = 0;
  for (let ms = 0; ms < 60_000; ms += 200) {
    lines += tell(60_400 + ms, ms % 400 === 0 ? blocked : UP).length;
  }
  assert.ok(lines <= LINES_AT_ONCE + 60_000 / EVENT_EVERY_MS, `${lines} lines`);
});

test('a channel says when it begins to drop, why, and how many it was in the end', () => {
  const events = new ForwardEvents();
  const at = (timeMs: number, lag: number) =>
    events
      .observe(fakeForward([fakeChannel({ dropped: fakeDropped({ lag, cut: 2 }) })], timeMs))
      .filter(({ text }) => text.includes('drop'));
  assert.deepEqual(at(0, 5), [], 'of a life before');
  assert.deepEqual(at(200, 9), [
    {
      level: 'warn',
      text: 'a channel drops records',
      fields: { channel: 'mediation', records: 4, reasons: ['lag'] },
    },
  ]);
  assert.deepEqual(at(EVENT_EVERY_MS, 12), []);
  assert.deepEqual(at(2 * EVENT_EVERY_MS, 12), [
    {
      level: 'info',
      text: 'a channel drops no more records',
      fields: { channel: 'mediation', records: 7 },
    },
  ]);
  assert.equal(at(4 * EVENT_EVERY_MS, 13)[0]?.fields.records, 1);
});

test('a channel that holds the journal is told of, and when it ends', () => {
  const held = fakeChannel({ state: 'held' });
  const lines = linesOf([0, UP], [200, held], [EVENT_EVERY_MS, UP]);
  assert.deepEqual(lines, [
    [CONNECTED],
    ['warn: a channel lags too far: it holds the journal'],
    ['info: a channel holds the journal no more'],
  ]);
});

test('a channel that was removed and comes back is a new one', () => {
  const lines = linesOf([0, UP], [200], [200, UP]);
  assert.deepEqual(lines, [[CONNECTED], [], [CONNECTED]]);
});

test('a destination may be called what a channel does', () => {
  for (const name of ['held', 'dropped', 'holding', 'drops']) {
    const destinations = [fakeDestination({ name })];
    const well = fakeChannel({ destinations });
    const ill = fakeChannel({ destinations, state: 'held', dropped: fakeDropped({ lag: 1 }) });
    const lines = linesOf([0, well], [200, ill], [2 * EVENT_EVERY_MS, well]);
    assert.equal(lines[0]!.length, 1, name);
    assert.equal(lines[1]!.length, 2, `${name}: held, and drops`);
  }
});

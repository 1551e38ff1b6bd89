import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FakeSource } from '../../../test/support/fake-source.ts';
import { stillClock } from '../../../test/support/still-clock.ts';
import { LIVE_LEASE_MS, type TopMeasure, type TopRow, type TopSubject } from './source.ts';
import { TopCache, type TopQuestion } from './tops.ts';

const LIVE: TopQuestion = { by: 'subscribers', window: '1m', measure: 'bytes' };
const STORED: TopQuestion = { by: 'subscribers', window: '15m', measure: 'bytes' };

function row(name: string, bytes: number, sessions: number): TopRow {
  return { name, bytes, sessions, records: 1 };
}

/** A source whose answers wait until they are let go. */
class SlowSource extends FakeSource {
  running = 0;
  runningMost = 0;
  readonly asked: { by: TopSubject; sinceMs: number; measure: TopMeasure }[] = [];
  #waiting: (() => void)[] = [];

  override topSince(by: TopSubject, sinceMs: number, measure: TopMeasure) {
    this.asked.push({ by, sinceMs, measure });
    this.running += 1;
    this.runningMost = Math.max(this.runningMost, this.running);
    return new Promise<readonly TopRow[]>((resolve) => {
      this.#waiting.push(() => {
        this.running -= 1;
        resolve([row('a', 1, 1)]);
      });
    });
  }

  async letGo(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a question is computed once, however many ask at the same time and just after', async (t) => {
  const clock = stillClock(t);
  const source = new FakeSource();
  const tops = new TopCache(source);
  await Promise.all([tops.ask(LIVE, 10), tops.ask(LIVE, 3), tops.ask(LIVE, 100)]);
  clock.pass(850);
  await tops.ask(LIVE, 10);
  assert.equal(source.topCalls, 1);
  assert.equal(tops.computed, 1);
  clock.pass(150);
  await tops.ask(LIVE, 10);
  assert.equal(tops.computed, 2, 'a live top is new every second');
});

test('rows are sorted by the measure and cut to n', async () => {
  const source = new FakeSource();
  source.topLive = () => Promise.resolve([row('a', 9, 1), row('b', 8, 5), row('c', 7, 3)]);
  const { rows } = await new TopCache(source).ask({ ...LIVE, measure: 'sessions' }, 2);
  assert.deepEqual(
    rows.map(({ name }) => name),
    ['b', 'c'],
  );
});

test('a live answer says how much of its window it holds', async (t) => {
  const clock = stillClock(t);
  const tops = new TopCache(new FakeSource());
  assert.equal((await tops.ask(LIVE, 1)).coveredMs, 0);
  assert.equal((await tops.ask(STORED, 1)).coveredMs, 900_000);
  clock.pass(30);
  // Another question renews the same lease.
  assert.equal((await tops.ask({ ...LIVE, by: 'hosts' }, 1)).coveredMs, 30);
  clock.pass(LIVE_LEASE_MS);
  assert.equal((await tops.ask({ ...LIVE, by: 'hosts' }, 1)).coveredMs, LIVE_LEASE_MS + 30);
  clock.pass(LIVE_LEASE_MS + 1);
  assert.equal((await tops.ask(LIVE, 1)).coveredMs, 0, 'nobody looked for so long');
});

test('one SQL top runs at a time, and asks for its own window', async () => {
  const source = new SlowSource();
  const tops = new TopCache(source);
  const nowMs = Date.now();
  const answers = [
    tops.ask(STORED, 5),
    tops.ask({ ...STORED, window: '1h', measure: 'records' }, 5),
  ];
  await source.letGo();
  await source.letGo();
  await Promise.all(answers);
  assert.equal(source.runningMost, 1);
  const windowsMs = source.asked.map(({ sinceMs }) => nowMs - sinceMs);
  assert.ok(Math.abs(windowsMs[0]! - 900_000) < 60_000);
  assert.ok(Math.abs(windowsMs[1]! - 3_600_000) < 60_000);
  assert.equal(source.asked[1]!.measure, 'records');
});

test('a failure goes to who asked, is not kept, and does not stop the next question', async () => {
  const source = new FakeSource();
  const tops = new TopCache(source);
  const good = source.topSince.bind(source);
  source.topSince = () => Promise.reject(new Error('no store'));
  const failed = tops.ask(STORED, 5);
  const after = tops.ask({ ...STORED, by: 'services' }, 5);
  await assert.rejects(failed, /no store/);
  await assert.rejects(after, /no store/);
  source.topSince = good;
  source.advance();
  assert.ok((await tops.ask(STORED, 5)).rows.length > 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { Flights } from './flights.ts';
import { IN_FLIGHT_ONE, PAGE_ENTRY_WORDS, STATE_WORD } from './layout.ts';
import { NO_PAGE, PagePool } from './page-pool.ts';

/** A pool of one page, filling for owner 1, and the words that a thread changes one by one. */
class Rig {
  readonly pool = PagePool.create({ pageBytes: OS_PAGE_BYTES, pageCount: 1 });
  readonly #table = new Int32Array(this.pool.handle.table);

  constructor() {
    assert.equal(this.pool.acquire(1), 0);
  }

  /** As a thread of `owner` sees the flights. */
  flights(owner: number): Flights {
    return new Flights(this.pool.handle.flights, 1, owner);
  }

  addToState(lends: number): void {
    Atomics.add(this.#table, STATE_WORD + 0 * PAGE_ENTRY_WORDS, lends * IN_FLIGHT_ONE);
  }

  /** [free, inFlight, stale] */
  get states(): number[] {
    const { free, inFlight, stale } = this.pool.stats();
    return [free, inFlight, stale];
  }
}

test('death before, between and behind the words of a lend', () => {
  for (const steps of [1, 2, 3, 4]) {
    const rig = new Rig();
    const flights = rig.flights(1);
    flights.begin(0);
    if (steps > 1) rig.addToState(1);
    if (steps > 2) flights.increment(0);
    if (steps > 3) flights.end();
    rig.pool.abandon(1);
    assert.deepEqual(rig.states, [1, 0, steps > 1 ? 1 : 0], `after step ${steps}`);
  }
});

test('death before, between and behind the words of giving back', () => {
  for (const steps of [1, 2, 3, 4]) {
    const rig = new Rig();
    const flights = rig.flights(1);
    new PagePool(rig.pool.handle, 1).lend(0);
    flights.begin(0);
    if (steps > 1) flights.decrement(0);
    if (steps > 2) rig.addToState(-1);
    if (steps > 3) flights.end();
    rig.pool.abandon(1);
    assert.deepEqual(rig.states, [1, 0, steps > 2 ? 0 : 1], `after step ${steps}`);
  }
});

test('the lends of others stay when a lost one is ended', () => {
  const rig = new Rig();
  const [two, three] = [new PagePool(rig.pool.handle, 2), new PagePool(rig.pool.handle, 3)];
  two.lend(0);
  three.lend(0);
  three.lend(0);
  rig.flights(1).begin(0);
  rig.addToState(1);
  rig.pool.abandon(1);
  assert.deepEqual(rig.states, [0, 1, 1]);
  two.giveBack(0);
  three.giveBack(0);
  assert.deepEqual(rig.states, [0, 1, 1]);
  three.giveBack(0);
  assert.deepEqual(rig.states, [1, 0, 1]);
});

test('nothing is ended while another is between two words, all when it is dead', () => {
  const rig = new Rig();
  const three = new PagePool(rig.pool.handle, 3);
  for (const owner of [1, 2]) {
    rig.flights(owner).begin(0);
    rig.addToState(1);
  }
  rig.pool.abandon(1);
  assert.deepEqual(rig.states, [0, 1, 0], 'the lend of owner 2 may be on its way');
  assert.equal(three.acquire(), NO_PAGE);
  rig.pool.abandon(2);
  assert.deepEqual(rig.states, [1, 0, 1]);
});

test('sums go on beyond 2^31', () => {
  const rig = new Rig();
  const words = new Int32Array(rig.pool.handle.flights);
  // Owner 1: begun and ended near the end of int32.
  words.fill(0x7fff_ffff, 32, 34);
  rig.pool.abandon(2);
  const flights = rig.flights(1);
  flights.begin(0);
  assert.notEqual(flights.begunSum(), flights.endedSum());
  flights.end();
  assert.equal(flights.begunSum(), flights.endedSum());
});

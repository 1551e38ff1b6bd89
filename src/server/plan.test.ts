import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PAGE_BYTES } from '../toolkit/base/limits.ts';
import { type ConfigInput, makeConfig } from './config.ts';
import { formatPlan, IN_FLIGHT_PAGES_MIN, makePlan } from './plan.ts';

function roles(input: ConfigInput): string[] {
  return makePlan(makeConfig(input)).workers.map(({ role, index }) => `${role}${index}`);
}

test('which workers run follows from sink, stages and collect.workers', () => {
  assert.deepEqual(roles({}), ['collect0', 'journal0', 'keeper0', 'store0']);
  assert.deepEqual(roles({ sink: 'null' }), ['collect0', 'journal0', 'keeper0']);
  assert.deepEqual(roles({ stages: 'frame' }), ['collect0']);
  assert.deepEqual(roles({ stages: 'journal' }), ['collect0', 'journal0', 'keeper0']);
  const destinations = [{ name: 'a', host: '192.0.2.1', port: 4000 }];
  assert.deepEqual(roles({ sink: 'null', forward: { destinations } }).slice(2), [
    'keeper0',
    'forward0',
    'catchup0',
  ]);
  assert.deepEqual(roles({ collect: { workers: 3 } }).slice(0, 3), [
    'collect0',
    'collect1',
    'collect2',
  ]);
});

test('every page has a holder, and every collector a ring', () => {
  for (const workers of [1, 4]) {
    const plan = makePlan(makeConfig({ collect: { workers } }));
    const { total, filling, packing, inFlight, pageBytes } = plan.pages;
    assert.equal(filling + packing + inFlight, total);
    assert.deepEqual([filling, packing, pageBytes], [64, workers, PAGE_BYTES]);
    assert.equal(plan.rings.length, workers + 1);
  }
});

test('an arena too small for the connections is refused with the size that would do', () => {
  const collect = { connectionCountMax: 200 };
  const arenaBytes = 32 * 1024 * 1024;
  assert.throws(
    () => makePlan(makeConfig({ collect, pages: { arenaBytes } })),
    (error: Error & { code?: string; remedy?: string }) => {
      const needed = Number(/at least (\d+)/.exec(error.remedy!)![1]);
      const plan = makePlan(makeConfig({ collect, pages: { arenaBytes: needed } }));
      assert.equal(plan.pages.inFlight, IN_FLIGHT_PAGES_MIN);
      return error.code === 'MR_CONFIG_KEY' && error.message.includes('200 connections');
    },
  );
});

test('the plan reads as text', () => {
  const config = makeConfig({});
  const plan = makePlan(config);
  assert.match(formatPlan(plan, 1), /^workers \(\d, on 1 CPU\):/);
  const text = formatPlan(plan, 2);
  for (const { role } of plan.workers) assert.match(text, new RegExp(`${role} 0`));
  assert.match(text, /pages: 512 of 256 KiB = 128 MiB/);
  assert.equal(plan.memoryBytesMax, config.pages.arenaBytes + config.store.memoryLimitBytes);
});

test('the plan says what is forwarded, and nothing where nothing is', () => {
  const destinations = [{ name: 'mediation', host: 'collector.example', port: 4000 }];
  const textOf = (forward: ConfigInput['forward']): string =>
    formatPlan(makePlan(makeConfig({ forward })), 2);
  assert.doesNotMatch(textOf({}), /forward/);
  assert.match(textOf({ destinations }), /^ {2}forward 0 +blocking +sends the journal/m);
  assert.match(textOf({ destinations }), /^ {2}mediation: to collector\.example:4000$/m);
});

test('the plan says what is guarded, and nothing where nothing is', () => {
  const textOf = (mode: 'off' | 'report' | 'continue'): string =>
    formatPlan(makePlan(makeConfig({ guard: { mode } })), 2);
  assert.doesNotMatch(textOf('off'), /guard/);
  assert.match(textOf('report'), /^guard: pages .* dies$/m);
  assert.match(textOf('continue'), /^guard: pages .* go on$/m);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESTINATION } from '../../../test/support/forward-rig.ts';
import { makeConnectionCounts } from './connection-counts.ts';
import { describeDestination } from './destination-text.ts';

test('each count is told by its own name', () => {
  const counts = makeConnectionCounts();
  for (const [index, name] of Object.keys(counts).entries()) {
    counts[name as keyof typeof counts] = index + 1;
  }
  const told = describeDestination(DESTINATION, true, {
    ...counts,
    name: 'a',
    state: 'up',
    address: '192.0.2.1',
    reason: 'broken',
    connections: 2,
    connectionsUp: 1,
    parcels: 0,
    mechanism: 'copy',
    mechanismWhy: 'as configured',
    cpuMs: 0,
  });
  const shown = Object.keys(counts).filter((name) => name !== 'connects');
  for (const name of shown as (keyof typeof counts & keyof typeof told)[]) {
    assert.equal(told[name], counts[name], name);
  }
  assert.equal(told.why, 'broken; as configured');
});

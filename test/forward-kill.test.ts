/**
 * Forwarding through kills of the server: every destination goes on where it was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';
import { sleepMs } from './support/server-process.ts';

const skip = addonSkipReason() ?? false;
const KILLS = 3;
const UNDER_WAY_BYTES = 8 * 1024 * 1024;

test('kill -9: doubles with `unacked`, a gap with `none`, as counted', {
  skip,
}, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    destinations: ['again', 'once', 'merged'],
    forward: (to) => ({
      destinations: [
        to('again'),
        to('once', { resend: 'none' }),
        to('merged', { connections: 'merged' }),
      ],
    }),
  });
  rig.startExporters();
  for (let i = 0; i < KILLS; i++) {
    const before = rig.destination('once').records;
    await rig.until('records flow', () => rig.destination('once').records > before + 500);
    await sleepMs(200 * i);
    await rig.killServer();
    await rig.startServer();
  }
  const report = await rig.finish();
  const truth = rig.truth();
  const again = rig.judge(['again'], { truth }, context);
  assert.equal(again.missing, 0, 'the destination never broke off: nothing may be missing');
  const once = rig.judge(
    ['once'],
    { truth, resend: 'none', underWayBytesMax: UNDER_WAY_BYTES },
    context,
  );
  const dropped = report.channels.find(({ name }) => name === 'once')!.dropped;
  assert.ok(
    once.missing <= dropped.cut + dropped.interrupted,
    'each one that is missing is counted',
  );
  const merged = rig.judge(['merged'], { truth, connections: 'merged' }, context);
  assert.equal(merged.missing, 0);
  for (const { name, received } of report.channels) assert.equal(received, truth.records, name);
});

/**
 * Reload under load: destinations come, go and change, and the others notice nothing.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';
import { sleepMs } from './support/server-process.ts';

const skip = addonSkipReason() ?? false;

test('destinations are added, changed and removed under load', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    destinations: ['stays', 'changes', 'goes', 'comes'],
    forward: (to) => ({ destinations: [to('stays'), to('changes'), to('goes')] }),
  });
  rig.startExporters();
  await rig.until('records flow', () => rig.destination('goes').records > 500);
  rig.reload((to) => ({
    destinations: [to('stays'), to('changes', { connections: 'merged' }), to('comes')],
  }));
  await rig.until('the new one gets records', () => rig.destination('comes').records > 500);
  await sleepMs(500);
  const report = await rig.finish();
  const truth = rig.truth();
  const stays = rig.judge(['stays'], { truth }, context);
  assert.equal(stays.received, truth.records);
  assert.equal(rig.destination('stays').connections.length, rig.exporters.length, 'none was lost');
  rig.judge(['comes'], { truth }, context);
  const names = report.channels.map(({ name }) => name).sort();
  assert.deepEqual(names, ['changes', 'comes', 'stays']);
  const files = readdirSync(join(rig.dataDir, 'positions'));
  assert.ok(!files.some((name) => name.includes('goes')), `its position is gone: ${files.join()}`);
  const changes = rig.destination('changes');
  const behind = changes.connections.slice(rig.exporters.length);
  assert.equal(behind.length, 1, 'a merged connection follows those of each exporter');
  rig.judge(['changes'], { truth, connections: 'merged' }, context);
});

/**
 * Forwarding to destinations that lag: they cost the others nothing, and what they lose is counted.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { segmentPosition } from '../src/server/journal/format.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';
import { sleepMs } from './support/server-process.ts';

const skip = addonSkipReason() ?? false;
const MIB = 1024 * 1024;
/** Far more than a connection takes in advance. */
const LAG_BYTES = 24 * MIB;

const segmentsOf = (folder: string): string[] =>
  readdirSync(folder).filter((name) => name.endsWith('.seg'));

test('one that stops reading does not hinder the others', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    destinations: ['stopped', 'quick', 'merged'],
    forward: (to) => ({
      destinations: [to('stopped'), to('quick'), to('merged', { connections: 'merged' })],
    }),
  });
  rig.destination('stopped').isReading = false;
  rig.startExporters();
  await sleepMs(3_000);
  await rig.settle(['stopped']);
  assert.ok((await rig.channel('stopped')).pending > 0, 'it has stopped');
  rig.destination('stopped').isReading = true;
  await rig.finish();
  const truth = rig.truth();
  for (const name of ['stopped', 'quick']) rig.judge([name], { truth }, context);
  rig.judge(['merged'], { truth, connections: 'merged' }, context);
});

test('beyond its lag a destination loses the oldest blocks, counted', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    bytesPerSecond: 4_000_000,
    destinations: ['late', 'quick'],
    forward: (to) => ({
      destinations: [to('late', { onLag: 'drop-oldest', lagBytesMax: 2 * MIB }), to('quick')],
    }),
  });
  const late = rig.destination('late');
  late.isReading = false;
  rig.startExporters();
  await rig.until('more has come than it may lag', () => {
    return rig.destination('quick').bytes > LAG_BYTES;
  });
  late.isReading = true;
  const report = await rig.finish();
  const truth = rig.truth();
  const { dropped } = report.channels.find(({ name }) => name === 'late')!;
  assert.ok(dropped.lag > 0, 'it has lost blocks');
  const verdict = rig.judge(['late'], { truth, droppedRecords: dropped.lag }, context);
  assert.equal(verdict.missing, dropped.lag, 'exactly what is missing was counted');
  rig.judge(['quick'], { truth }, context);
});

/** What was handed to a connection is read from files that are held open. */
const HANDED_OVER_BYTES = 16 * MIB;

test('retention waits for one that holds, up to the cap of the journal', {
  skip,
}, async (context) => {
  const capBytes = 12 * MIB;
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    bytesPerSecond: 3_000_000,
    destinations: ['held', 'quick'],
    config: {
      journal: { segmentBytes: MIB, retentionBytes: 2 * MIB, retentionMs: 1_000, capBytes },
    },
    forward: (to) => ({ destinations: [to('held', { onLag: 'hold' }), to('quick')] }),
  });
  const held = rig.destination('held');
  const journal = join(rig.dataDir, 'journal');
  held.isReading = false;
  rig.startExporters();
  await rig.until('more is kept than retention would', () => {
    return segmentsOf(journal).length > 6;
  });
  assert.equal((await rig.channel('held')).dropped.retention, 0);
  await rig.until('the cap overtakes it', async () => {
    const { position } = await rig.channel('held');
    const oldest = Math.min(...segmentsOf(journal).map(segmentPosition));
    return oldest > position + HANDED_OVER_BYTES;
  });
  held.isReading = true;
  const report = await rig.finish();
  const { dropped, received, delivered } = report.channels.find(({ name }) => name === 'held')!;
  assert.ok(dropped.retention > 0, 'what retention took is counted');
  assert.equal(held.records, delivered);
  assert.equal(received, delivered + dropped.retention);
  assert.equal(rig.destination('quick').records, received);
});

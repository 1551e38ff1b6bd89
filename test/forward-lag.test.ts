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
import { type ForwardTruth, truthOfReceived } from './support/forward-truth.ts';

const skip = addonSkipReason() ?? false;
const MIB = 1024 * 1024;
/** More than a connection takes in advance (8 MiB), with small buffers of the kernel. */
const LAG_BYTES = 14 * MIB;
const SMALL = { connections: 'merged', sendBufferBytes: 65_536 } as const;

/** Of the one that lags: it is merged, and may miss what was dropped. */
const droppedOf = (truth: ForwardTruth, droppedRecords: number) =>
  ({ truth, droppedRecords, connections: 'merged' }) as const;

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
  await rig.until('much has come', () => rig.destination('quick').records > 5_000);
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
      destinations: [
        to('late', { ...SMALL, onLag: 'drop-oldest', lagBytesMax: 2 * MIB }),
        to('quick'),
      ],
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
  const verdict = rig.judge(['late'], droppedOf(truth, dropped.lag), context);
  assert.equal(verdict.missing, dropped.lag, 'exactly what is missing was counted');
  rig.judge(['quick'], { truth }, context);
});

/**
 * What was handed to a connection (8 MiB of payload), and the segment in which the channel reads:
 * files that are held open.
 */
const HANDED_OVER_BYTES = 11 * MIB;
/** Lines of the log about one subject are so far apart (EVENT_EVERY_MS), and a report late. */
const LINES = {
  held: /"held".*"a channel lags too far: it holds the journal"/,
  heldNoMore: /"held".*"a channel holds the journal no more"/,
  drops: /"held".*"retention".*"a channel drops records"/,
  dropsNoMore: /"held".*"a channel drops no more records"/,
};

test('retention waits for one that holds, up to the cap of the journal', {
  skip,
}, async (context) => {
  const capBytes = 6 * MIB;
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    bytesPerSecond: 3_000_000,
    destinations: ['held', 'quick'],
    config: {
      journal: { segmentBytes: MIB, retentionBytes: MIB, retentionMs: 1_000, capBytes },
      log: { level: 'info' },
    },
    forward: (to) => ({
      destinations: [to('held', { ...SMALL, onLag: 'hold', lagBytesMax: MIB }), to('quick')],
    }),
  });
  const held = rig.destination('held');
  const journal = join(rig.dataDir, 'journal');
  held.isReading = false;
  rig.startExporters();
  await rig.until('more is kept than retention would', () => {
    return segmentsOf(journal).length > 4;
  });
  assert.equal((await rig.channel('held')).dropped.retention, 0);
  await rig.until('the cap overtakes it', async () => {
    const { position } = await rig.channel('held');
    const oldest = Math.min(...segmentsOf(journal).map(segmentPosition));
    return oldest > position + HANDED_OVER_BYTES;
  });
  assert.equal((await rig.channel('held')).state, 'held');
  held.isReading = true;
  await rig.settle();
  const { server } = rig;
  for (const [what, line] of Object.entries(LINES)) {
    await rig.until(`the log tells: ${what}`, () => line.test(server.stderr));
  }
  const report = await rig.finish();
  const { dropped, received, delivered } = report.channels.find(({ name }) => name === 'held')!;
  assert.ok(dropped.retention > 0, 'what retention took is counted');
  assert.equal(held.records, delivered);
  assert.equal(received, delivered + dropped.retention);
  const quick = rig.destination('quick');
  assert.equal(quick.records, received);
  // The journal has it no more: the other one got all, and one by one it is compared with that.
  const truth = truthOfReceived(quick.connections);
  const verdict = rig.judge(['held'], droppedOf(truth, dropped.retention), context);
  assert.equal(verdict.missing, dropped.retention, 'exactly what is missing was counted');
});

/**
 * Reload under load: destinations come, go and change, and the others notice nothing.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import type { ReceivedConnection } from './support/forward-received.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;

/** Not every record of the stream any more. */
function isSkipping({ records, sequences }: ReceivedConnection): boolean {
  return records > 0 && sequences[records - 1] !== records - 1;
}

test('destinations are added, changed and removed under load', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    destinations: ['stays', 'changes', 'goes', 'comes'],
    forward: (to) => ({ destinations: [to('stays'), to('changes'), to('goes')] }),
  });
  rig.startExporters();
  const before = ['stays', 'changes', 'goes'].map((name) => rig.destination(name));
  await rig.until('records flow', () => {
    const areAll = before.every(({ connections }) => connections.length === rig.exporters.length);
    return areAll && rig.destination('goes').records > 500;
  });
  rig.reload((to) => ({
    destinations: [
      to('stays'),
      to('changes', { filter: "subscriber_id ~ '1@'", connections: 'merged' }),
      to('comes'),
    ],
  }));
  await rig.until('the new one gets records', () => rig.destination('comes').records > 500);
  // The old one ends when it has sent what it had: until then there must be more to come.
  const merged = (): readonly ReceivedConnection[] =>
    rig.destination('changes').connections.slice(rig.exporters.length);
  await rig.until('the changed one gets records', () =>
    merged().some(({ records }) => records > 0),
  );
  const report = await rig.finish();
  const truth = rig.truth(true);
  const stays = rig.judge(['stays'], { truth }, context);
  assert.equal(stays.received, truth.records);
  assert.equal(rig.destination('stays').connections.length, rig.exporters.length, 'none was lost');
  rig.judge(['comes'], { truth }, context);
  const names = report.channels.map(({ name }) => name).sort();
  assert.deepEqual(names, ['changes', 'comes', 'stays']);
  const files = readdirSync(join(rig.dataDir, 'positions'));
  assert.ok(!files.some((name) => name.includes('goes')), `its position is gone: ${files.join()}`);
  // Everything up to a block boundary, then what the filter lets pass: nothing that it should not.
  const after = merged();
  assert.ok(after.length === 1 && after[0]!.records > 0, 'one merged connection follows');
  for (let i = 0; i < after[0]!.records; i++) {
    const stream = truth.streams.get(after[0]!.marks[i]!)!;
    const key = stream.keys[after[0]!.sequences[i]!]!;
    assert.ok(key.slice('subscriber '.length).includes('1@'), key);
  }
});

test('a filter and limits change under load, and no connection ends', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    destinations: ['narrows', 'limited'],
    forward: (to) => ({ destinations: [to('narrows'), to('limited')] }),
  });
  rig.startExporters();
  const { connections: narrow } = rig.destination('narrows');
  await rig.until('records flow to each', () => {
    return narrow.length === rig.exporters.length && narrow.every(({ records }) => records > 200);
  });
  rig.reload((to) => ({
    destinations: [
      to('narrows', { filter: "subscriber_id ~ '1@'", onLag: 'drop-oldest', lagMsMax: 600_000 }),
      to('limited', { lagBytesMax: 1e9, lingerMs: 1, mechanism: 'copy', keepAliveMs: 5_000 }),
    ],
  }));
  await rig.until('it is in force', async () => (await rig.channel('narrows')).filtered > 500);
  await rig.until('each has got what it lets pass', () => narrow.every(isSkipping));
  const report = await rig.finish();
  const truth = rig.truth(true);
  for (const name of ['narrows', 'limited']) {
    const { connections } = rig.destination(name);
    assert.equal(connections.length, rig.exporters.length, `${name} keeps its connections`);
  }
  assert.equal(rig.judge(['limited'], { truth }, context).received, truth.records);
  const { delivered, filtered, received, dropped } = report.channels[0]!;
  assert.deepEqual([received, dropped.lag], [delivered + filtered, 0]);
  assert.equal(rig.destination('narrows').records, delivered);
  for (const { records, marks, sequences } of rig.destination('narrows').connections) {
    // Everything in order, and from a record on only what is chosen, all of that.
    let at = 0;
    while (at < records && sequences[at] === at) at++;
    const { keys } = truth.streams.get(marks[0]!)!;
    const isChosen = (sequence: number): boolean =>
      keys[sequence]!.slice('subscriber '.length).includes('1@');
    const chosen = keys.flatMap((_, i) => (i >= at && isChosen(i) ? [i] : []));
    assert.deepEqual([...sequences.slice(at, records)], chosen);
    assert.ok(at > 0 && at < records);
  }
});

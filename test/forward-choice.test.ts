/**
 * Forwarding what was chosen: filters, categories, and the shares of a balanced group.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordByName } from '../src/rdr/index.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';
import type { TrueStream } from './support/forward-truth.ts';

const skip = addonSkipReason() ?? false;
const RECORDS = 1_000;
const TUR = recordByName('TRANSACTION_USAGE_RDR')!.tag;
const PAIRS = [
  { name: 'turns', by: 'block', members: ['one', 'two'] },
  { name: 'farm', by: 'hash', members: ['left', 'right'] },
] as const;
const SHARING = PAIRS.flatMap(({ members }) => members);

const isUsage = ({ tags }: TrueStream, sequence: number): boolean => tags[sequence] === TUR;
const isChosen = (stream: TrueStream, sequence: number): boolean =>
  isUsage(stream, sequence) && stream.keys[sequence]!.includes('1@');

test('only what a filter lets pass arrives, and all of it', { skip }, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    mix: 'all',
    destinations: ['usage', 'some', 'category'],
    forward: (to) => ({
      destinations: [
        to('usage', { filter: 'tag = TRANSACTION_USAGE_RDR' }),
        to('some', { filter: "tag = TRANSACTION_USAGE_RDR and subscriber_id ~ '1@'" }),
        to('category', { categories: ['usage'], connections: 'merged' }),
      ],
      categories: { usage: ['TRANSACTION_USAGE_RDR'] },
    }),
  });
  rig.startExporters();
  await rig.until('each has some', () => {
    return ['usage', 'some', 'category'].every((name) => rig.destination(name).records > 100);
  });
  const report = await rig.finish();
  const truth = rig.truth(true);
  const verdicts = {
    usage: rig.judge(['usage'], { truth, chosen: isUsage }, context),
    some: rig.judge(['some'], { truth, chosen: isChosen }, context),
    category: rig.judge(['category'], { truth, chosen: isUsage, connections: 'merged' }, context),
  };
  assert.ok(verdicts.some.received > 0 && verdicts.some.received < verdicts.usage.received);
  for (const { name, received, delivered, filtered } of report.channels) {
    const verdict = verdicts[name as keyof typeof verdicts];
    assert.deepEqual(
      { received, delivered, filtered },
      {
        received: truth.records,
        delivered: verdict.received,
        filtered: truth.records - verdict.received,
      },
      name,
    );
  }
});

/** How many blocks there are is up to the scheduler, so the shares settle in time. */
function isShared(rig: ForwardRig, members: readonly string[]): boolean {
  const records = members.map((member) => rig.destination(member).records);
  const sum = records.reduce((all, one) => all + one, 0);
  return sum > members.length * RECORDS && Math.min(...records) > sum / 8;
}

test('members of a balanced group share everything, by block and by hash', {
  skip,
}, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    mix: 'all',
    destinations: SHARING,
    forward: (to) => ({
      destinations: SHARING.map((name) => to(name)),
      groups: PAIRS.map(({ name, by, members }) => ({
        name,
        mode: 'load-balancing' as const,
        by,
        members: members.map((destination) => ({ destination })),
        // Nobody is left out of it: on a machine that stands still, a member may seem down.
        switchOverMs: 600_000,
      })),
    }),
  });
  rig.startExporters();
  await rig.until('each has a share', () => PAIRS.every(({ members }) => isShared(rig, members)));
  const report = await rig.finish();
  const truth = rig.truth(true);
  for (const { name, by, members } of PAIRS) {
    const verdict = rig.judge(members, { truth, mode: by }, context);
    assert.equal(verdict.doubles, 0);
    const channels = report.channels.filter(({ group }) => group === name);
    const delivered = channels.reduce((sum, channel) => sum + channel.delivered, 0);
    assert.equal(delivered, truth.records);
  }
});

/**
 * Load-balancing by block, of a server that is killed: the journal goes on counting its blocks, and
 * each block goes to the member whose turn it is, to no other.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { FLOW_CONTEXT_ID_OFFSET, frameLength, SOURCE_IP_SAMPLE_OFFSET } from '../src/rdr/index.ts';
import { JournalReader } from '../src/server/journal/reader.ts';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { chooseSeed, ForwardRig } from './support/forward-server-rig.ts';

const skip = addonSkipReason() ?? false;
const KILLS = 2;
/** Of the names, which is not that in which they are configured. */
const IN_TURN = ['one', 'three', 'two'];
const CONFIGURED = ['one', 'two', 'three'];

/** The block of a record, by the mark of its incoming connection and its ordinal in it. */
function blockByRecord(dataDir: string): { blocks: number; find: Map<number, number[]> } {
  const find = new Map<number, number[]>();
  const reader = new JournalReader(join(dataDir, 'journal'));
  let blocks = 0;
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    const { bytes, view, offset, length, header } = block;
    assert.equal(header.blockOrdinal, blocks++, 'blocks are counted without a hole');
    for (let at = offset; at < offset + length; at += frameLength(bytes, at)) {
      const mark = view.getUint16(at + SOURCE_IP_SAMPLE_OFFSET);
      if (!find.has(mark)) find.set(mark, []);
      find.get(mark)![view.getUint32(at + FLOW_CONTEXT_ID_OFFSET)] = header.blockOrdinal;
    }
  }
  reader.close();
  return { blocks, find };
}

test('blocks go to the members in turn, also over kills of the server', {
  skip,
}, async (context) => {
  const rig = await ForwardRig.open(context, {
    seed: chooseSeed(context),
    bytesPerSecond: 1_000_000,
    destinations: CONFIGURED,
    // Some segments, so that the count goes over their ends, too.
    config: { journal: { segmentBytes: 1024 * 1024 } },
    forward: (to) => ({
      destinations: CONFIGURED.map((name) => to(name)),
      groups: [
        {
          name: 'turns',
          mode: 'load-balancing' as const,
          by: 'block' as const,
          members: CONFIGURED.map((destination) => ({ destination })),
          // Nobody is left out of it: on a machine that stands still, a member may seem down.
          switchOverMs: 600_000,
        },
      ],
    }),
  });
  rig.startExporters();
  for (let i = 0; i < KILLS; i++) {
    const before = CONFIGURED.map((name) => rig.destination(name).records);
    await rig.until('records flow', () => {
      return CONFIGURED.every((name, at) => rig.destination(name).records > before[at]! + 1_000);
    });
    await rig.killServer();
    await rig.startServer();
  }
  await rig.finish();
  const truth = rig.truth();
  const verdict = rig.judge(CONFIGURED, { truth, mode: 'block' }, context);
  assert.equal(verdict.missing, 0, 'no block to nobody');
  const { blocks, find } = blockByRecord(rig.dataDir);
  assert.ok(blocks >= (KILLS + 1) * IN_TURN.length, `${blocks} blocks`);
  const turns = new Set<number>();
  for (const [index, name] of IN_TURN.entries()) {
    for (const { marks, sequences } of rig.destination(name).connections) {
      for (const [at, mark] of marks.entries()) {
        const block = find.get(mark)![sequences[at]!]!;
        if (block % IN_TURN.length !== index) assert.fail(`block ${block} came to ${name}`);
        turns.add(block);
      }
    }
  }
  assert.equal(turns.size, blocks, 'every block had its turn');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BroadcastRing } from '../toolkit/ring/index.ts';
import { addonSkipReason, closeFd } from '../toolkit/sys/index.ts';
import { makeConfig } from './config.ts';
import { Memory } from './memory.ts';
import { STORE_READER } from './setup.ts';

const NO_JOURNAL = {
  uuid: new Uint8Array(16),
  nextPosition: 0,
  nextOrdinal: 0,
  nextBlockOrdinal: 0,
  nextConnectionId: 0,
  tornBytes: 0,
  segments: 0,
};

test('a store that fails in its start, its place in the ring taken, lets the next one start', {
  skip: addonSkipReason() ?? false,
}, () => {
  const config = makeConfig({ pages: { arenaBytes: 32 * 1024 * 1024 } });
  const memory = new Memory(config, NO_JOURNAL, 'nowhere', [], []);
  const { broadcast } = memory.shared;
  BroadcastRing.reader(broadcast, STORE_READER).join();
  // What the supervisor does before each start.
  memory.abandon('store', 0);
  assert.equal(memory.broadcast.readerPlace(STORE_READER), 'none');
  BroadcastRing.reader(broadcast, STORE_READER).close();
  memory.abandon('store', 0);
  assert.equal(memory.broadcast.readerState(STORE_READER), 'closed', 'in order: left alone');
  for (const fd of [...memory.wakeFds, memory.shared.forwardWakeFd]) closeFd(fd);
});

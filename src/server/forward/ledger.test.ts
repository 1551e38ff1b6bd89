/**
 * Ledger: against a model of a channel, with random settlements, kills and shutdowns.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { Prng } from '../../toolkit/base/prng.ts';
import { Ledger, type LedgerEntry, makePassed } from './ledger.ts';
import { type ChannelPosition, makePosition } from './position-file.ts';

function sum(at: ChannelPosition): number {
  const dropped = at.cut + at.interrupted + at.lag + at.retention + at.damaged + at.removed;
  return at.delivered + at.filtered + dropped;
}

function closes(at: ChannelPosition): void {
  assert.equal(at.ordinal - at.startOrdinal, sum(at) + at.begun, 'the ledger closes');
}

interface Block {
  readonly start: number;
  readonly records: number;
  readonly chosen: number;
}

/** Blocks of 1..9 records at positions of 100 bytes a record. */
function makeBlocks(prng: Prng, count: number): Block[] {
  const blocks: Block[] = [];
  let start = 0;
  for (let i = 0; i < count; i++) {
    const records = 1 + prng.below(9);
    const chosen = prng.chance(0.3) ? 0 : prng.below(records + 1);
    blocks.push({ start, records, chosen });
    start += records;
  }
  return blocks;
}

/** One life of a channel: begins where the file says, ends after `steps`; returns what was sent. */
function live(
  prng: Prng,
  resend: 'none' | 'unacked',
  file: ChannelPosition,
  blocks: readonly Block[],
  steps: number,
): { file: ChannelPosition; sent: number[] } {
  const ledger = new Ledger({ ...file }, resend);
  const sent: number[] = [];
  const open: { entry: LedgerEntry; index: number }[] = [];
  let next = blocks.findIndex((block) => block.start * 100 >= file.position);
  if (next < 0) next = blocks.length;
  let written = { ...file };
  const write = (): void => {
    written = { ...ledger.committed };
    closes(written);
    ledger.written();
  };
  for (let step = 0; step < steps; step++) {
    if (next < blocks.length && prng.chance(0.5)) {
      const block = blocks[next]!;
      const end = block.start + block.records;
      if (block.chosen === 0) {
        ledger.pass(end * 100, end, 1, { ...makePassed(), filtered: block.records });
      } else {
        const rest = block.records - block.chosen;
        const entry = ledger.begin(end * 100, end, block.chosen, rest, end);
        if (resend === 'none') write();
        sent.push(next);
        open.push({ entry, index: next });
      }
      next++;
    } else if (open.length > 0) {
      const { entry } = open[prng.below(open.length)]!;
      const part = 1 + prng.below(entry.waiting);
      const cut = resend === 'none' && prng.chance(0.1) ? 1 : 0;
      ledger.settle(entry, { delivered: part - cut, cut, resent: 0, damaged: 0 });
      if (entry.waiting === 0)
        open.splice(
          open.findIndex((one) => one.entry === entry),
          1,
        );
    }
    closes({ ...ledger.committed });
    const totals = Object.values(ledger.totals()).reduce((all, one) => all + one, 0);
    const { startOrdinal } = ledger.committed;
    assert.equal(ledger.readOrdinal - startOrdinal, totals + ledger.waiting, 'as it is now');
    if (prng.chance(0.2)) write();
  }
  return { file: written, sent };
}

for (const resend of ['none', 'unacked'] as const) {
  test(`${resend}: over random kills no block is missed, or none is sent twice; it closes`, () => {
    const seed = randomInt(2 ** 32);
    const prng = new Prng(seed);
    for (let round = 0; round < 300; round++) {
      const blocks = makeBlocks(prng, 60);
      let file = makePosition(0, 0);
      const times = new Int32Array(blocks.length);
      for (let lives = 0; lives < 12; lives++) {
        const life = live(prng, resend, file, blocks, 5 + prng.below(60));
        file = life.file;
        for (const index of life.sent) times[index]!++;
      }
      const behind = blocks.filter((block) => block.start * 100 < file.position);
      for (let i = 0; i < behind.length; i++) {
        if (blocks[i]!.chosen === 0) continue;
        if (resend === 'none') assert.equal(times[i], 1, `seed ${seed}: block ${i} once`);
        else assert.ok(times[i]! >= 1, `seed ${seed}: block ${i} at least once`);
      }
      closes(file);
      if (resend === 'unacked') assert.equal(file.interrupted, 0);
    }
  });
}

test('unacked: the position waits for the first block that is not settled', () => {
  const ledger = new Ledger(makePosition(0, 0), 'unacked');
  const first = ledger.begin(100, 10, 4, 6, 1);
  const second = ledger.begin(200, 20, 10, 0, 2);
  ledger.pass(300, 30, 1, { ...makePassed(), lag: 10 });
  ledger.settle(second, { delivered: 10, cut: 0, resent: 2, damaged: 0 });
  assert.equal(ledger.committed.position, 0);
  assert.equal(ledger.committed.resent, 2);
  assert.equal(ledger.oldestArrivalMs, 1);
  ledger.settle(first, { delivered: 4, cut: 0, resent: 0, damaged: 0 });
  const { position, delivered, filtered, lag, blocks } = ledger.committed;
  assert.deepEqual([position, delivered, filtered, lag, blocks], [300, 14, 6, 10, 3]);
  assert.equal(ledger.held, 0);
});

test('none: what was begun at a kill is interrupted, and the position is behind it', () => {
  const ledger = new Ledger(makePosition(0, 0), 'none');
  ledger.begin(100, 10, 4, 6, 1);
  const file = { ...ledger.committed };
  assert.deepEqual([file.position, file.begun, file.filtered], [100, 4, 6]);
  const after = new Ledger(file, 'none');
  assert.deepEqual([after.committed.interrupted, after.committed.begun], [4, 0]);
  assert.equal(after.readPosition, 100);
});

test('none: blocks of which nothing was sent are taken back, newest first', () => {
  const ledger = new Ledger(makePosition(0, 0), 'none');
  const first = ledger.begin(100, 10, 4, 6, 1);
  ledger.pass(150, 15, 1, { ...makePassed(), filtered: 5 });
  const second = ledger.begin(200, 20, 5, 0, 2);
  assert.equal(ledger.retract(first), false, 'not the newest');
  assert.equal(ledger.retract(second), true);
  assert.equal(ledger.committed.position, 150);
  assert.equal(ledger.retract(first), true);
  const { position, ordinal, begun, filtered, blocks } = ledger.committed;
  assert.deepEqual([position, ordinal, begun, filtered, blocks], [0, 0, 0, 0, 0]);
  assert.equal(ledger.retract(first), false);
  const third = ledger.begin(100, 10, 4, 6, 1);
  ledger.settle(third, { delivered: 1, cut: 0, resent: 0, damaged: 0 });
  assert.equal(ledger.retract(third), false, 'answered for in part');
});

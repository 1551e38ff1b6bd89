import assert from 'node:assert/strict';
import { test } from 'node:test';
import { monotonicUs } from '../../toolkit/base/clock.ts';
import { BLOCK_HEADER_BYTES } from '../../toolkit/base/limits.ts';
import { COMMAND_DRAIN, Commands, Control, type SinkReport } from '../control.ts';
import type { BlockSource, BlockView } from '../journal/block-source.ts';
import { makeBlockHeader, writeStamp } from '../journal/format.ts';
import { bucketOf, LatencyStage, leastOf } from './latency-stage.ts';

test('a bucket starts at its least time, and is at most 1/32 wide', () => {
  for (const us of [0, 1, 63, 64, 65, 127, 128, 1_000, 65_535, 65_536, 9_999_999, 2 ** 32 - 1]) {
    const least = leastOf(bucketOf(us));
    const next = leastOf(bucketOf(us) + 1);
    assert.ok(least <= us && us < next, `${us}: ${least} .. ${next}`);
    assert.ok(next - least <= Math.max(1, us / 32), `${us}: ${least} .. ${next}`);
  }
});

test('blocks are timed from their stamp, after the warm-up, and all are counted', async () => {
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const header = { ...makeBlockHeader(), recordCount: 3 };
  let left = 0;
  const source: BlockSource = {
    position: 0,
    skippedBytes: 0,
    source: 'ring',
    tryNext(): BlockView | null {
      if (left === 0) return null;
      left--;
      writeStamp(view, 0, monotonicUs() - 5_000);
      const offset = BLOCK_HEADER_BYTES;
      return { header, bytes, view, offset, length: 0, endPosition: 500 };
    },
    release() {},
    close() {},
  };
  const reports: SinkReport[] = [];
  const commands = new Commands();
  const stage = new LatencyStage(
    source,
    new Control(commands.handle),
    () => 500,
    (report) => reports.push(report),
  );
  stage.onStart();
  left = 1;
  stage.doWork();
  await new Promise((resolve) => setTimeout(resolve, 750));
  left = 2;
  stage.doWork();
  commands.send(COMMAND_DRAIN);
  while (!stage.done) stage.doWork();
  stage.onClose();
  const last = reports.at(-1)!;
  assert.equal(last.delivered, 9);
  const found = Object.entries(last.tables);
  assert.equal(
    found.reduce((sum, [, blocks]) => sum + blocks, 0),
    2,
    'the first was warm-up',
  );
  for (const [name] of found) assert.ok(Number(name.slice(3)) >= 4_800, name);
});

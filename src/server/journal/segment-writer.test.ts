import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryFolder } from '../../../test/support/journal-files.ts';
import { addonSkipReason, closeFd } from '../../toolkit/sys/index.ts';
import { readSegmentHead, SEGMENT_HEAD_BYTES, segmentName } from './format.ts';
import { SegmentWriter } from './segment-writer.ts';

const needsAddon = { skip: addonSkipReason() };
const UUID = new Uint8Array(16).fill(7);
const SEGMENT_BYTES = 1_000;

function makeWriter(folder: string, position: number, canSeal = (): boolean => true) {
  const sealed: number[] = [];
  const writer = new SegmentWriter(
    { folder, segmentBytes: SEGMENT_BYTES, uuid: UUID, canSeal },
    position,
    (fd) => sealed.push(fd),
  );
  return { writer, sealed };
}

test(
  'segments roll when full, begin where the last ended, and are cut to what they hold',
  needsAddon,
  (t) => {
    const folder = temporaryFolder(t);
    const { writer, sealed } = makeWriter(folder, 5_000);
    const block = new Uint8Array(300).fill(1);
    const positions: number[] = [];
    for (let i = 0; i < 5; i++) {
      assert.equal(writer.reserve(300, i, 10 + i, 40 + i), 0);
      positions.push(writer.position);
      assert.equal(writer.append(block, 0, 300), 300);
    }
    writer.seal();
    writer.seal();
    assert.deepEqual(positions, [5_128, 5_428, 5_856, 6_156, 6_584]);
    assert.deepEqual(readdirSync(folder).sort(), [5_000, 5_728, 6_456].map(segmentName));
    assert.deepEqual([writer.segments, sealed.length, writer.fd], [3, 3, -1]);
    assert.equal(statSync(join(folder, segmentName(5_000))).size, 728);
    const head = readSegmentHead(readFileSync(join(folder, segmentName(5_728))))!;
    assert.deepEqual([head.position, head.firstOrdinal], [5_728, 2]);
    assert.deepEqual([head.firstConnectionId, head.firstBlockOrdinal], [12, 42]);
    for (const fd of sealed) closeFd(fd);
  },
);

test('while nobody takes a full segment over, it grows', needsAddon, (t) => {
  const folder = temporaryFolder(t);
  let canSeal = true;
  const { writer, sealed } = makeWriter(folder, 0, () => canSeal);
  const block = new Uint8Array(800);
  for (let i = 0; i < 4; i++) {
    canSeal = i === 3;
    assert.equal(writer.reserve(800, i, 1, i), 0);
    assert.equal(writer.append(block, 0, 800), 800);
  }
  writer.seal();
  assert.deepEqual(readdirSync(folder).sort(), [0, 2_528].map(segmentName));
  for (const fd of sealed) closeFd(fd);
});

test('a file left behind by a failed attempt is written anew', needsAddon, (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, segmentName(64)), new Uint8Array(5_000).fill(0xee));
  const { writer, sealed } = makeWriter(folder, 64);
  assert.equal(writer.reserve(100, 3, 4, 5), 0);
  writer.append(new Uint8Array(100), 0, 100);
  writer.seal();
  const bytes = readFileSync(join(folder, segmentName(64)));
  assert.equal(bytes.length, SEGMENT_HEAD_BYTES + 100);
  assert.equal(readSegmentHead(bytes)!.firstOrdinal, 3);
  for (const fd of sealed) closeSync(fd);
});

/** In a process of its own: no file may grow beyond `blocks` times 1,024 bytes. */
function withFileLimit(blocks: number, folder: string): { status: number | null; text: string } {
  const url = new URL('./segment-writer.js', import.meta.url).href;
  const script = `
    import { SegmentWriter } from ${JSON.stringify(url)};
    import { readdirSync } from 'node:fs';
    process.on('SIGXFSZ', () => {});
    let handed = 0;
    const writer = new SegmentWriter(
      { folder: ${JSON.stringify(folder)}, segmentBytes: 1_000_000, uuid: new Uint8Array(16) },
      0, () => { handed++; });
    const results = [];
    for (let i = 0; i < 200; i++) {
      let result = writer.reserve(700, 0, 1, 0);
      if (result === 0) result = writer.append(new Uint8Array(700).fill(i), 0, 700);
      results.push(result);
    }
    const open = readdirSync('/proc/self/fd').length;
    console.log(JSON.stringify({ results, handed, position: writer.position, open }));`;
  const child = spawnSync(
    '/bin/bash',
    ['-c', `ulimit -f ${blocks}; exec "$0" --input-type=module -e "$1"`, process.execPath, script],
    { encoding: 'utf8', timeout: 60_000 },
  );
  return { status: child.status, text: child.stdout + child.stderr };
}

test(
  'a write that the file system refuses: the position stays, nothing is handed over',
  needsAddon,
  (t) => {
    const cases: readonly [number, number][] = [
      [0, 0],
      [2, 2],
    ];
    for (const [blocks, written] of cases) {
      const folder = temporaryFolder(t);
      const { status, text } = withFileLimit(blocks, folder);
      assert.equal(status, 0, text);
      const { results, handed, position, open } = JSON.parse(text) as Record<string, number> & {
        results: number[];
      };
      assert.deepEqual(results.slice(0, written), Array(written).fill(700));
      assert.ok(
        results.slice(written).every((result) => result === -constants.errno.EFBIG),
        results.join(' '),
      );
      assert.equal(position, written === 0 ? 0 : SEGMENT_HEAD_BYTES + written * 700);
      assert.equal(handed, 0);
      assert.ok(open! < 100, 'no descriptor is left open by an attempt');
    }
  },
);

/** The instruments themselves: stamps show a rewritten page, a sample has every pair. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { fullGrid, pairwise } from './pairwise.ts';
import { type Stamp, StreamChecker, stampMessage } from './stamps.ts';

const SIZES = [1, 19, 20, 4095, 4096, 4097, 65_536];

function stampedStream(size: number, count: number): { bytes: Uint8Array; stamps: Stamp[] } {
  const bytes = new Uint8Array(size * count);
  const stamps = Array.from({ length: count }, (_, sequence) => {
    const stamp = { connection: 3, sequence, generation: (sequence * 7) % 5 };
    stampMessage(bytes, sequence * size, size, stamp);
    return stamp;
  });
  return { bytes, stamps };
}

test('a stream that nobody touched has no corrupt piece, in any portions', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (const size of SIZES) {
    const { bytes, stamps } = stampedStream(size, 5);
    const checker = new StreamChecker(size, stamps);
    for (let at = 0; at < bytes.length; ) {
      const next = at + 1 + prng.below(Math.max(1, size * 2));
      checker.feed(bytes.subarray(at, next));
      at = next;
    }
    const { corrupt, pieces, bytes: total } = checker.findings;
    assert.deepEqual([corrupt, pieces, total], [0, 5 * Math.ceil(size / 4096), size * 5]);
  }
});

test('any single byte that changes is one corrupt piece', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (const size of SIZES) {
    const { bytes, stamps } = stampedStream(size, 4);
    for (let round = 0; round < 20; round++) {
      const at = prng.below(bytes.length);
      bytes[at]! ^= 1 << prng.below(8);
      const checker = new StreamChecker(size, stamps);
      checker.feed(bytes);
      assert.equal(checker.findings.corrupt, 1, `size ${size}, byte ${at}`);
      const again = stampedStream(size, 4).bytes;
      bytes.set(again);
    }
  }
});

test('a page of a later life is named', () => {
  const size = 65_536;
  const { bytes, stamps } = stampedStream(size, 4);
  stampMessage(bytes, size, size, stamps[3]!);
  const checker = new StreamChecker(size, stamps);
  checker.feed(bytes);
  assert.deepEqual([checker.findings.corrupt, checker.findings.rewritten], [16, 16]);
  assert.match(checker.findings.words[0]!, /message 1 piece 0.*saw 1 of message 3.*CRC right/);
  assert.equal(checker.findings.words.length, 5);
});

test('a sample has every pair of values, and far fewer rows than the grid', () => {
  const factors = { a: [1, 2, 3, 4, 5, 6, 7], b: ['x', 'y', 'z'], c: [0, 1, 2], d: [9, 8, 7, 6] };
  const rows = pairwise(factors);
  const names = Object.keys(factors) as (keyof typeof factors)[];
  for (const one of names) {
    for (const other of names.filter((name) => name > one)) {
      for (const v of factors[one]) {
        for (const w of factors[other]) {
          assert.ok(
            rows.some((row) => row[one] === v && row[other] === w),
            `${one}=${v} ${other}=${w}`,
          );
        }
      }
    }
  }
  assert.ok(rows.length <= 40 && fullGrid(factors).length === 252, String(rows.length));
});

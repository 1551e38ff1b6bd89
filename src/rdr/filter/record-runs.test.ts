import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../toolkit/base/prng.ts';
import { frameLength } from '../frame.ts';
import { fieldBytesAt, makeFieldFinder } from './field-finder.ts';
import { randomFrame } from './random-filter.test-data.ts';
import { RECORD_RUN_STRIDE, RecordRuns, selectRuns } from './record-runs.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);
const NOBODY = new Uint8Array(16);

test('runs are the chosen records, in order, neighbours together', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED);
  const runs = new RecordRuns(1);
  for (let round = 0; round < 100; round++) {
    const frames = Array.from({ length: random.below(40) }, () => randomFrame(random));
    const start = random.below(50);
    const bytes = Buffer.concat([Buffer.alloc(start), ...frames]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const chosen = frames.map(() => random.chance(0.5));
    let next = 0;
    const predicate = () => chosen[next++]!;
    selectRuns(predicate, bytes, view, start, bytes.length - start, NOBODY, runs);
    const due = frames.filter((_, index) => chosen[index]);
    const got: Buffer[] = [];
    let end = -1;
    for (let i = 0; i < runs.runCount; i++) {
      const at = i * RECORD_RUN_STRIDE;
      const [offset, length, records] = runs.entries.subarray(at, at + 3) as unknown as number[];
      assert.ok(offset! > end, 'neighbours are one run');
      end = offset! + length!;
      let count = 0;
      for (let one = offset!; one < end; one += frameLength(bytes, one)) count++;
      assert.equal(count, records);
      got.push(bytes.subarray(offset, end));
    }
    assert.deepEqual(Buffer.concat(got), Buffer.concat(due), `seed ${SEED}`);
    assert.equal(runs.records, due.length);
    assert.equal(runs.bytes, Buffer.concat(due).length);
    assert.equal(runs.walked, frames.length);
    assert.equal(runs.restBytes, 0);
  }
});

test('a block that is not whole records ends where they do', () => {
  const random = new Prng(1);
  const frame = randomFrame(random);
  const all = () => true;
  const runs = new RecordRuns();
  for (const rest of [
    Buffer.from('x'),
    Buffer.alloc(40, 'x'),
    frame.subarray(0, frame.length - 1),
  ]) {
    const bytes = Buffer.concat([frame, frame, rest]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    selectRuns(all, bytes, view, 0, bytes.length, NOBODY, runs);
    assert.equal(runs.restBytes, rest.length);
    assert.deepEqual([...runs.entries.subarray(0, 3)], [0, 2 * frame.length, 2]);
    assert.equal(runs.runCount, 1);
  }
});

test('a field is found by its name, in each record type where it stands', () => {
  const find = makeFieldFinder('subscriber_id');
  const make = (tag: number, fields: readonly (readonly [number, string])[]): Buffer => {
    const parts = fields.map(([type, value]) => {
      const head = Buffer.from([type, 0, 0, 0, value.length]);
      return Buffer.concat([head, Buffer.from(value, 'latin1')]);
    });
    const body = Buffer.concat(parts);
    const header = Buffer.alloc(20);
    header.write(String(15 + body.length).padStart(4, '0'), 1);
    header.writeUInt32BE(tag, 15);
    header[19] = fields.length;
    return Buffer.concat([header, body]);
  };
  const value = (frame: Buffer): string | null => {
    const bytes = Buffer.concat([Buffer.alloc(3), frame]);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const at = find(bytes, view, 3, frame.length);
    return at < 0 ? null : bytes.toString('latin1', at, at + fieldBytesAt(view, at));
  };
  assert.equal(value(make(0xf0f0f438, [[41, 'bob']])), 'bob');
  assert.equal(value(make(0xf0f0f438, [[41, '']])), '');
  assert.equal(value(make(0xf0f0f438, [])), null);
  assert.equal(value(make(0xf0f0f005, [[41, 'bob']])), null, 'Link Usage has none');
  assert.equal(value(make(0xdeadbeef, [[41, 'bob']])), null);
  const damaged = make(0xf0f0f438, [[41, 'bob']]);
  damaged[24] = 4;
  assert.equal(value(damaged), null);
  assert.throws(() => makeFieldFinder('subscriberid'), {
    code: 'MR_FILTER',
    remedy: /subscriber_id/,
  });
});

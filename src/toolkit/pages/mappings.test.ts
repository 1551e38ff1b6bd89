import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { findNewMapping, type Mapping, readMappingDetail, readMappings } from './mappings.ts';

const WASM_PAGE_BYTES = 65_536;

test('the memory of this process stands among its mappings, with what it uses', () => {
  const before = readMappings();
  const memory = new SharedWasmMemory({ initial: 37, maximum: 37, shared: true });
  const bytes = 37 * WASM_PAGE_BYTES;
  const mapping = findNewMapping(before, readMappings(), bytes);
  assert.ok(mapping !== null);
  assert.deepEqual([mapping.bytes, mapping.permissions], [bytes, 'rw-p']);
  assert.equal(readMappingDetail(mapping.start)?.residentBytes, 0);
  new Uint8Array(memory.buffer).fill(1, 0, 40_000);
  const detail = readMappingDetail(mapping.start);
  assert.equal(detail?.residentBytes, 40_960);
  assert.ok(detail.flags.includes('wr'), detail.flags.join(' '));
  assert.equal(readMappingDetail(mapping.start + 1), null);
});

test('two new mappings of the same size are none', () => {
  const one: Mapping = { start: 0x1000, bytes: 0x2000, permissions: 'rw-p' };
  const two: Mapping = { ...one, start: 0x5000 };
  const guard: Mapping = { ...one, start: 0x9000, permissions: '---p' };
  assert.deepEqual(findNewMapping([one], [one, two, guard], 0x2000), two);
  assert.equal(findNewMapping([], [one, two], 0x2000), null);
  assert.equal(findNewMapping([], [one, guard], 0x3000), null);
  // Reserved before, opened now: the same start, and new all the same.
  const closed: Mapping = { ...two, permissions: '---p' };
  assert.deepEqual(findNewMapping([one, closed], [one, two], 0x2000), two);
});

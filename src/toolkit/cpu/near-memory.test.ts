import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedWasmMemory } from '../base/webassembly.ts';
import { addonSkipReason, EPERM, native } from '../sys/index.ts';
import { placeMemory } from './near-memory.ts';
import { readTopology, topology } from './topology.ts';
import { filesOf, makeTree } from './trees.test-data.ts';

const needsAddon = { skip: addonSkipReason() };
const twoNodes = readTopology(filesOf(makeTree({ sockets: 2, coresPerSocket: 4 })));
const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
const bytes = new Uint8Array(memory.buffer);

/** Runs with an mbind that answers `result`; the masks that it was given. */
function withMbind(result: number, run: () => void): number[] {
  const addon = native();
  const genuine = addon.mbind.bind(addon);
  const masks: number[] = [];
  addon.mbind = (_bytes, _offset, _length, _mode, mask) => {
    masks.push(mask[0]!);
    return result;
  };
  try {
    run();
  } finally {
    addon.mbind = genuine;
  }
  return masks;
}

test('memory is asked from the node of the CPUs', needsAddon, () => {
  const masks = withMbind(0, () => {
    const place = placeMemory(bytes, [5, 6], twoNodes);
    assert.equal(place.state, 'told');
    assert.deepEqual(place.nodes, [1]);
  });
  assert.deepEqual(masks, [2], 'node 1 and no other');
});

test('one node, or CPUs of two: nothing is told', needsAddon, () => {
  const one = readTopology(filesOf(makeTree({ coresPerSocket: 4 })));
  const masks = withMbind(0, () => {
    assert.equal(placeMemory(bytes, [1], one).state, 'firstTouch');
    const both = placeMemory(bytes, [1, 5], twoNodes);
    assert.equal(both.state, 'firstTouch');
    assert.match(both.reason, /no node is near all of CPUs 1,5/);
  });
  assert.deepEqual(masks, []);
});

test('what the kernel or the cpuset refuses is an answer', needsAddon, () => {
  withMbind(-EPERM, () => {
    const place = placeMemory(bytes, [1], twoNodes);
    assert.deepEqual([place.state, place.reason], ['refused', 'mbind: EPERM']);
  });
  const tree = makeTree({ sockets: 2, coresPerSocket: 4 });
  const status = tree
    .get('proc/self/status')!
    .replace(/Mems_allowed_list:.*/, 'Mems_allowed_list:\t0');
  tree.set('proc/self/status', status);
  const masks = withMbind(0, () => {
    const place = placeMemory(bytes, [5], readTopology(filesOf(tree)));
    assert.equal(place.state, 'refused');
    assert.match(place.reason, /no memory of node 1/);
  });
  assert.deepEqual(masks, []);
});

test('on this machine, whatever it is, memory is placed or told why not', needsAddon, () => {
  const { usable } = topology();
  const { state, reason } = placeMemory(bytes, usable.slice(0, 1));
  assert.ok(['told', 'firstTouch', 'refused'].includes(state));
  assert.notEqual(reason, '');
});

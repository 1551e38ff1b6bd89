import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/index.ts';
import { runGuarded } from './child.test-data.ts';

const needsAddon = { skip: addonSkipReason() };

/**
 * Writers of one trapped write each, called in a random order until some are optimised; some differ
 * only in who called them, or in the frames of Node.js between.
 */
const WRITERS = `
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  const buffer = Buffer.from(bytes.buffer);
  const view = new DataView(bytes.buffer);
  function store(at) { bytes[at] = 1; }
  function storeToo(at) { bytes[at] = 1; }
  function viaBuffer(at) { buffer.writeUInt8(1, at); }
  function viaBufferToo(at) { buffer.writeUInt8(1, at); }
  function viaView(at) { view.setInt8(at, 5); }
  function add(at) { Atomics.add(bytes, at, 1); }
  function fill(at) { bytes.fill(3, at, at + 1); }
  function addon(at) { native.scribble(bytes, at, 1, 4); }
  const writers = [store, storeToo, viaBuffer, viaBufferToo, viaView, add, fill, addon];
  const counts = {};
  let seed = Number(process.env.SEED);
  function pick(limit) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    return (seed >> 8) % limit;
  }
  function play(turns) {
    for (let turn = 0; turn < turns; turn++) {
      const writer = writers[pick(writers.length)];
      counts[writer.name] = (counts[writer.name] ?? 0) + 1;
      writer(pick(60000));
    }
  }
`;

const SEED = process.env.MILLRACE_TEST_SEED ?? String(Date.now() % 1_000_000);

test('each culprit is counted for itself, also where its place is known', needsAddon, (context) => {
  context.diagnostic(`MILLRACE_TEST_SEED=${SEED}`);
  const { status, stdout, stderr } = runGuarded(
    `${WRITERS}
    guard.protect(bytes, { label: 'table', mode: 'continue', once: true });
    play(3000);
    const found = {};
    for (const { function: name, count } of guard.culprits()) {
      const writer = name === 'scribble_over' ? 'addon' : name;
      found[writer] = (found[writer] ?? 0) + count;
    }
    process.stdout.write(JSON.stringify([counts, found]));`,
    { env: { SEED } },
  );
  assert.equal(status, 0, stderr);
  const [counts, found] = JSON.parse(stdout) as Record<string, number>[];
  assert.deepEqual(found, counts);
});

test('who may write does not open the way for who may not', needsAddon, () => {
  const { signal, stdout, stderr } = runGuarded(
    `${WRITERS}
    guard.protect(bytes, { label: 'table', allow: ['storeToo', 'viaBufferToo', 'play'] });
    writers.splice(0, writers.length, storeToo, viaBufferToo);
    play(300);
    process.stdout.write('allowed');
    viaBuffer(5);`,
    { env: { SEED } },
  );
  assert.deepEqual([signal, stdout], ['SIGSEGV', 'allowed'], stderr);
  assert.match(stderr, /viaBuffer \(/);
  assert.equal(stderr.split('segmentation fault at').length, 2, stderr);
});

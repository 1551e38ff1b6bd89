import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { addonSkipReason, EINVAL, ENOMEM, failCall } from '../sys/index.ts';
import { type Arena, type ArenaOptions, createArena, HUGE_PAGE_BYTES } from './arena.ts';
import { findNewMapping, type MappingDetail, readMappingDetail, readMappings } from './mappings.ts';

const skip = addonSkipReason();
const MIB = 2 ** 20;

/** An arena and what the kernel knows of its memory. */
function makeArena(bytes: number, options?: ArenaOptions): { arena: Arena; detail: MappingDetail } {
  const before = readMappings();
  const arena = createArena(bytes, options);
  const mapping = findNewMapping(before, readMappings(), arena.memory.buffer.byteLength);
  assert.ok(mapping !== null, 'its mapping is found');
  const detail = readMappingDetail(mapping.start);
  assert.ok(detail !== null);
  return { arena, detail };
}

function hugePagesOff(): string | false {
  const enabled = readFileSync('/sys/kernel/mm/transparent_hugepage/enabled', 'utf8');
  return enabled.includes('[never]') ? 'huge pages are switched off in this kernel' : false;
}

test('an arena uses no memory before it is touched, and no child gets it', { skip }, () => {
  const { arena, detail } = makeArena(5 * MIB);
  assert.ok(detail.residentBytes < 4 * 65_536, `${detail.residentBytes}`);
  assert.ok(detail.flags.includes('dc'), detail.flags.join(' '));
  assert.equal(arena.report.bytes, 5 * MIB);
  assert.deepEqual(arena.report.dontFork, { state: 'granted', reason: '' });
  assert.equal(arena.report.renewal.state, 'granted');
  assert.equal(arena.report.prefault.state, 'notAsked');
  assert.equal(arena.report.hugeBytes, null);
});

test('a pre-faulted arena has all its memory', { skip }, () => {
  const { arena, detail } = makeArena(6 * MIB, { prefault: true });
  assert.deepEqual(arena.report.prefault, { state: 'granted', reason: '' });
  assert.equal(detail.residentBytes, 6 * MIB);
});

test('huge pages start where page 0 does, and the report counts them', {
  skip: skip || hugePagesOff(),
}, () => {
  const { arena, detail } = makeArena(8 * MIB, { prefault: true, huge: true });
  assert.equal((detail.start + arena.offset) % HUGE_PAGE_BYTES, 0);
  assert.equal(arena.report.huge.state, 'granted');
  assert.equal(arena.report.hugeBytes, detail.hugeBytes);
  // Fragmented memory may grant fewer; more than asked for would be the slack.
  assert.ok(detail.hugeBytes <= 8 * MIB, `${detail.hugeBytes}`);
  assert.ok(detail.flags.includes('hg'), detail.flags.join(' '));
  assert.ok(detail.residentBytes >= 8 * MIB);
});

test('each refusal is an answer, and the arena works without', { skip }, () => {
  // The calls in their order: dontFork, hugePage, the trial of renewal, populateWrite.
  const wishes = ['dontFork', 'huge', 'renewal', 'prefault'] as const;
  for (const [index, wish] of wishes.entries()) {
    const fault = failCall({ call: 'madvise', nth: index + 1, errno: EINVAL });
    try {
      const { arena, detail } = makeArena(4 * MIB, { prefault: true, huge: true });
      assert.equal(fault.calls, 4);
      const states = wishes.map((one) => arena.report[one].state);
      const expected = wishes.map((one) => (one === wish ? 'refused' : 'granted'));
      // Memory can be had without the kernel's help.
      if (wish === 'prefault') expected[3] = 'granted';
      assert.deepEqual(states, expected, wish);
      assert.match(arena.report[wish].reason, /madvise: EINVAL/);
      assert.ok(detail.residentBytes >= 4 * MIB, `${wish}: all memory is there`);
      // V8 may have asked for dontFork itself, as that of Node.js 20 does.
      assert.ok(wish === 'dontFork' || detail.flags.includes('dc'));
      assert.equal(detail.flags.includes('hg'), wish !== 'huge');
    } finally {
      fault.restore();
    }
  }
});

test('memory that is not to be had is not forced', { skip }, () => {
  const fault = failCall({ call: 'madvise', nth: 3, errno: ENOMEM });
  try {
    const { arena, detail } = makeArena(4 * MIB, { prefault: true });
    assert.deepEqual(arena.report.prefault, { state: 'refused', reason: 'madvise: ENOMEM' });
    assert.ok(detail.residentBytes < MIB);
  } finally {
    fault.restore();
  }
});

test('memory that comes back after it was given up is never used to renew', { skip }, () => {
  // An answer without the deed, as a mapping of a file would give it.
  const fault = failCall({ call: 'madvise', nth: 2, errno: -4096 });
  try {
    const { arena } = makeArena(MIB);
    const { renewal } = arena.report;
    assert.deepEqual(renewal, { state: 'refused', reason: 'the old memory came back' });
    assert.equal(new Uint8Array(arena.memory.buffer)[0], 0);
  } finally {
    fault.restore();
  }
});

test('without the addon there are pages, and what they cannot do is said', () => {
  const door = new URL('./index.js', import.meta.url).href;
  const program = `
    import { PagePool } from ${JSON.stringify(door)};
    const pool = PagePool.create({ pageCount: 8, prefault: true, huge: true });
    const page = pool.acquire(1);
    pool.lend(page);
    pool.markStale(page);
    pool.giveBack(page);
    pool.stopFilling(page);
    const next = pool.acquire(1);
    console.log(JSON.stringify({ report: pool.report, page, next, stats: pool.stats() }));`;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', program],
    { encoding: 'utf8', env: { ...process.env, MILLRACE_NO_ADDON: '1' }, timeout: 30_000 },
  );
  assert.equal(stderr, '');
  const { report, page, next, stats } = JSON.parse(stdout);
  const refused = { state: 'refused', reason: 'needs the native addon' };
  assert.deepEqual([report.dontFork, report.huge, report.renewal], [refused, refused, refused]);
  assert.equal(report.prefault.state, 'granted');
  assert.match(report.prefault.reason, /by writing/);
  assert.equal(report.hugeBytes, 0);
  assert.deepEqual([page, next], [0, 1], 'a stale page is passed over');
  assert.deepEqual([stats.renewedCount, stats.renewalRefusedCount, stats.stale], [0, 1, 1]);
});

test('more than there can be is one clear error', () => {
  assert.throws(() => createArena(2 ** 40), { code: 'MR_ARENA' });
  assert.throws(() => createArena(4097), { code: 'MR_ASSERT' });
  assert.throws(() => createArena(0), { code: 'MR_ASSERT' });
});

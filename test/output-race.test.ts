/**
 * Reader and writer at the same time, in two threads: pages go round as fast as the policy allows.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ApplicationAckReclaim,
  MsgZerocopyWriter,
  PeerQueueReclaim,
  SpliceWriter,
} from '../src/toolkit/output/index.ts';
import { addonSkipReason, closeFd } from '../src/toolkit/sys/index.ts';
import { native, replaceNative } from '../src/toolkit/sys/load.ts';
import { connectPath, openFds, type Path } from './support/output-rig.ts';
import { pause } from './support/output-session.ts';
import { closeThreads } from './support/peer-rig.ts';
import { type Race, race } from './support/race.ts';

const needsAddon = { skip: addonSkipReason() };

const RACES: readonly (readonly [string, readonly Path[], (fd: number) => Race])[] = [
  [
    'peerQueue',
    ['tcp4', 'tcp6', 'unix'],
    (fd) => ({ writer: new SpliceWriter(fd, new PeerQueueReclaim(fd, { reader: 'recv' })) }),
  ],
  [
    'applicationAck',
    ['tcp4', 'unix'],
    (fd) => {
      const policy = new ApplicationAckReclaim();
      const consumed = (bytes: number) => policy.acknowledge(bytes);
      return { writer: new SpliceWriter(fd, policy, { corkBytes: 0 }), consumed };
    },
  ],
  [
    'notification',
    ['tcp4'],
    (fd) => ({ writer: new MsgZerocopyWriter(fd, { copiedCallsMax: Number.POSITIVE_INFINITY }) }),
  ],
];

for (const [name, paths, make] of RACES) {
  for (const path of paths) {
    test(`${path}: pages go round while the reader reads: ${name}`, needsAddon, async (t) => {
      const seed = (Math.random() * 2 ** 32) >>> 0;
      closeThreads();
      const fds = openFds();
      const { corrupt, pieces, refills, words } = await race(path, make, seed);
      t.diagnostic(`${pieces} pages, ${refills} refills, seed ${seed}`);
      assert.equal(corrupt, 0, `seed ${seed}: ${words.join('; ')}`);
      assert.ok(refills > 0);
      closeThreads();
      await pause(5);
      assert.equal(openFds(), fds);
    });
  }
}

/** Names of the native functions that are called meanwhile, in their order. */
function callsOf(run: () => void): string[] {
  const before = native();
  const names: string[] = [];
  const watched = Object.entries(before).map(([name, value]) => [
    name,
    typeof value !== 'function'
      ? value
      : (...parameters: unknown[]) => {
          names.push(name);
          return (value as (...all: unknown[]) => unknown)(...parameters);
        },
  ]);
  replaceNative(Object.fromEntries(watched) as typeof before);
  try {
    run();
  } finally {
    replaceNative(before);
  }
  return names;
}

// Bytes that arrive between the questions must be counted as queued, never as acknowledged alone:
// test/stress/output-race.test.ts shows what the other order does.
test('peerQueue asks what is acknowledged first, then what is queued', needsAddon, () => {
  const { writer, reader } = connectPath('tcp4');
  const policy = new PeerQueueReclaim(writer, { reader: 'recv' });
  assert.deepEqual(
    callsOf(() => policy.safeBytes(1)),
    ['socketQueue', 'send', 'recv'],
  );
  closeFd(writer);
  closeFd(reader);
  closeThreads();
});

/** Every system call of a connection's life fails, each in its turn. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { test } from 'node:test';
import { someParcels } from '../../../test/support/forward-breaks.ts';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import { ConnectionRig, ParcelFile } from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason, type CallFault, failCall } from '../../toolkit/sys/index.ts';

const { EAGAIN, ECONNRESET, EINVAL, EIO, ENOMEM, ETIMEDOUT } = constants.errno;
const ERRNOS = [EAGAIN, ECONNRESET, EINVAL, EIO, ENOMEM, ETIMEDOUT];
const needsAddon = { skip: addonSkipReason() };

/** What the connection calls, and nothing of the peer's that would fail with it. */
const CALLS = [
  'socketCreate',
  'bind',
  'setsockopt',
  'connect',
  'epollControl',
  'getsockopt',
  'socketName',
  'sendfile',
  'send',
  'sendRanges',
  'pread',
  'socketQueue',
  'shutdown',
] as const satisfies readonly CallFault['call'][];

interface Life {
  readonly resend: 'none' | 'unacked';
  readonly mechanism: 'auto' | 'copy';
  readonly sendBufferBytes?: number;
}

function openFds(): number {
  return readdirSync('/proc/self/fd').length;
}

/** What peers got is a row of pieces of all bytes: none twice, or none missing. */
function checkPieces(
  streams: readonly Buffer[],
  all: Buffer,
  { resend }: Life,
  where: string,
): void {
  let reached = 0;
  for (const got of streams) {
    if (got.length < 20) continue;
    const begin = all.indexOf(got.subarray(0, 20));
    assert.ok(begin >= 0, `${where}: a stream begins at a record boundary`);
    assert.ok(got.equals(all.subarray(begin, begin + got.length)), `${where}: in order`);
    if (resend === 'none') assert.ok(begin >= reached, `${where}: nothing twice`);
    else assert.ok(begin <= reached, `${where}: nothing is missing`);
    reached = Math.max(reached, begin + got.length);
  }
  if (resend === 'unacked') assert.equal(reached, all.length, `${where}: all came`);
}

interface Outcome {
  /** How often the call of the first fault was made. */
  readonly calls: number;
  readonly damaged: number;
}

/** Leads one life with some faults. */
function live(life: Life, faults: readonly CallFault[]): Outcome {
  const where = `${life.resend} ${life.mechanism} ${JSON.stringify(faults)}`;
  const fds = openFds();
  const small = life.sendBufferBytes === undefined ? {} : { receiveBufferBytes: 4_096 };
  const peer = new ForwardPeer(small);
  const file = new ParcelFile();
  const [parcels, all] = someParcels(new Prng(5), 12, file);
  const rig = new ConnectionRig({ ...life, port: peer.port, localAddress: '127.0.0.3' });
  const sets = faults.map((fault) => failCall(fault));
  let next = 0;
  try {
    const each = (): void => {
      while (next < parcels.length && rig.connection.tryAdd(parcels[next]!)) next += 1;
      peer.pump();
    };
    rig.until(() => rig.settled.length === parcels.length, each);
    rig.connection.drain(rig.nowMs, 1_000);
    rig.until(() => rig.connection.state === 'closed', each);
  } finally {
    for (const set of sets.toReversed()) set.restore();
  }
  peer.pump();
  assert.equal(rig.poller.size, 0, `${where}: nothing is watched any more`);
  const damagedRecords = rig.settled.reduce((sum, one) => sum + one.settlement.damaged, 0);
  if (damagedRecords === 0) checkPieces(peer.streams.map(bytesOf), all, life, where);
  for (const { parcel, settlement } of rig.settled) {
    const { delivered, cut, damaged } = settlement;
    assert.equal(delivered + cut + damaged, parcel.records, where);
  }
  rig.close();
  peer.close();
  file.close();
  assert.equal(openFds(), fds, `${where}: an fd is left`);
  return { calls: sets[0]!.calls, damaged: damagedRecords };
}

for (const resend of ['none', 'unacked'] as const) {
  for (const mechanism of ['auto', 'copy'] as const) {
    test(`each call fails once, with each errno: ${resend}, ${mechanism}`, needsAddon, (t) => {
      let lives = 0;
      for (const call of CALLS) {
        const made = live({ resend, mechanism }, [{ call, nth: 1e9, errno: 1 }]).calls;
        const places = new Set([1, 2, made >> 1, made].filter((nth) => nth > 0 && nth <= made));
        for (const nth of places) {
          for (const errno of ERRNOS) {
            const { damaged } = live({ resend, mechanism }, [{ call, nth, errno }]);
            assert.equal(damaged, 0, 'once is no damage');
            lives += 1;
          }
        }
      }
      t.diagnostic(`${lives} lives`);
    });
  }
}

test('records that cannot be read after a break: tried again, then damaged', needsAddon, () => {
  const life = { resend: 'unacked', mechanism: 'auto', sendBufferBytes: 8_192 } as const;
  // Nothing is known to be acknowledged at the break, so that what was begun is walked.
  const unknown = { call: 'socketQueue', nth: 1, errno: ENOMEM, count: 4 } as const;
  const pread = { call: 'pread', nth: 1, errno: EIO } as const;
  let damaged = 0;
  for (let nth = 1; nth <= 20; nth++) {
    const breaks = { call: 'sendfile', nth, errno: ECONNRESET } as const;
    const twice = live(life, [breaks, unknown, { ...pread, count: 2 }]);
    assert.equal(twice.damaged, 0);
    damaged += live(life, [breaks, unknown, { ...pread, count: 1e9 }]).damaged;
  }
  assert.ok(damaged > 0);
});

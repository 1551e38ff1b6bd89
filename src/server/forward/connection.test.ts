/** One connection against a peer in the same thread: streams, breaks, timers. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { bytesOf, ForwardPeer } from '../../../test/support/forward-peer.ts';
import {
  ConnectionRig,
  memoryParcel,
  ParcelFile,
  type RigOptions,
  someRecords,
} from '../../../test/support/forward-rig.ts';
import { Prng } from '../../toolkit/base/prng.ts';
import { addonSkipReason } from '../../toolkit/sys/index.ts';
import type { Parcel } from './parcel.ts';

const needsAddon = { skip: addonSkipReason() };

interface Bench {
  readonly peer: ForwardPeer;
  readonly rig: ConnectionRig;
  readonly file: ParcelFile;
}

function makeBench(t: TestContext, options: RigOptions = {}): Bench {
  const peer = new ForwardPeer();
  const rig = new ConnectionRig({ port: peer.port, ...options });
  const file = new ParcelFile();
  t.after(() => {
    rig.close();
    peer.close();
    file.close();
  });
  return { peer, rig, file };
}

/** Parcels in files and in memory, of random sizes, and all their bytes. */
function someParcels(prng: Prng, count: number, file: ParcelFile): [Parcel[], Buffer] {
  const parcels: Parcel[] = [];
  const pieces: Buffer[] = [];
  let first = 0;
  for (let i = 0; i < count; i++) {
    const records = 1 + prng.below(prng.chance(0.5) ? 5 : 300);
    const bytes = someRecords(prng, first, records);
    first += records;
    pieces.push(bytes);
    parcels.push(prng.chance(0.5) ? file.parcel(bytes, records) : memoryParcel(bytes, records));
  }
  return [parcels, Buffer.concat(pieces)];
}

for (const resend of ['none', 'unacked'] as const) {
  for (const mechanism of ['auto', 'copy'] as const) {
    test(`a stream is the parcels' bytes: ${resend}, ${mechanism}`, needsAddon, (t) => {
      const { peer, rig, file } = makeBench(t, { resend, mechanism });
      const seed = 7;
      const [parcels, expected] = someParcels(new Prng(seed), 60, file);
      let next = 0;
      rig.until(
        () => rig.settled.length === parcels.length && peer.last?.bytes === expected.length,
        () => {
          while (next < parcels.length && rig.connection.tryAdd(parcels[next]!)) next += 1;
          peer.pump();
        },
      );
      assert.deepEqual(bytesOf(peer.last!), expected);
      assert.deepEqual(
        rig.settled.map(({ parcel }) => parcel),
        parcels,
      );
      for (const { parcel, settlement } of rig.settled) {
        assert.deepEqual(settlement, {
          delivered: parcel.records,
          cut: 0,
          resent: 0,
          damaged: 0,
          resumeBytes: parcel.bytes,
        });
      }
      assert.equal(rig.counts.sentBytes, expected.length);
      const records = parcels.reduce((sum, parcel) => sum + parcel.records, 0);
      assert.equal(rig.counts.sentRecords, records);
    });
  }
}

/**
 * Breaks of a forwarding connection, and the model of what its peers may get.
 *
 * MODEL  F is the bytes of all parcels. Stream k is F from a boundary b(k) on. Of it TCP took t(k)
 *        bytes and the peer's TCP acknowledged a(k); what the peer got is a prefix of the t(k).
 *          none     b(k+1) = the boundary at or above b(k) + t(k); one record cut if it is above
 *          unacked  b(k+1) = the boundary at or below b(k) + a(k)
 *        So: none has no double; unacked no gap, when the peer read all before it went. Half of
 *        the time it does not: then its TCP holds acknowledged bytes, and ours unacknowledged ones.
 */
import assert from 'node:assert/strict';
import type { Parcel } from '../../src/server/forward/parcel.ts';
import type { Prng } from '../../src/toolkit/base/prng.ts';
import { bytesOf, ForwardPeer, type PeerStream } from './forward-peer.ts';
import { ConnectionRig, memoryParcel, ParcelFile, someRecords } from './forward-rig.ts';

export interface BreakRun {
  readonly resend: 'none' | 'unacked';
  readonly mechanism: 'auto' | 'copy';
  readonly parcels: number;
  /** Chance that the peer goes, each time that it looks. */
  readonly breakChance: number;
}

interface Break {
  readonly taken: number;
  readonly acked: number;
}

/** Record boundaries of all bytes, and 0. */
function boundariesOf(all: Buffer): readonly number[] {
  const boundaries = [0];
  for (let at = 0; at < all.length; boundaries.push(at)) {
    at += 5 + Number(all.toString('latin1', at + 1, at + 5));
  }
  return boundaries;
}

export function someParcels(prng: Prng, count: number, file: ParcelFile): [Parcel[], Buffer] {
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

/**
 * The peer reads a little, or all, or goes: reset, or closed. Notes streams that it read to the
 * end.
 */
function actAsPeer(
  peer: ForwardPeer,
  prng: Prng,
  breakChance: number,
  readOut: Set<PeerStream>,
): void {
  peer.accept();
  const stream = peer.last;
  if (stream === undefined || !stream.isOpen) return;
  if (!prng.chance(breakChance)) {
    peer.read(stream, prng.below(prng.chance(0.2) ? 200_000 : 3_000));
    return;
  }
  if (prng.chance(0.5)) {
    peer.read(stream, 1 << 30);
    readOut.add(stream);
  }
  if (prng.chance(0.7)) peer.reset(stream);
  else peer.hangUp(stream);
}

/**
 * One run with many breaks; what every peer got is compared with the model. Returns breaks, and how
 * many of them were in a record.
 */
export function runBreaks(run: BreakRun, prng: Prng): { breaks: number; cuts: number } {
  const peer = new ForwardPeer({ receiveBufferBytes: 4_096 });
  const { resend, mechanism } = run;
  const rig = new ConnectionRig({ port: peer.port, resend, mechanism, sendBufferBytes: 8_192 });
  const file = new ParcelFile();
  const [parcels, all] = someParcels(prng, run.parcels, file);
  const breaks: Break[] = [];
  const readOut = new Set<PeerStream>();
  let next = 0;
  let counted = { taken: 0, acked: 0 };
  const isDone = (): boolean => {
    const { last } = peer;
    const ends = last?.isOpen === true && all.subarray(-20).equals(bytesOf(last).subarray(-20));
    return rig.settled.length === parcels.length && (ends || last?.isOpen === false);
  };
  rig.until(isDone, () => {
    while (next < parcels.length && rig.connection.tryAdd(parcels[next]!)) next += 1;
    if (rig.counts.breaks > breaks.length) {
      const { sentBytes, ackedBytes } = rig.counts;
      breaks.push({ taken: sentBytes - counted.taken, acked: ackedBytes - counted.acked });
      counted = { taken: sentBytes, acked: ackedBytes };
    }
    const isOver = rig.settled.length === parcels.length;
    actAsPeer(peer, prng, isOver ? 0 : run.breakChance, readOut);
  });
  peer.pump();
  checkStreams({ resend, all, streams: peer.streams, readOut, breaks, rig });
  checkLedger(rig, parcels, resend);
  rig.close();
  peer.close();
  file.close();
  return { breaks: breaks.length, cuts: rig.counts.cutRecords };
}

interface Outcome {
  readonly resend: 'none' | 'unacked';
  readonly all: Buffer;
  readonly streams: readonly PeerStream[];
  readonly readOut: ReadonlySet<PeerStream>;
  readonly breaks: readonly Break[];
  readonly rig: ConnectionRig;
}

function checkStreams({ resend, all, streams, readOut, breaks, rig }: Outcome): void {
  const boundaries = boundariesOf(all);
  let begin = 0;
  let cuts = 0;
  for (const [k, stream] of streams.entries()) {
    const got = bytesOf(stream);
    assert.ok(got.equals(all.subarray(begin, begin + got.length)), `stream ${k} from ${begin}`);
    const over = breaks[k];
    if (over === undefined) break;
    assert.ok(got.length <= over.taken, `stream ${k}: more came than was sent`);
    const end = begin + over.taken;
    if (!boundaries.includes(end)) cuts += 1;
    if (resend === 'none') {
      begin = boundaries.find((boundary) => boundary >= end)!;
    } else {
      const acked = begin + over.acked;
      const hasAll = acked <= begin + got.length || !readOut.has(stream);
      assert.ok(hasAll, `stream ${k}: the peer has what it acknowledged`);
      begin = boundaries.findLast((boundary) => boundary <= acked)!;
    }
  }
  assert.equal(rig.counts.cutRecords, cuts, 'cut records');
}

function checkLedger(rig: ConnectionRig, parcels: readonly Parcel[], resend: string): void {
  assert.deepEqual(
    rig.settled.map(({ parcel }) => parcel),
    parcels,
  );
  const sum = { cut: 0, resent: 0 };
  for (const { parcel, settlement } of rig.settled) {
    assert.equal(settlement.delivered + settlement.cut, parcel.records);
    assert.equal(settlement.damaged, 0);
    assert.equal(settlement.resumeBytes, parcel.bytes);
    sum.cut += settlement.cut;
    sum.resent += settlement.resent;
  }
  assert.equal(sum.cut, resend === 'none' ? rig.counts.cutRecords : 0);
  if (resend === 'none') assert.equal(sum.resent, 0);
  const records = parcels.reduce((total, parcel) => total + parcel.records, 0);
  const again = sum.resent - rig.counts.cutRecords;
  assert.equal(rig.counts.sentRecords, resend === 'none' ? records - sum.cut : records + again);
}

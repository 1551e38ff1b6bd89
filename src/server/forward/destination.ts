/**
 * Destination: the connections of one destination in one channel.
 *
 * WHY         With `connections: per-exporter` a collector still tells SCEs apart by connection:
 *             each exporter's records come over one of its own, from a local address of its own
 *             where one is configured. With `merged` there is one.
 * OWNERSHIP   Owns its connections, their counts, their sender and their rate. A connection is made
 *             when the first parcel of its exporter comes, and drained when the exporter has sent
 *             nothing for EXPORTER_GONE_MS; its counts stay, they are the destination's.
 * INVARIANTS  Parcels of one exporter are settled in the order of tryAdd; between exporters of
 *             `per-exporter` there is no order.
 * CPU         getrusage(2) around every CPU_SAMPLE-th turn that has something to do, times
 *             CPU_SAMPLE: exact enough for ms per GB, and 0.1 us a turn instead of 1.
 */
import { threadCpuUs } from '../../toolkit/sys/index.ts';
import { addressBytes, formatAddress } from '../address.ts';
import { Connection } from './connection.ts';
import { type ConnectionCounts, makeConnectionCounts } from './connection-counts.ts';
import type { ConnectionOptions, ConnectionState } from './connection-options.ts';
import type { DestinationOptions } from './options.ts';
import type { Parcel, Settlement } from './parcel.ts';
import { ParcelSender } from './parcel-sender.ts';
import { TokenBucket } from './token-bucket.ts';

/** Far above what one server receives from; each costs a socket and its buffers. */
export const CONNECTIONS_MAX = 1024;
export const EXPORTER_GONE_MS = 600_000;
/** For the acknowledgement of what was sent long ago: it is there, or the peer is dead. */
const GONE_DRAIN_MS = 5_000;
const CPU_SAMPLE = 8;
/** The exporter of the one connection of `merged`, and of a probe. */
const ANY_EXPORTER = '';

/** What its connections share with those of other destinations. */
export type DestinationDeps = Pick<
  ConnectionOptions,
  'poller' | 'resolver' | 'isLoop' | 'random' | 'warmth' | 'isWatched' | 'onSettled'
>;

export interface DestinationReport extends ConnectionCounts {
  readonly name: string;
  /** Of the best connection: up, before those that try, before those that wait. */
  readonly state: ConnectionState;
  /** Of the same connection: where it is, was last or tries to be connected; '' if nowhere yet. */
  readonly address: string;
  /** Why one is not up; empty when nothing is wrong. */
  readonly reason: string;
  readonly connections: number;
  readonly connectionsUp: number;
  /** Handed over and not settled. */
  readonly parcels: number;
  /** The way of the bytes, and why this one. */
  readonly mechanism: string;
  readonly mechanismWhy: string;
  /** CPU time of its turns in the forward worker, from samples. */
  readonly cpuMs: number;
}

const BEST_FIRST: readonly ConnectionState[] = [
  'up',
  'connecting',
  'resolving',
  'idle',
  'waiting',
  'loop',
  'closed',
];

interface Member {
  readonly exporter: string;
  readonly connection: Connection;
  usedMs: number;
}

export class Destination {
  readonly counts: ConnectionCounts = makeConnectionCounts();
  readonly #deps: DestinationDeps;
  #options: DestinationOptions;
  #sender: ParcelSender;
  #bucket: TokenBucket | null;
  readonly #localByExporter: ReadonlyMap<string, string>;
  readonly #byExporter = new Map<string, Member>();
  #members: readonly Member[] = [];
  /** Who is asked first; the next one in the next turn, because they share a rate. */
  #firstTurn = 0;
  #parcelCount = 0;
  #workTurns = 0;
  #cpuUs = 0;
  #isEnding = false;
  #endedCount = 0;

  constructor(options: DestinationOptions, deps: DestinationDeps) {
    this.#options = options;
    this.#deps = deps;
    this.#sender = new ParcelSender(options.mechanism);
    this.#bucket = makeBucket(options);
    this.#localByExporter = localAddresses(options.localAddressByExporter);
  }

  get options(): DestinationOptions {
    return this.#options;
  }

  /** Other options for the connections that there are: none that channel-changes.ts reopens for. */
  configure(options: DestinationOptions): void {
    const { mechanism, rateBytesPerSecond } = this.#options;
    this.#options = options;
    if (mechanism !== options.mechanism) this.#sender = new ParcelSender(options.mechanism);
    if (rateBytesPerSecond !== options.rateBytesPerSecond) this.#bucket = makeBucket(options);
    const destination = options;
    for (const { connection } of this.#members) {
      connection.configure({ destination, sender: this.#sender, bucket: this.#bucket });
    }
  }

  /** Handed over and not settled. */
  get parcelCount(): number {
    return this.#parcelCount;
  }

  /** True after drain() or close(), when every connection has ended. */
  get isClosed(): boolean {
    return this.#isEnding && this.#members.length === 0;
  }

  /** Since when all its connections fail that are used; null: it is up, or was not tried. */
  get downSinceMs(): number | null {
    let sinceMs: number | null = null;
    for (const { connection } of this.#members) {
      if (connection.downSinceMs === null) {
        if (connection.state === 'idle') continue;
        return null;
      }
      sinceMs = Math.max(sinceMs ?? 0, connection.downSinceMs);
    }
    return sinceMs;
  }

  /** Since when one of its connections stands; null: none does. */
  get upSinceMs(): number | null {
    let sinceMs: number | null = null;
    for (const { connection } of this.#members) {
      const { upSinceMs } = connection;
      if (upSinceMs !== null) sinceMs = Math.min(sinceMs ?? upSinceMs, upSinceMs);
    }
    return sinceMs;
  }

  /** Moves when a connection comes up or ends: there may be room that there was not. */
  get changes(): number {
    return this.counts.connects + this.#endedCount;
  }

  /** Whether the exporter's connection stands; if not, it is tried until it does. */
  isReady(exporter: string, nowMs: number): boolean {
    const member = this.#memberOf(exporter, nowMs);
    if (member === null) return false;
    member.usedMs = nowMs;
    member.connection.open();
    return member.connection.state === 'up';
  }

  /** Connections settle what is too old and not begun; those that do not stand all they have. */
  giveBack(isTooOld: (parcel: Parcel) => boolean): void {
    for (const { connection } of this.#members) connection.giveBack(isTooOld);
  }

  /** Hands a parcel over. False: no room now (or it ends); offer it again after a settlement. */
  tryAdd(parcel: Parcel, nowMs: number): boolean {
    const member = this.#memberOf(parcel.exporter, nowMs);
    if (member === null || !member.connection.tryAdd(parcel)) return false;
    member.usedMs = nowMs;
    this.#parcelCount += 1;
    return true;
  }

  /**
   * Sees to it that a connection is tried though there is nothing to send: whether a better member
   * of a group is back. Call it as often as you like; the attempts keep their back-off.
   */
  probe(nowMs: number): void {
    const member = this.#members[0] ?? this.#memberOf(ANY_EXPORTER, nowMs);
    if (member === null) return;
    member.usedMs = nowMs;
    if (this.upSinceMs === null) member.connection.open();
  }

  /** Does what can be done now on every connection. Returns bytes sent. */
  turn(nowMs: number): number {
    if (this.#parcelCount === 0) return this.#turnAll(nowMs);
    this.#workTurns += 1;
    if (this.#workTurns % CPU_SAMPLE !== 0) return this.#turnAll(nowMs);
    const beforeUs = threadCpuUs();
    const sent = this.#turnAll(nowMs);
    this.#cpuUs += CPU_SAMPLE * (threadCpuUs() - beforeUs);
    return sent;
  }

  /** When turn() has something to do without an event; 0: at once. */
  get nextTimerMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { connection, usedMs } of this.#members) {
      nextMs = Math.min(nextMs, connection.nextTimerMs);
      if (connection.parcelCount === 0) nextMs = Math.min(nextMs, usedMs + EXPORTER_GONE_MS);
    }
    return nextMs;
  }

  /** Ends every connection at a record boundary, each within `waitMs`; then `isClosed`. */
  drain(nowMs: number, waitMs: number): void {
    this.#isEnding = true;
    for (const { connection } of this.#members) connection.drain(nowMs, waitMs);
    this.#removeClosed();
  }

  /** Ends every connection now, wherever it stands. Every parcel is settled when it returns. */
  close(nowMs: number): void {
    this.#isEnding = true;
    for (const { connection } of this.#members) connection.close(nowMs);
    this.#removeClosed();
  }

  report(): DestinationReport {
    const states = this.#members.map(({ connection }) => connection.state);
    const failing = this.#members.find(({ connection }) => connection.reason !== '');
    const { name, why } = this.#sender.mechanism;
    const state = BEST_FIRST.find((one) => states.includes(one)) ?? 'idle';
    const best = this.#members[states.indexOf(state)];
    return {
      ...this.counts,
      name: this.options.name,
      state,
      address: best === undefined ? '' : addressText(best.connection.address),
      reason: failing?.connection.reason ?? '',
      connections: states.length,
      connectionsUp: states.filter((state) => state === 'up').length,
      parcels: this.#parcelCount,
      mechanism: name,
      mechanismWhy: why,
      cpuMs: this.#cpuUs / 1000,
    };
  }

  #turnAll(nowMs: number): number {
    const members = this.#members;
    let sent = 0;
    let hasEnded = false;
    this.#firstTurn = members.length === 0 ? 0 : (this.#firstTurn + 1) % members.length;
    for (let i = 0; i < members.length; i++) {
      const member = members[(this.#firstTurn + i) % members.length]!;
      const { connection } = member;
      if (connection.parcelCount === 0 && nowMs >= member.usedMs + EXPORTER_GONE_MS) {
        member.usedMs = nowMs;
        connection.drain(nowMs, GONE_DRAIN_MS);
      }
      sent += connection.turn(nowMs);
      hasEnded ||= connection.state === 'closed';
    }
    if (hasEnded) this.#removeClosed();
    return sent;
  }

  #memberOf(exporterOfParcel: string, nowMs: number): Member | null {
    const isMerged = this.options.connections === 'merged';
    const exporter = isMerged ? ANY_EXPORTER : exporterOfParcel;
    const known = this.#byExporter.get(exporter);
    if (known !== undefined) return known;
    if (this.#isEnding) return null;
    if (this.#members.length >= CONNECTIONS_MAX) {
      this.#makeRoom(nowMs);
      return null;
    }
    const member = { exporter, connection: this.#connect(exporter), usedMs: nowMs };
    this.#byExporter.set(exporter, member);
    this.#members = [...this.#members, member];
    return member;
  }

  #connect(exporter: string): Connection {
    return new Connection({
      ...this.#deps,
      destination: this.options,
      localAddress: this.#localByExporter.get(exporter) ?? null,
      counts: this.counts,
      sender: this.#sender,
      bucket: this.#bucket,
      onSettled: (parcel: Parcel, settlement: Settlement) => {
        this.#parcelCount -= 1;
        this.#deps.onSettled(parcel, settlement);
      },
    });
  }

  /** Too many exporters: the one that has been silent for longest gives up its connection. */
  #makeRoom(nowMs: number): void {
    let silent: Member | null = null;
    for (const member of this.#members) {
      if (member.connection.parcelCount > 0) continue;
      if (silent === null || member.usedMs < silent.usedMs) silent = member;
    }
    silent?.connection.drain(nowMs, GONE_DRAIN_MS);
  }

  #removeClosed(): void {
    this.#members = this.#members.filter((member) => {
      if (member.connection.state !== 'closed') return true;
      this.#byExporter.delete(member.exporter);
      this.#endedCount += 1;
      return false;
    });
  }
}

function makeBucket({ rateBytesPerSecond }: DestinationOptions): TokenBucket | null {
  return rateBytesPerSecond === 0 ? null : new TokenBucket(rateBytesPerSecond);
}

/** '' while there is none. */
function addressText(address: Uint8Array): string {
  return address.every((byte) => byte === 0) ? '' : formatAddress(address);
}

/** Exporter's 16 bytes as latin1 -> the text of a local address. */
function localAddresses(byText: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  const byKey = new Map<string, string>();
  for (const [exporter, local] of Object.entries(byText)) {
    const bytes = addressBytes(exporter);
    if (bytes !== null) byKey.set(Buffer.from(bytes).toString('latin1'), local);
  }
  return byKey;
}

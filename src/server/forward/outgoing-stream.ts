/**
 * Outgoing stream: from the outbox of one connection to its socket, and what TCP says of it.
 *
 * WHY         Where a byte goes: added as a parcel, sent when it is worth a call, acknowledged,
 *             settled. That sockets come, break and come again is the connection's; in between it
 *             rewinds what is here to where `resend` says.
 * LINGER      send() waits until LINGER_BYTES are there, or the first of them is lingerMs old, or
 *             the outbox takes no more. The bytes wait here and not in the kernel (MSG_MORE,
 *             TCP_CORK): that saves the calls too, and the delay is ours, not the kernel's 200 ms.
 * OWNERSHIP   Owns the parcels from tryAdd to onSettled; the socket is the connection's.
 * INVARIANTS  1. a stream begins at a record boundary; shutIfWhole() ends it at one
 *             2. parcels are settled in the order of tryAdd, each once; but for those that
 *             giveBack() takes from behind.
 */
import { errnoName, setLinger, shutdown } from '../../toolkit/sys/index.ts';
import { BrokenStream } from './broken-stream.ts';
import type { ConnectionOptions } from './connection-options.ts';
import { COLD_MS, FULL_MS, READ_ATTEMPTS, SHORTAGE_MS } from './connection-waits.ts';
import { SOCKET_EVENTS } from './dialer.ts';
import { OUTBOX_COUNT_MAX, Outbox, type OutboxEntry, settlementOf } from './outbox.ts';
import { OutboxWarmth } from './outbox-warmth.ts';
import type { Parcel } from './parcel.ts';
import { PeerWatch } from './peer-watch.ts';
import { RecordWalk } from './record-walk.ts';
import { sendError } from './send-errors.ts';
import { StreamAcks } from './stream-acks.ts';

/**
 * What one turn sends: on this machine's loopback 0.1 ms. A hundred fast destinations keep a slow
 * one waiting for 10 ms, half of the collector's linger time.
 */
export const TURN_BYTES_MAX = 512 << 10;
/** Worth a call at once: below 13 MB/s the linger time decides, at 200 calls a second. */
export const LINGER_BYTES = 64 << 10;

/** So long after it was made a connection is new: peers that accept and close are gone by then. */
export const NEW_MS = 1_000;
/**
 * `resend: none`: what a new connection has on its way at most. A peer that accepts and closes
 * costs so much, and what its kernel took, rather than a full socket of some MiB.
 */
export const NEW_BYTES_MAX = LINGER_BYTES;

/** What it needs of its connection's options. */
export type StreamOptions = Pick<
  ConnectionOptions,
  'destination' | 'counts' | 'poller' | 'sender' | 'bucket' | 'warmth' | 'onSettled'
>;

export class OutgoingStream {
  #options: StreamOptions;
  readonly #broken: BrokenStream;
  readonly #outbox: Outbox;
  readonly #acks: StreamAcks;
  readonly #watch = new PeerWatch();
  readonly #warmth: OutboxWarmth;
  #fd = -1;
  /** Nothing is sent before: 0 now; a full socket: the next event, or this. */
  #sendMs = 0;
  #isFull = false;
  #lingerFromMs = -1;
  /** From then on it is not new; and whether it has more on its way than a new one should. */
  #provedMs = 0;
  #isHeld = false;
  #lastUseMs = 0;
  #isEnding = false;
  #hasShut = false;
  #breakReason: string | null = null;

  constructor(options: StreamOptions) {
    const { resend } = options.destination;
    this.#options = options;
    this.#outbox = new Outbox(OUTBOX_COUNT_MAX[resend]);
    this.#acks = new StreamAcks(resend === 'unacked');
    this.#warmth = new OutboxWarmth(options.warmth);
    this.#broken = new BrokenStream(resend, new RecordWalk(), options.counts);
  }

  /** Parcels that are not settled. */
  get parcelCount(): number {
    return this.#outbox.count;
  }

  /** Why the connection must end; null: it need not. */
  get breakReason(): string | null {
    return this.#breakReason;
  }

  configure(options: Pick<StreamOptions, 'destination' | 'sender' | 'bucket'>): void {
    this.#options = { ...this.#options, ...options };
    if (!this.#isFull) this.#sendMs = 0;
  }

  /** False: no room now. */
  tryAdd(parcel: Parcel): boolean {
    return this.#outbox.tryPush(parcel);
  }

  /** Settles what is too old and not begun. */
  giveBack(isTooOld: (parcel: Parcel) => boolean): void {
    if (this.#outbox.giveBack(isTooOld, this.#options.onSettled)) this.#warmth.forget();
  }

  /** Settles every parcel, as far as each of them came. */
  settleAll(): void {
    while (this.#outbox.count > 0) this.#settleFront();
  }

  /** A connected socket, on which nothing was sent yet. */
  begin(fd: number, nowMs: number): void {
    this.#fd = fd;
    this.#acks.begin();
    this.#sendMs = 0;
    this.#isFull = false;
    this.#warmth.forget();
    this.#lingerFromMs = -1;
    this.#lastUseMs = nowMs;
    this.#provedMs = nowMs + NEW_MS;
    this.#isHeld = false;
    this.#hasShut = false;
    this.#breakReason = null;
  }

  /** The socket takes bytes again. */
  noteRoom(): void {
    this.#isFull = false;
    this.#sendMs = 0;
  }

  /** From now on only what is under way is sent. */
  finish(): void {
    this.#isEnding = true;
  }

  /** Sends what should not wait, up to TURN_BYTES_MAX. Returns bytes sent; see breakReason. */
  send(nowMs: number): number {
    return this.#mayBegin(nowMs) ? this.#send(nowMs) : 0;
  }

  /** Asks TCP how far the peer's acknowledgements go, and settles what they cover. */
  askAcked(nowMs: number): void {
    const { counts, destination } = this.#options;
    const newly = this.#acks.ask(this.#fd, nowMs);
    if (newly === 0) return;
    counts.ackedBytes += newly;
    this.#watch.heard(nowMs);
    this.#isHeld = false;
    if (destination.resend === 'unacked') this.#settleTo(this.#acks.ackedBytes);
  }

  /** The same when it is time, and looks whether the peer is still there; see breakReason. */
  look(nowMs: number): void {
    const acks = this.#acks;
    if (nowMs < acks.dueMs) return;
    const before = acks.ackedBytes;
    this.askAcked(nowMs);
    if (acks.ackedBytes > before || !acks.isAtRarest) return;
    const { userTimeoutMs } = this.#options.destination;
    if (!this.#watch.isSilent(this.#fd, nowMs, userTimeoutMs)) return;
    this.#breakReason = 'ETIMEDOUT: no answer for userTimeoutMs';
    // As TCP would: what the socket holds is given up.
    setLinger(this.#fd, 0);
  }

  /** When to ask; Infinity: nothing is on its way. */
  get ackDueMs(): number {
    return this.#acks.dueMs;
  }

  /** After finish(): tells the peer that it ends, once that is a record boundary. */
  shutIfWhole(nowMs: number): void {
    if (!this.mayShut) return;
    this.#hasShut = true;
    this.#acks.hurry(nowMs);
    shutdown(this.#fd, 'write');
  }

  get mayShut(): boolean {
    const entry = this.#outbox.unsent;
    return !this.#hasShut && (entry === null || entry.sentOffset === entry.startOffset);
  }

  /** The peer knows that it ends, and has acknowledged all of it. */
  get hasEnded(): boolean {
    return this.#hasShut && this.#acks.onTheWayBytes === 0;
  }

  /** Nothing is to be sent, or acknowledged. */
  get isQuiet(): boolean {
    return this.#outbox.count === 0 && this.#acks.onTheWayBytes === 0;
  }

  /** When it was last used; Infinity: it is being used. */
  get idleFromMs(): number {
    return this.isQuiet ? this.#lastUseMs : Number.POSITIVE_INFINITY;
  }

  /** When send() has something to do without an event; 0: at once; Infinity: only by an event. */
  get sendTimerMs(): number {
    const entry = this.#outbox.unsent;
    if (entry === null) return Infinity;
    if (this.#isHeld) return this.#provedMs;
    if (entry.sentOffset > entry.startOffset) return this.#sendMs;
    if (this.#isEnding) return Infinity;
    const isEnough = this.#outbox.isFull || this.#outbox.unsentBytes >= LINGER_BYTES;
    if (isEnough || this.#lingerFromMs < 0) return this.#sendMs;
    return Math.max(this.#sendMs, this.#lingerFromMs + this.#options.destination.lingerMs);
  }

  /** The socket goes: learns what can be learned of it. Then rewind(), when there is time. */
  leave(nowMs: number): void {
    this.askAcked(nowMs);
    this.#options.counts.unackedBytesAtLoss += this.#acks.onTheWayBytes;
  }

  /** Whether it stood for NEW_MS, and what was sent on it, if anything was, came through. */
  isProved(nowMs: number): boolean {
    const { ackedBytes, sentBytes } = this.#acks;
    return nowMs >= this.#provedMs && (ackedBytes > 0 || sentBytes === 0);
  }

  /** Its parcels go on where `resend` says. False: a file could not be read; to be tried again. */
  rewind(mustEnd: boolean): boolean {
    return this.#broken.rewind(this.#outbox, this.#acks.ackedBytes, mustEnd);
  }

  /** Whether there is something to send that should not wait for more. */
  #mayBegin(nowMs: number): boolean {
    const outbox = this.#outbox;
    const entry = outbox.unsent;
    if (entry === null || (nowMs < this.#sendMs && !this.#warmth.hasCome)) return false;
    if (this.#isHeld && nowMs < this.#provedMs) return false;
    this.#isHeld = false;
    if (this.#isFull) {
      this.#askForRoom(nowMs);
      return false;
    }
    if (this.#lingerFromMs < 0) this.#lingerFromMs = nowMs;
    if (entry.sentOffset > entry.startOffset) return true;
    if (this.#isEnding) return false;
    if (outbox.unsentBytes >= LINGER_BYTES || outbox.isFull) return true;
    return nowMs >= this.#lingerFromMs + this.#options.destination.lingerMs;
  }

  #send(nowMs: number): number {
    const { bucket, sender } = this.#options;
    const outbox = this.#outbox;
    let budget = this.#roomBytes(nowMs);
    if (bucket !== null && !this.#isEnding) {
      budget = Math.min(budget, bucket.available(nowMs));
      if (budget === 0) this.#sendMs = bucket.readyMs;
    }
    let sent = 0;
    for (let entry = outbox.unsent; entry !== null && budget > sent; entry = outbox.unsent) {
      const isBegun = entry.sentOffset > entry.startOffset;
      if (this.#isEnding && !isBegun) break;
      const left = entry.endOffset - entry.sentOffset;
      if (left > 0 && !this.#warmth.mayGo(outbox, nowMs)) {
        this.#sendMs = nowMs + COLD_MS;
        break;
      }
      const most = !this.#isEnding ? budget - sent : Math.min(left, budget - sent);
      const took = left === 0 ? 0 : sender.send(this.#fd, outbox, most);
      if (took < 0) {
        this.#refused(entry, took, nowMs);
        break;
      }
      sent += took;
      this.#advance(took, nowMs);
    }
    bucket?.take(sent);
    if (sent > 0) this.#lastUseMs = nowMs;
    if (outbox.unsent === null) this.#lingerFromMs = -1;
    return sent;
  }

  /** What a turn may send; a new connection waits for acknowledgements in between. */
  #roomBytes(nowMs: number): number {
    const { resend } = this.#options.destination;
    if (resend === 'unacked' || nowMs >= this.#provedMs) return TURN_BYTES_MAX;
    const room = NEW_BYTES_MAX - this.#acks.onTheWayBytes;
    if (room > 0) return room;
    this.#isHeld = true;
    this.#acks.hurry(nowMs);
    return 0;
  }

  /** TCP took so many bytes, of one or more parcels. */
  #advance(took: number, nowMs: number): void {
    const { counts } = this.#options;
    const outbox = this.#outbox;
    let left = took;
    let at = this.#acks.sentBytes;
    if (this.#acks.onTheWayBytes === 0) this.#watch.heard(nowMs);
    this.#acks.took(took, nowMs);
    counts.sentBytes += took;
    for (let entry = outbox.unsent; entry !== null; entry = outbox.unsent) {
      if (entry.sentOffset === entry.startOffset) entry.streamStart = at;
      const here = Math.min(left, entry.endOffset - entry.sentOffset);
      entry.sentOffset += here;
      at += here;
      outbox.unsentBytes -= here;
      left -= here;
      if (entry.sentOffset < entry.endOffset) break;
      entry.streamEnd = at;
      counts.sentRecords += entry.endRecords - entry.startRecords;
      outbox.sendIndex += 1;
      if (left === 0) break;
    }
    const isTaken = this.#options.destination.resend === 'none';
    this.#settleTo(isTaken ? at : this.#acks.ackedBytes);
  }

  /** The socket took nothing. */
  #refused(entry: OutboxEntry, result: number, nowMs: number): void {
    const error = sendError(result);
    if (error === 'full' || error === 'shortage') {
      this.#isFull = error === 'full';
      this.#sendMs = nowMs + (this.#isFull ? FULL_MS : SHORTAGE_MS);
      return;
    }
    if (error !== 'network') entry.failures += 1;
    const isOver = error === 'ended' || entry.failures >= READ_ATTEMPTS;
    if (isOver) this.#broken.truncate(entry);
    this.#breakReason = error === 'ended' ? 'a journal file is cut short' : errnoName(result);
  }

  /** If there is room the next event says so. To try it would read what cannot be sent. */
  #askForRoom(nowMs: number): void {
    this.#sendMs = nowMs + FULL_MS;
    this.#options.poller.modify(this.#fd, SOCKET_EVENTS);
  }

  /** Settles the parcels that end at or below a place of the stream. */
  #settleTo(streamBytes: number): void {
    const outbox = this.#outbox;
    while (outbox.sendIndex > 0 && outbox.at(0).streamEnd <= streamBytes) {
      this.#settleFront();
    }
  }

  #settleFront(): void {
    const entry = this.#outbox.at(0);
    const isWhole = this.#outbox.sendIndex > 0;
    const settlement = settlementOf(entry, isWhole);
    this.#options.onSettled(this.#outbox.shift(), settlement);
  }
}

/**
 * Connection: one TCP connection to a destination, made again as often as it breaks.
 *
 * WHY         The channel hands parcels over and hears what became of them; that there were three
 *             connections and a name that moved in between is settled here.
 * STATES      idle -> resolving -> connecting -> up -> (idle after idleTimeoutMs)
 *             any of the three -> waiting (back-off) -> resolving ...; loop: waiting, because the
 *             destination is ourselves; closed: for good. up -> idle, too, when it breaks with
 *             nothing to send: whether the destination is down is not known before it is tried.
 * OWNERSHIP   Owns its socket and, from tryAdd to onSettled, the parcels. Used by one thread.
 * INVARIANTS  1. a stream begins at a record boundary, and ends at one unless the connection broke
 *             2. parcels are settled in the order of tryAdd, each once; close() settles the rest
 *             3. nothing here waits or keeps a timer: turn() is called when an event came or at
 *             nextTimerMs, and does at most TURN_BYTES_MAX.
 * LINGER      A turn sends when LINGER_BYTES are there, or the first of them is lingerMs old, or
 *             the outbox takes no more. The bytes wait here and not in the kernel (MSG_MORE,
 *             TCP_CORK): that saves the calls too, and the delay is ours, not the kernel's 200 ms.
 * REFUSED     A reset (SO_LINGER 0) of a broken connection: what the kernel holds may still arrive.
 */
import { EPOLLOUT, errnoName, shutdown } from '../../toolkit/sys/index.ts';
import { BackOff } from './back-off.ts';
import { readBackTalk } from './back-talk.ts';
import { BrokenStream } from './broken-stream.ts';
import type { ConnectionOptions, ConnectionState } from './connection-options.ts';
import { COLD_MS, FULL_MS, READ_ATTEMPTS, SHORTAGE_MS } from './connection-waits.ts';
import { DIAL_FAILED, DIAL_PENDING, Dialer, SOCKET_EVENTS } from './dialer.ts';
import { LOOP_ITSELF, LOOP_LISTENER, loopOfSocket } from './loop.ts';
import { OUTBOX_COUNT_MAX, Outbox, type OutboxEntry, settlementOf } from './outbox.ts';
import { OutboxWarmth } from './outbox-warmth.ts';
import type { Parcel } from './parcel.ts';
import type { PollHandler } from './poller.ts';
import { RecordWalk } from './record-walk.ts';
import { sendError } from './send-errors.ts';
import { StreamAcks } from './stream-acks.ts';
import { setTcpOptions } from './tcp-options.ts';

/**
 * What one turn sends: on this machine's loopback 0.1 ms. A hundred fast destinations keep a slow
 * one waiting for 10 ms, half of the collector's linger time.
 */
export const TURN_BYTES_MAX = 512 << 10;
/** Worth a call at once: below 13 MB/s the linger time decides, at 200 calls a second. */
export const LINGER_BYTES = 64 << 10;

export class Connection implements PollHandler {
  #options: ConnectionOptions;
  readonly #dialer: Dialer;
  readonly #backOff: BackOff;
  readonly #walk = new RecordWalk();
  readonly #broken: BrokenStream;
  readonly #outbox: Outbox;
  readonly #acks: StreamAcks;
  readonly #warmth: OutboxWarmth;
  #state: ConnectionState = 'idle';
  #fd = -1;
  #reason = '';
  #isWanted = false;
  #retryMs = 0;
  #downSinceMs: number | null = null;
  #upSinceMs: number | null = null;
  #isReadable = false;
  /** Nothing is sent before: 0 now; a full socket: the next event, or this. */
  #sendMs = 0;
  #isFull = false;
  #lingerFromMs = -1;
  #lastUseMs = 0;
  #wasBroken = false;
  #mustRewind = false;
  #rewindAttempts = 0;
  #drainMs: number | null = null;
  #hasShut = false;

  constructor(options: ConnectionOptions) {
    const { destination, counts, localAddress, poller, resolver, random } = options;
    this.#options = options;
    this.#outbox = new Outbox(OUTBOX_COUNT_MAX[destination.resend]);
    this.#acks = new StreamAcks(destination.resend === 'unacked');
    this.#warmth = new OutboxWarmth(options.warmth);
    this.#broken = new BrokenStream(destination.resend, this.#walk, counts);
    this.#backOff = new BackOff(destination.reconnectMsMin, destination.reconnectMsMax, random);
    this.#dialer = new Dialer({
      destination,
      localAddress,
      poller,
      resolver,
      counts,
      handler: this,
    });
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Why it is not up; empty when nothing went wrong. */
  get reason(): string {
    return this.#reason;
  }

  /** Where it is, was last or tries to be connected; 16 zero bytes before the first address. */
  get address(): Uint8Array {
    return this.#dialer.address;
  }

  /** Parcels that are not settled. */
  get parcelCount(): number {
    return this.#outbox.count;
  }

  /** Since when it fails; null: it is up, or nothing has failed yet. */
  get downSinceMs(): number | null {
    return this.#downSinceMs;
  }

  get upSinceMs(): number | null {
    return this.#upSinceMs;
  }

  /** The same destination, with other times and options: from now on, on the socket that stands. */
  configure(options: Pick<ConnectionOptions, 'destination' | 'sender' | 'bucket'>): void {
    const { destination } = options;
    this.#options = { ...this.#options, ...options };
    this.#dialer.configure(destination);
    this.#backOff.configure(destination.reconnectMsMin, destination.reconnectMsMax);
    if (this.#fd >= 0) setTcpOptions(this.#fd, destination);
    if (!this.#isFull) this.#sendMs = 0;
  }

  /** Hands a parcel over, to be sent by the next turns. False: no room now, or it ends. */
  tryAdd(parcel: Parcel): boolean {
    if (this.#state === 'closed' || this.#drainMs !== null) return false;
    return this.#outbox.tryPush(parcel);
  }

  /** What is too old and not begun; unless it stands all that did not arrive, and it is tried. */
  giveBack(isTooOld: (parcel: Parcel) => boolean): void {
    if (this.#mustRewind || this.#outbox.count === 0) return;
    if (this.#state === 'up') {
      if (this.#outbox.giveBack(isTooOld, this.#options.onSettled)) this.#warmth.forget();
      return;
    }
    this.#isWanted = true;
    while (this.#outbox.count > 0) this.#settleFront();
  }

  /** Connects, though there is nothing to send: to see whether the destination is there. */
  open(): void {
    if (this.#state !== 'up') this.#isWanted = true;
  }

  onReady(events: number): void {
    if (this.#state === 'connecting') {
      this.#dialer.noteReady();
      return;
    }
    if ((events & EPOLLOUT) !== 0) {
      this.#isFull = false;
      this.#sendMs = 0;
    }
    if ((events & ~EPOLLOUT) !== 0) this.#isReadable = true;
  }

  /** Does what can be done now. Returns bytes sent. */
  turn(nowMs: number): number {
    if (this.#state === 'idle' && this.#hasToDial && nowMs >= this.#retryMs) this.#dial(nowMs);
    if (this.#state === 'waiting' || this.#state === 'loop') this.#wait(nowMs);
    if (this.#state === 'resolving' || this.#state === 'connecting') this.#step(nowMs);
    return this.#state === 'up' ? this.#stream(nowMs) : 0;
  }

  /** When turn() has something to do without an event; 0: at once; Infinity: only by an event. */
  get nextTimerMs(): number {
    switch (this.#state) {
      case 'idle':
        return this.#hasToDial ? this.#retryMs : Infinity;
      case 'waiting':
      case 'loop':
        return this.#retryMs;
      case 'resolving':
      case 'connecting':
        return this.#dialer.nextTimerMs;
      case 'up':
        return Math.min(this.#isReadable ? 0 : Infinity, this.#sendTimerMs(), this.#quietTimerMs());
      default:
        return Infinity;
    }
  }

  /**
   * Ends at a record boundary: finishes the parcel under way, says that no more comes, and waits at
   * most `waitMs` for the acknowledgement. Parcels that were not begun are given up.
   */
  drain(nowMs: number, waitMs: number): void {
    if (this.#state === 'closed' || this.#drainMs !== null) return;
    this.#drainMs = nowMs + waitMs;
    if (this.#state !== 'up') this.#end(nowMs);
  }

  /** Ends now, wherever the stream stands. Every parcel is settled when it returns. */
  close(nowMs: number): void {
    if (this.#state !== 'closed') this.#end(nowMs);
  }

  #dial(nowMs: number): void {
    this.#dialer.start(nowMs);
    this.#state = 'resolving';
  }

  #wait(nowMs: number): void {
    if (nowMs < this.#retryMs) return;
    if (this.#mustRewind && !this.#rewind()) {
      this.#reason = 'a journal file cannot be read';
      this.#retryMs = nowMs + this.#backOff.nextMs();
      return;
    }
    if (this.#hasToDial) this.#dial(nowMs);
    else this.#rest();
  }

  get #hasToDial(): boolean {
    return this.#isWanted || this.#outbox.count > 0;
  }

  #rest(): void {
    this.#state = 'idle';
    this.#downSinceMs = null;
  }

  #step(nowMs: number): void {
    const result = this.#dialer.turn(nowMs);
    if (result === DIAL_PENDING) {
      this.#state = this.#dialer.isResolving ? 'resolving' : 'connecting';
    } else if (result === DIAL_FAILED) {
      this.#fail(this.#dialer.reason, nowMs);
    } else {
      this.#connected(result, nowMs);
    }
  }

  #fail(reason: string, nowMs: number): void {
    this.#reason = reason;
    this.#downSinceMs ??= nowMs;
    this.#upSinceMs = null;
    this.#state = 'waiting';
    this.#retryMs = nowMs + this.#backOff.nextMs();
  }

  #connected(fd: number, nowMs: number): void {
    const { counts, isLoop } = this.#options;
    this.#fd = fd;
    const loop = loopOfSocket(fd, isLoop);
    if (loop < 0 || loop === LOOP_ITSELF) {
      counts.connectErrors += 1;
      this.#closeSocket();
      const why = loop < 0 ? `the connection has no names: ${errnoName(loop)}` : 'nobody listens';
      this.#fail(why, nowMs);
      return;
    }
    if (loop === LOOP_LISTENER) {
      counts.loops += 1;
      this.#closeSocket();
      this.#fail('the destination is this server itself', nowMs);
      this.#state = 'loop';
      this.#retryMs = nowMs + this.#backOff.msMax;
      return;
    }
    counts.connects += 1;
    if (this.#wasBroken) counts.reconnects += 1;
    this.#wasBroken = false;
    this.#begin(nowMs);
  }

  #begin(nowMs: number): void {
    this.#state = 'up';
    this.#reason = '';
    this.#downSinceMs = null;
    this.#upSinceMs = nowMs;
    this.#isWanted = false;
    this.#acks.begin();
    this.#isReadable = true;
    this.#sendMs = 0;
    this.#isFull = false;
    this.#warmth.forget();
    this.#lingerFromMs = -1;
    this.#lastUseMs = nowMs;
    this.#hasShut = false;
  }

  #stream(nowMs: number): number {
    if (this.#isReadable && !this.#listen(nowMs)) return 0;
    let sent = 0;
    if (this.#mayBegin(nowMs)) {
      sent = this.#send(nowMs);
      if (this.#state !== 'up') return sent;
    }
    if (this.#drainMs !== null) this.#drainOn(nowMs);
    if (nowMs >= this.#acks.dueMs) this.#askAcked(nowMs);
    this.#quiet(nowMs);
    return sent;
  }

  /** False: the peer is gone. */
  #listen(nowMs: number): boolean {
    const talk = readBackTalk(this.#fd, this.#options.counts);
    if (talk === 'more') return true;
    this.#isReadable = false;
    if (talk === 'quiet') return true;
    this.#break(talk.goneFor, nowMs);
    return false;
  }

  /** Whether there is something to send that should not wait for more. */
  #mayBegin(nowMs: number): boolean {
    const outbox = this.#outbox;
    const entry = outbox.unsent;
    if (entry === null || (nowMs < this.#sendMs && !this.#warmth.hasCome)) return false;
    if (this.#isFull) {
      this.#askForRoom(nowMs);
      return false;
    }
    if (this.#lingerFromMs < 0) this.#lingerFromMs = nowMs;
    if (entry.sentOffset > entry.startOffset) return true;
    if (this.#drainMs !== null) return false;
    if (outbox.unsentBytes >= LINGER_BYTES || outbox.isFull) return true;
    return nowMs >= this.#lingerFromMs + this.#options.destination.lingerMs;
  }

  #send(nowMs: number): number {
    const { bucket, sender } = this.#options;
    const outbox = this.#outbox;
    let budget = TURN_BYTES_MAX;
    if (bucket !== null && this.#drainMs === null) {
      budget = Math.min(budget, bucket.available(nowMs));
      if (budget === 0) this.#sendMs = bucket.readyMs;
    }
    let sent = 0;
    for (let entry = outbox.unsent; entry !== null && budget > sent; entry = outbox.unsent) {
      const isBegun = entry.sentOffset > entry.startOffset;
      if (this.#drainMs !== null && !isBegun) break;
      const left = entry.endOffset - entry.sentOffset;
      if (left > 0 && !this.#warmth.mayGo(outbox, nowMs)) {
        this.#sendMs = nowMs + COLD_MS;
        break;
      }
      const most = this.#drainMs === null ? budget - sent : Math.min(left, budget - sent);
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

  /** TCP took so many bytes, of one or more parcels. */
  #advance(took: number, nowMs: number): void {
    const { counts } = this.#options;
    const outbox = this.#outbox;
    let left = took;
    let at = this.#acks.sentBytes;
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
    this.#break(error === 'ended' ? 'a journal file is cut short' : errnoName(result), nowMs);
  }

  /** If there is room the next event says so. To try it would read what cannot be sent. */
  #askForRoom(nowMs: number): void {
    this.#sendMs = nowMs + FULL_MS;
    this.#options.poller.modify(this.#fd, SOCKET_EVENTS);
  }

  /** Asks TCP how far the peer's acknowledgements go, and settles what they cover. */
  #askAcked(nowMs: number): void {
    const newly = this.#acks.ask(this.#fd, nowMs);
    this.#options.counts.ackedBytes += newly;
    if (newly === 0 || this.#options.destination.resend === 'none') return;
    this.#settleTo(this.#acks.ackedBytes);
  }

  /** Settles the parcels that end at or below a place of the stream. */
  #settleTo(streamBytes: number): void {
    const outbox = this.#outbox;
    while (outbox.sendIndex > 0 && outbox.at(0).streamEnd <= streamBytes) {
      this.#backOff.reset();
      this.#settleFront();
    }
  }

  #settleFront(): void {
    const entry = this.#outbox.at(0);
    const isWhole = this.#outbox.sendIndex > 0;
    const settlement = settlementOf(entry, isWhole);
    this.#options.counts.damagedRecords += settlement.damaged;
    this.#options.onSettled(this.#outbox.shift(), settlement);
  }

  /** Drain: the stream stands at a record boundary, so the peer may be told that it ends. */
  #drainOn(nowMs: number): void {
    if (!this.#mayShut) return;
    this.#hasShut = true;
    this.#acks.hurry(nowMs);
    shutdown(this.#fd, 'write');
  }

  get #mayShut(): boolean {
    const entry = this.#outbox.unsent;
    return !this.#hasShut && (entry === null || entry.sentOffset === entry.startOffset);
  }

  /** What happens when nothing happens: the end of a drain, and the idle timeout. */
  #quiet(nowMs: number): void {
    const { idleTimeoutMs } = this.#options.destination;
    const isDone = this.#acks.onTheWayBytes === 0;
    if (this.#drainMs !== null) {
      if ((this.#hasShut && isDone) || nowMs >= this.#drainMs) this.#end(nowMs);
      return;
    }
    if (idleTimeoutMs === 0 || this.#outbox.count > 0 || !isDone) return;
    if (nowMs < this.#lastUseMs + idleTimeoutMs) return;
    this.#closeSocket();
    this.#upSinceMs = null;
    this.#state = 'idle';
  }

  #sendTimerMs(): number {
    const entry = this.#outbox.unsent;
    if (entry === null) return Infinity;
    if (entry.sentOffset > entry.startOffset) return this.#sendMs;
    if (this.#drainMs !== null) return Infinity;
    const isEnough = this.#outbox.isFull || this.#outbox.unsentBytes >= LINGER_BYTES;
    if (isEnough || this.#lingerFromMs < 0) return this.#sendMs;
    return Math.max(this.#sendMs, this.#lingerFromMs + this.#options.destination.lingerMs);
  }

  #quietTimerMs(): number {
    const { idleTimeoutMs } = this.#options.destination;
    const ackMs = this.#acks.dueMs;
    if (this.#drainMs !== null) return Math.min(this.#drainMs, this.#mayShut ? 0 : ackMs);
    const isIdle = this.#outbox.count === 0 && ackMs === Infinity && idleTimeoutMs > 0;
    return isIdle ? this.#lastUseMs + idleTimeoutMs : ackMs;
  }

  /** The connection is gone. Its parcels go on where `resend` says. */
  #break(reason: string, nowMs: number): void {
    this.#leave(nowMs);
    this.#options.counts.breaks += 1;
    this.#wasBroken = true;
    this.#fail(reason, nowMs);
    this.#rewind();
    if (this.#drainMs !== null) this.#end(nowMs);
    else if (this.#options.isWatched) this.#isWanted = true;
    else if (!this.#hasToDial) this.#rest();
  }

  /** Learns what can be learned of the socket, and closes it. */
  #leave(nowMs: number): void {
    this.#askAcked(nowMs);
    this.#options.counts.unackedBytesAtLoss += this.#acks.onTheWayBytes;
    this.#closeSocket();
    this.#mustRewind = true;
    this.#rewindAttempts = 0;
  }

  /** False: a file could not be read; to be tried again. */
  #rewind(): boolean {
    this.#rewindAttempts += 1;
    const mustEnd = this.#rewindAttempts > READ_ATTEMPTS || this.#drainMs !== null;
    this.#mustRewind = !this.#broken.rewind(this.#outbox, this.#acks.ackedBytes, mustEnd);
    return !this.#mustRewind;
  }

  #end(nowMs: number): void {
    if (this.#fd >= 0) this.#leave(nowMs);
    this.#dialer.cancel();
    this.#state = 'closed';
    this.#upSinceMs = null;
    if (this.#mustRewind) this.#broken.rewind(this.#outbox, this.#acks.ackedBytes, true);
    while (this.#outbox.count > 0) this.#settleFront();
  }

  #closeSocket(): void {
    this.#options.poller.closeSocket(this.#fd);
    this.#fd = -1;
  }
}

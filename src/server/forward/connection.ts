/**
 * Connection: one TCP connection to a destination, made again as often as it breaks.
 *
 * WHY         The channel hands parcels over and hears what became of them; that there were three
 *             connections and a name that moved in between is settled here. What is sent on one
 *             of them, and when, is the outgoing stream's.
 * STATES      idle -> resolving -> connecting -> up -> (idle after idleTimeoutMs)
 *             any of the three -> waiting (back-off) -> resolving ...; loop: waiting, because the
 *             destination is ourselves; closed: for good. up -> idle, too, when it breaks with
 *             nothing to send: whether the destination is down is not known before it is tried,
 *             which is at once where somebody goes by it (isWatched), and the peer did not close
 *             a connection in order that had stood (stream.isProved).
 * OWNERSHIP   Owns its socket and, from tryAdd to onSettled, the parcels. Used by one thread.
 * INVARIANTS  1. a stream begins at a record boundary, and ends at one unless the connection broke
 *             2. parcels are settled in the order of tryAdd, each once; close() settles the rest
 *             3. nothing here waits or keeps a timer: turn() is called when an event came or at
 *             nextTimerMs, and does at most TURN_BYTES_MAX (outgoing-stream.ts).
 * REFUSED     A reset (SO_LINGER 0) of a broken connection: what the kernel holds may still arrive.
 */
import { EPOLLOUT, errnoName } from '../../toolkit/sys/index.ts';
import { BackOff } from './back-off.ts';
import { readBackTalk } from './back-talk.ts';
import type { ConnectionOptions, ConnectionState } from './connection-options.ts';
import { READ_ATTEMPTS } from './connection-waits.ts';
import { DIAL_FAILED, DIAL_PENDING, Dialer } from './dialer.ts';
import { LOOP_ITSELF, LOOP_LISTENER, loopOfSocket } from './loop.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import type { Parcel } from './parcel.ts';
import type { PollHandler } from './poller.ts';
import { setTcpOptions } from './tcp-options.ts';

export class Connection implements PollHandler {
  #options: ConnectionOptions;
  readonly #dialer: Dialer;
  readonly #backOff: BackOff;
  readonly #stream: OutgoingStream;
  #state: ConnectionState = 'idle';
  #fd = -1;
  #reason = '';
  #isWanted = false;
  #retryMs = 0;
  #downSinceMs: number | null = null;
  #upSinceMs: number | null = null;
  #isReadable = false;
  #wasBroken = false;
  #mustRewind = false;
  #rewindAttempts = 0;
  #drainMs: number | null = null;

  constructor(options: ConnectionOptions) {
    const { destination, counts, localAddress, poller, resolver, random } = options;
    this.#options = options;
    this.#backOff = new BackOff(destination.reconnectMsMin, destination.reconnectMsMax, random);
    this.#stream = new OutgoingStream(options);
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
    return this.#stream.parcelCount;
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
    this.#stream.configure(options);
    this.#dialer.configure(destination);
    this.#backOff.configure(destination.reconnectMsMin, destination.reconnectMsMax);
    if (this.#fd >= 0) setTcpOptions(this.#fd, destination);
  }

  /** Hands a parcel over, to be sent by the next turns. False: no room now, or it ends. */
  tryAdd(parcel: Parcel): boolean {
    if (this.#state === 'closed' || this.#drainMs !== null) return false;
    return this.#stream.tryAdd(parcel);
  }

  /** What is too old and not begun; unless it stands all that did not arrive, and it is tried. */
  giveBack(isTooOld: (parcel: Parcel) => boolean): void {
    if (this.#mustRewind || this.#stream.parcelCount === 0) return;
    if (this.#state === 'up') {
      this.#stream.giveBack(isTooOld);
      return;
    }
    this.#isWanted = true;
    this.#stream.settleAll();
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
    if ((events & EPOLLOUT) !== 0) this.#stream.noteRoom();
    if ((events & ~EPOLLOUT) !== 0) this.#isReadable = true;
  }

  /** Does what can be done now. Returns bytes sent. */
  turn(nowMs: number): number {
    if (this.#state === 'idle' && this.#hasToDial && nowMs >= this.#retryMs) this.#dial(nowMs);
    if (this.#state === 'waiting' || this.#state === 'loop') this.#wait(nowMs);
    if (this.#state === 'resolving' || this.#state === 'connecting') this.#step(nowMs);
    return this.#state === 'up' ? this.#stand(nowMs) : 0;
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
        return this.#isReadable ? 0 : Math.min(this.#stream.sendTimerMs, this.#quietTimerMs());
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
    this.#stream.finish();
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
    return this.#isWanted || this.#stream.parcelCount > 0;
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
    this.#isReadable = true;
    this.#stream.begin(this.#fd, nowMs);
  }

  #stand(nowMs: number): number {
    if (this.#isReadable && !this.#listen(nowMs)) return 0;
    const stream = this.#stream;
    const sent = stream.send(nowMs);
    if (stream.breakReason === null) {
      if (this.#drainMs !== null) stream.shutIfWhole(nowMs);
      stream.look(nowMs);
    }
    if (stream.breakReason === null) this.#quiet(nowMs);
    else this.#break(stream.breakReason, nowMs);
    return sent;
  }

  /** False: the peer is gone. */
  #listen(nowMs: number): boolean {
    const talk = readBackTalk(this.#fd, this.#options.counts);
    if (talk === 'more') return true;
    this.#isReadable = false;
    if (talk === 'quiet') return true;
    if (talk === 'closed') this.#hungUp(nowMs);
    else this.#break(talk.goneFor, nowMs);
    return false;
  }

  /** What happens when nothing happens: the end of a drain, and the idle timeout. */
  #quiet(nowMs: number): void {
    const { idleTimeoutMs } = this.#options.destination;
    if (this.#drainMs !== null) {
      if (this.#stream.hasEnded || nowMs >= this.#drainMs) this.#end(nowMs);
      return;
    }
    if (idleTimeoutMs === 0 || nowMs < this.#stream.idleFromMs + idleTimeoutMs) return;
    this.#closeSocket();
    this.#upSinceMs = null;
    this.#state = 'idle';
  }

  #quietTimerMs(): number {
    const { idleTimeoutMs } = this.#options.destination;
    const { ackDueMs, idleFromMs, mayShut } = this.#stream;
    if (this.#drainMs !== null) return Math.min(this.#drainMs, mayShut ? 0 : ackDueMs);
    return idleTimeoutMs === 0 ? ackDueMs : Math.min(ackDueMs, idleFromMs + idleTimeoutMs);
  }

  /** One that stood and had nothing to do was closed as idle, no failure: it is made again. */
  #hungUp(nowMs: number): void {
    this.#break('the destination closed its end', nowMs);
    if (this.#state === 'waiting' && this.#stream.isQuiet && this.#stream.isProved(nowMs)) {
      this.#rest();
    }
  }

  /** The connection is gone. Its parcels go on where `resend` says. */
  #break(reason: string, nowMs: number): void {
    this.#leave(nowMs);
    if (this.#stream.isProved(nowMs)) this.#backOff.reset();
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
    this.#stream.leave(nowMs);
    this.#closeSocket();
    this.#mustRewind = true;
    this.#rewindAttempts = 0;
  }

  /** False: a file could not be read; to be tried again. */
  #rewind(): boolean {
    this.#rewindAttempts += 1;
    const mustEnd = this.#rewindAttempts > READ_ATTEMPTS || this.#drainMs !== null;
    this.#mustRewind = !this.#stream.rewind(mustEnd);
    return !this.#mustRewind;
  }

  #end(nowMs: number): void {
    if (this.#fd >= 0) this.#leave(nowMs);
    this.#dialer.cancel();
    this.#state = 'closed';
    this.#upSinceMs = null;
    if (this.#mustRewind) this.#stream.rewind(true);
    this.#stream.settleAll();
  }

  #closeSocket(): void {
    this.#options.poller.closeSocket(this.#fd);
    this.#fd = -1;
  }
}

/**
 * SpliceWriter: vmsplice(2) into the connection's own pipe, splice(2) from there to the socket.
 *
 * WHY         The kernel sends our memory by reference: no copy. From some 16 KiB on that is
 *             cheaper than send(2). The price: a page is ours again only when the reclaim policy
 *             says so. What costs most is the push into the socket, and then every call: so
 *             writes gather (corkBytes) and leave together, or by flush(); those that follow one
 *             another in memory go into the pipe by one vmsplice.
 * OWNERSHIP   One pipe, made at the first write, closed by close() or with the connection. A page
 *             is lent for the bytes that the pipe took; payload sources are not tracked, whatever
 *             the policy. pendingBytes lie in the pipe, of this connection alone.
 * INVARIANTS  1. stream: a write may be accepted in part: a slot of the pipe holds bytes of one OS
 *             page, so ten bytes cost a whole slot and an unaligned range one more
 *             2. datagram (UDP): the pipe is empty before a write, has 16 slots, and one splice is
 *             one datagram: splice makes one sendmsg of up to 16 slots. What needs more, what
 *             finds no pipe, and what starts at an odd address, is copied (counted as degraded):
 *             Linux 6.18 adds up the checksum of a fragmented datagram as if every slot before held
 *             an even number of bytes, and the peer drops it (seen with IPv4 and IPv6)
 *             3. on a stream the first errno but EAGAIN is the last answer: the pipe is closed at
 *             once, what was stranded in it is not sent, and every later call returns that errno
 *             4. a refused datagram (EMSGSIZE, ECONNREFUSED) is dropped with its pipe and the
 *             socket goes on; one that was already accepted counts as sent and is lost
 *             5. a page that cannot be tracked (flight-log.ts: 4,096 flights of this connection, or
 *             4,095 connections that have the page) is copied, counted as degraded.
 * REFUSED     pages under the policy `immutable` (a page is filled again one day: bytes that never
 *             change are a payload source); UNIX datagrams and SCTP, which copy anyway (use
 *             CopyWriter); SPLICE_F_GIFT (it changes nothing on a socket, and is dangerous on
 *             memory of malloc); SPLICE_F_MORE (a tail that waits 200 ms when no write follows, for
 *             one segment less in 512 KiB); pooled pipes (what a short splice leaves belongs to a
 *             connection).
 */
import { EAGAIN, EBADF, EIO } from '../sys/errno.ts';
import { send, socketCookie, splice, vmsplice } from '../sys/index.ts';
import { FlightLog } from './flight-log.ts';
import { OutputPipe } from './output-pipe.ts';
import type { MemorySource, OutputSource } from './output-source.ts';
import { makeCounts, type OutputCounts, type OutputWriter } from './output-writer.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';
import { isSameSocket, kindError, socketKind } from './socket-kind.ts';
import { requireMemory, sourceError } from './source-check.ts';

/** Slots that one splice hands to the socket in one sendmsg: fs/splice.c, splice_to_socket(). */
const DATAGRAM_PIPE_BYTES = 16 * 4096;
/** Room for the cork in OS pages that are used in part; twice as much measured no better. */
const PIPE_BYTES_DEFAULT = 512 * 1024;
/** A smaller pipe (a user's soft limit is used up) costs more calls than the copy costs. */
const PIPE_BYTES_LEAST = 64 * 1024;
/** Measured: 4 KiB writes cost 0.2 of send(2) with it, 1.7 without; more gains little. */
const CORK_BYTES_DEFAULT = 256 * 1024;
const COPIES_PER_TRIAL = 64;

export interface SpliceOptions {
  /** Bytes of the pipe, rounded up by the kernel to a power of two of OS pages. */
  readonly pipeBytes?: number;
  /** The socket gets bytes when so many are in the pipe, or by flush(); 0: at every write. */
  readonly corkBytes?: number;
}

export class SpliceWriter implements OutputWriter {
  readonly mechanism = 'splice';
  readonly fd: number;
  readonly #cookie: bigint | null;
  readonly #policy: ReclaimPolicy;
  readonly #isDatagram: boolean;
  readonly #pipeBytes: number;
  readonly #corkBytes: number;
  readonly #pipe = new OutputPipe();
  readonly #log = new FlightLog();
  readonly #counts: OutputCounts = makeCounts();
  #pendingBytes = 0;
  /** Of those, what is not in the pipe yet: one range of memory, the last that was accepted. */
  #gathered: Uint8Array | null = null;
  #gatheredOffset = 0;
  #gatheredBytes = 0;
  /** Copies before a pipe is asked for again. */
  #copiesToGo = 0;
  /** -errno once the connection is over. */
  #failure = 0;

  /**
   * `fd`: a connected, non-blocking socket: TCP, UNIX stream or UDP; any other throws
   * MR_OUTPUT_MECHANISM.
   */
  constructor(fd: number, policy: ReclaimPolicy, options: SpliceOptions = {}) {
    const kind = socketKind(fd);
    if (kind === 'unixDatagram' || kind === 'other') {
      throw kindError('splice', kind, 'use the mechanism copy: this kind of socket copies anyway');
    }
    this.fd = fd;
    this.#cookie = socketCookie(fd);
    this.#policy = policy;
    this.#isDatagram = kind === 'udp';
    this.#pipeBytes = this.#isDatagram
      ? DATAGRAM_PIPE_BYTES
      : (options.pipeBytes ?? PIPE_BYTES_DEFAULT);
    this.#corkBytes = options.corkBytes ?? CORK_BYTES_DEFAULT;
  }

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  get flightCount(): number {
    return this.#log.flightCount;
  }

  write(source: OutputSource, offset: number, length: number): number {
    const memory = requireMemory('splice', source, offset, length);
    if (memory.kind === 'page' && this.#policy.name === 'immutable') throw immutablePageError();
    if (this.#failure !== 0) return this.#failure;
    if (!this.#pipe.isOpen && !this.#openPipe()) return this.#copy(memory, offset, length);
    if (this.#isDatagram) return this.#writeDatagram(memory, offset, length);
    return this.#writeStream(memory, offset, length);
  }

  flush(): number {
    if (this.#failure !== 0) return this.#failure;
    return this.#pendingBytes === 0 ? 0 : this.#drainPipe();
  }

  reclaim(): number {
    if (this.#log.flightCount === 0) return 0;
    return this.#log.giveBack(this.#policy.safeBytes(this.#counts.sentBytes));
  }

  close(): void {
    this.#fail(-EBADF);
    // A number that now means another socket proves nothing about ours.
    if (isSameSocket(this.fd, this.#cookie)) this.reclaim();
    this.#log.abandon();
  }

  #writeStream(source: MemorySource, offset: number, length: number): number {
    let accepted = 0;
    // The socket was full: until it takes something, more behind it is calls for nothing.
    if (this.#pendingBytes > 0 && this.#pendingBytes >= this.#corkBytes) {
      const pending = this.#drainPipe();
      if (pending !== 0) return pending > 0 ? -EAGAIN : pending;
    }
    while (accepted < length) {
      const taken = this.#gather(source, offset + accepted, length - accepted);
      if (taken === NOT_LENT) {
        return accepted > 0 ? accepted : this.#copyBehind(source, offset, length);
      }
      if (taken < 0 && taken !== -EAGAIN) return accepted > 0 ? accepted : taken;
      if (taken > 0) accepted += taken;
      const isFull = accepted < length;
      if (!isFull && this.#pendingBytes < this.#corkBytes) break;
      const pending = this.#drainPipe();
      if (pending < 0) return pending;
      if (pending > 0) break;
    }
    return accepted > 0 ? accepted : -EAGAIN;
  }

  /**
   * Accepts bytes, at most a pipe full: behind the gathered range when they follow it in memory,
   * else as a new one. How many; NOT_LENT; -EAGAIN: the pipe has no room for the range before; or
   * the -errno that ended the connection.
   */
  #gather(source: MemorySource, offset: number, length: number): number {
    const counts = this.#counts;
    const start = source.start + offset;
    const isNext =
      source.bytes === this.#gathered && start === this.#gatheredOffset + this.#gatheredBytes;
    if (this.#gatheredBytes > 0 && !isNext) {
      const laid = this.#fillPipe();
      if (laid < 0) return laid === -EAGAIN ? laid : this.#fail(laid);
      if (this.#gatheredBytes > 0) return -EAGAIN;
    }
    const taken = Math.min(length, this.#pipe.capacityBytes - this.#pendingBytes);
    if (taken <= 0) return -EAGAIN;
    if (!this.#lend(source, offset, taken)) return NOT_LENT;
    if (this.#gatheredBytes === 0) {
      this.#gathered = source.bytes;
      this.#gatheredOffset = start;
    }
    this.#gatheredBytes += taken;
    this.#pendingBytes += taken;
    counts.acceptedBytes += taken;
    if (source.kind === 'page') this.#log.commit(counts.acceptedBytes);
    return taken;
  }

  /** vmsplice of the gathered range: how much the pipe took, or -errno. */
  #fillPipe(): number {
    this.#counts.callCount += 1;
    const { writeEnd } = this.#pipe;
    const taken = vmsplice(writeEnd, this.#gathered!, this.#gatheredOffset, this.#gatheredBytes);
    if (taken <= 0) return taken === 0 ? -EIO : taken;
    this.#gatheredOffset += taken;
    this.#gatheredBytes -= taken;
    return taken;
  }

  /**
   * splice, and vmsplice of what was gathered whenever the pipe is empty: what is still pending, or
   * -errno: the connection, or the datagram, is over.
   */
  #drainPipe(): number {
    const counts = this.#counts;
    while (this.#pendingBytes > 0) {
      if (this.#gatheredBytes === this.#pendingBytes) {
        const laid = this.#fillPipe();
        if (laid === -EAGAIN) break;
        if (laid < 0) return this.#refused(laid);
      }
      counts.callCount += 1;
      const held = this.#pendingBytes - this.#gatheredBytes;
      const moved = splice(this.#pipe.readEnd, this.fd, held);
      if (moved === -EAGAIN) {
        counts.fullCount += 1;
        break;
      }
      if (moved <= 0) return this.#refused(moved === 0 ? -EIO : moved);
      counts.sentBytes += moved;
      this.#pendingBytes -= moved;
    }
    return this.#pendingBytes;
  }

  /** One datagram, or none of it: the pipe is empty before, and empty or pending after. */
  #writeDatagram(source: MemorySource, offset: number, length: number): number {
    const counts = this.#counts;
    const pending = this.flush();
    if (pending < 0) return pending;
    if (pending > 0) return -EAGAIN;
    if (isOddAddress(source, offset)) return this.#copy(source, offset, length);
    if (!this.#lend(source, offset, length)) return this.#copy(source, offset, length);
    counts.callCount += 2;
    const taken = vmsplice(this.#pipe.writeEnd, source.bytes, source.start + offset, length);
    if (taken !== length) {
      // More OS pages than the pipe has slots, or vmsplice refused: what is in the pipe goes.
      this.#log.cancel();
      this.#pipe.close();
      return this.#copy(source, offset, length);
    }
    const moved = splice(this.#pipe.readEnd, this.fd, length);
    if (moved !== length && moved !== -EAGAIN) {
      this.#log.cancel();
      this.#pipe.close();
      return moved < 0 ? moved : -EIO;
    }
    counts.acceptedBytes += length;
    if (source.kind === 'page') this.#log.commit(counts.acceptedBytes);
    if (moved === length) {
      counts.sentBytes += length;
    } else {
      counts.fullCount += 1;
      this.#pendingBytes = length;
    }
    return length;
  }

  /** Lends a page for what follows; payload sources are not tracked. False: it must be copied. */
  #lend(source: MemorySource, offset: number, length: number): boolean {
    if (source.kind !== 'page') return true;
    const position = this.#counts.acceptedBytes;
    if (this.#log.begin(source, position, offset, length)) return true;
    return this.reclaim() > 0 && this.#log.begin(source, position, offset, length);
  }

  /** False: no pipe that pays is to be had; asked again after so many copies. */
  #openPipe(): boolean {
    if (this.#copiesToGo > 0) {
      this.#copiesToGo -= 1;
      return false;
    }
    const opened = this.#pipe.open(this.#pipeBytes);
    if (opened >= 0 && this.#pipe.capacityBytes >= this.#pipeBytes) return true;
    this.#counts.degradedCount += 1;
    if (opened >= 0 && this.#pipe.capacityBytes >= PIPE_BYTES_LEAST) return true;
    this.#pipe.close();
    this.#copiesToGo = COPIES_PER_TRIAL;
    return false;
  }

  /** A copy, behind what the pipe holds: -EAGAIN as long as it holds something. */
  #copyBehind(source: MemorySource, offset: number, length: number): number {
    const pending = this.flush();
    if (pending !== 0) return pending < 0 ? pending : -EAGAIN;
    return this.#copy(source, offset, length);
  }

  /** Where no pipe is to be had, and for a datagram of too many OS pages. */
  #copy(source: MemorySource, offset: number, length: number): number {
    const counts = this.#counts;
    counts.callCount += 1;
    counts.degradedCount += 1;
    const sent = send(this.fd, source.bytes, source.start + offset, length);
    if (sent === -EAGAIN) counts.fullCount += 1;
    if (sent <= 0) return sent === -EAGAIN || this.#isDatagram ? sent : this.#fail(sent);
    counts.acceptedBytes += sent;
    counts.sentBytes += sent;
    counts.copiedBytes += sent;
    return sent;
  }

  /** What the pipe holds will never be sent. */
  #refused(errno: number): number {
    if (!this.#isDatagram) return this.#fail(errno);
    this.#counts.sentBytes += this.#pendingBytes;
    this.#pendingBytes = 0;
    this.#pipe.close();
    return errno;
  }

  /** The connection is over; the first reason stays. */
  #fail(errno: number): number {
    if (this.#failure === 0) this.#failure = errno;
    this.#pendingBytes = 0;
    this.#gatheredBytes = 0;
    this.#gathered = null;
    this.#pipe.close();
    return this.#failure;
  }
}

/** Not an errno: a page that cannot be tracked, so that it must be copied. */
const NOT_LENT = -100_000;

/** Buffers themselves start at even addresses. */
function isOddAddress({ bytes, start }: MemorySource, offset: number): boolean {
  return ((bytes.byteOffset + start + offset) & 1) === 1;
}

function immutablePageError(): Error {
  return sourceError(
    'splice',
    'page, under the policy immutable,',
    'a page is filled again: use another policy, or a payload source for bytes that never change',
  );
}

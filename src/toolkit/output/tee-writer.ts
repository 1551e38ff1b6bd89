/**
 * TeeWriter: tee(2) from the payload's master pipes into the connection's own, splice(2) from
 * there.
 *
 * WHY         The same bytes to many peers: no copy, and no walk over page tables per connection.
 * OWNERSHIP   One pipe, made at the first write, closed by close() or with the connection. The
 *             payload is shared, and closed by its owner after all its writers.
 * LAYOUT      own pipe, from its front: [ pending: accepted ][ ahead: not accepted yet ]
 *             A chunk is teed whole, because tee starts at the front of a master pipe only; what
 *             the caller has not offered yet waits behind as `ahead` and is taken when it is
 *             offered. Were another byte offered instead, `ahead` would have to go: the pipe is
 *             closed.
 * INVARIANTS  1. ahead > 0: it starts at payload byte aheadOffset; nothing is teed behind it
 *             2. a chunk is teed only when the own pipe surely has the slots
 *             3. the first errno but EAGAIN is the last answer: the pipe is closed at once
 *             4. bytes in the middle of a chunk that are not ahead, and all bytes where the chunk
 *             has no pipe, or no own pipe of its size is to be had, are copied (counted as
 *             degraded).
 * PAGES       The payload is immutable: nothing is lent, flightCount is 0.
 * REFUSED     datagram sockets (a chunk is no datagram); sources other than the payload.
 */

import { OS_PAGE_BYTES } from '../base/limits.ts';
import { EAGAIN, EBADF, EIO } from '../sys/errno.ts';
import { send, splice, tee } from '../sys/index.ts';
import { OutputPipe } from './output-pipe.ts';
import type { MemorySource, OutputSource } from './output-source.ts';
import { makeCounts, type OutputCounts, type OutputWriter } from './output-writer.ts';
import { hasBoundaries, kindError, socketKind } from './socket-kind.ts';
import { requireMemory, sourceError } from './source-check.ts';
import type { TeeChunk, TeePayload } from './tee-payload.ts';

const PIPE_BYTES_DEFAULT = 256 * 1024;
const CORK_BYTES_DEFAULT = 256 * 1024;
const COPIES_PER_TRIAL = 64;

export interface TeeOptions {
  /** Bytes of the pipe; at least what the payload's largest chunk needs. */
  readonly pipeBytes?: number;
  /** The socket gets bytes when so many are in the pipe, or by flush(); 0: at every write. */
  readonly corkBytes?: number;
}

export class TeeWriter implements OutputWriter {
  readonly mechanism = 'tee';
  readonly fd: number;
  readonly flightCount = 0;
  readonly #payload: TeePayload;
  readonly #pipeBytes: number;
  readonly #corkBytes: number;
  readonly #pipe = new OutputPipe();
  readonly #counts: OutputCounts = makeCounts();
  #pendingBytes = 0;
  #aheadBytes = 0;
  /** Where the bytes ahead start in the payload. */
  #aheadOffset = 0;
  /** Slots that may be in use; exact when the pipe is empty. */
  #usedSlots = 0;
  /** Copies before a pipe is asked for again. */
  #copiesToGo = 0;
  /** -errno once the connection is over. */
  #failure = 0;

  /** `fd`: a connected, non-blocking stream socket; any other throws MR_OUTPUT_MECHANISM. */
  constructor(fd: number, payload: TeePayload, options: TeeOptions = {}) {
    const kind = socketKind(fd);
    if (hasBoundaries(kind)) throw kindError('tee', kind, 'use copy, or splice for UDP');
    this.fd = fd;
    this.#payload = payload;
    this.#pipeBytes = Math.max(payload.pipeBytes, options.pipeBytes ?? PIPE_BYTES_DEFAULT);
    this.#corkBytes = options.corkBytes ?? CORK_BYTES_DEFAULT;
  }

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** As OutputWriter.write; throws MR_OUTPUT_SOURCE for any source but the payload's. */
  write(source: OutputSource, offset: number, length: number): number {
    const memory = requireMemory('tee', source, offset, length);
    if (source !== this.#payload.source) throw otherSourceError();
    if (this.#failure !== 0) return this.#failure;
    let accepted = 0;
    while (accepted < length) {
      const left = length - accepted;
      const taken = this.#takeReference(offset + accepted, left);
      if (taken === NOT_BY_REFERENCE) {
        if (accepted > 0) break;
        return this.#copy(memory, offset, left);
      }
      if (taken < 0) return accepted > 0 ? accepted : taken;
      accepted += taken;
      if (this.#pendingBytes < this.#corkBytes) continue;
      const pending = this.#drainPipe();
      if (pending < 0) return pending;
      if (pending > 0) break;
    }
    return accepted;
  }

  flush(): number {
    if (this.#failure !== 0) return this.#failure;
    return this.#pendingBytes === 0 ? 0 : this.#drainPipe();
  }

  reclaim(): number {
    return 0;
  }

  close(): void {
    this.#fail(-EBADF);
  }

  /**
   * Accepts bytes that lie in the own pipe, or come there by tee: how many, at least one; -errno;
   * NOT_BY_REFERENCE, with an empty pipe, when they have to be copied.
   */
  #takeReference(offset: number, length: number): number {
    if (this.#aheadBytes > 0) {
      if (this.#aheadOffset === offset) return this.#accept(length);
      const answer = this.#emptyPipe();
      if (answer < 0) return answer;
      this.#closePipe();
    }
    const chunk = this.#payload.chunkAt(offset);
    if (offset !== chunk.start || !chunk.pipe.isOpen) return this.#emptyPipe() || NOT_BY_REFERENCE;
    if (!this.#pipe.isOpen && !this.#openPipe()) return NOT_BY_REFERENCE;
    const slots = slotsOf(chunk);
    if (this.#usedSlots + slots > this.#pipe.capacityBytes / OS_PAGE_BYTES) {
      const answer = this.#emptyPipe();
      if (answer < 0) return answer;
    }
    this.#counts.callCount += 1;
    const teed = tee(chunk.pipe.readEnd, this.#pipe.writeEnd, chunk.end - chunk.start);
    if (teed === -EAGAIN) return this.#emptyPipe() || NOT_BY_REFERENCE;
    if (teed <= 0) return this.#fail(teed === 0 ? -EIO : teed);
    this.#usedSlots += slots;
    this.#aheadOffset = offset;
    this.#aheadBytes = teed;
    return this.#accept(length);
  }

  /** Of the bytes ahead, up to `length` become pending; returns how many. */
  #accept(length: number): number {
    const accepted = Math.min(length, this.#aheadBytes);
    this.#aheadBytes -= accepted;
    this.#aheadOffset += accepted;
    this.#pendingBytes += accepted;
    this.#counts.acceptedBytes += accepted;
    return accepted;
  }

  /** 0: nothing is pending any more; else -EAGAIN or the errno that ended the connection. */
  #emptyPipe(): number {
    const pending = this.flush();
    return pending > 0 ? -EAGAIN : pending;
  }

  /** splice: what is still pending, or -errno: the connection is over. */
  #drainPipe(): number {
    const counts = this.#counts;
    while (this.#pendingBytes > 0) {
      counts.callCount += 1;
      const moved = splice(this.#pipe.readEnd, this.fd, this.#pendingBytes);
      if (moved === -EAGAIN) {
        counts.fullCount += 1;
        return this.#pendingBytes;
      }
      if (moved <= 0) return this.#fail(moved === 0 ? -EIO : moved);
      counts.sentBytes += moved;
      this.#pendingBytes -= moved;
    }
    if (this.#aheadBytes === 0) this.#usedSlots = 0;
    return 0;
  }

  /** False: no pipe that holds a chunk is to be had; asked again after so many copies. */
  #openPipe(): boolean {
    if (this.#copiesToGo > 0) {
      this.#copiesToGo -= 1;
      return false;
    }
    const opened = this.#pipe.open(this.#pipeBytes);
    if (opened >= 0 && this.#pipe.capacityBytes >= this.#pipeBytes) return true;
    this.#counts.degradedCount += 1;
    if (opened >= 0 && this.#pipe.capacityBytes >= this.#payload.pipeBytes) return true;
    this.#pipe.close();
    this.#copiesToGo = COPIES_PER_TRIAL;
    return false;
  }

  /** With nothing pending: up to the end of a chunk, so that the next goes by reference again. */
  #copy(source: MemorySource, offset: number, length: number): number {
    const counts = this.#counts;
    counts.callCount += 1;
    counts.degradedCount += 1;
    const wanted = Math.min(length, this.#payload.chunkAt(offset).end - offset);
    const sent = send(this.fd, source.bytes, source.start + offset, wanted);
    if (sent === -EAGAIN) counts.fullCount += 1;
    if (sent <= 0) return sent === -EAGAIN ? sent : this.#fail(sent);
    counts.acceptedBytes += sent;
    counts.sentBytes += sent;
    counts.copiedBytes += sent;
    return sent;
  }

  #closePipe(): void {
    this.#pipe.close();
    this.#pendingBytes = 0;
    this.#aheadBytes = 0;
    this.#usedSlots = 0;
  }

  /** The connection is over; the first reason stays. */
  #fail(errno: number): number {
    if (this.#failure === 0) this.#failure = errno;
    this.#closePipe();
    return this.#failure;
  }
}

/** Not an errno: bytes that tee cannot bring. */
const NOT_BY_REFERENCE = -100_000;

/** Slots that a chunk may need: one more than its OS pages when it starts inside of one. */
function slotsOf({ pipe, start, end }: TeeChunk): number {
  const slots = Math.ceil((end - start) / OS_PAGE_BYTES) + 1;
  return Math.min(slots, pipe.capacityBytes / OS_PAGE_BYTES);
}

function otherSourceError(): Error {
  return sourceError('tee', 'payload other than its own', 'make a TeeWriter per payload');
}

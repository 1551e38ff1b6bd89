/**
 * Reclaim policy `peerQueue` on a UNIX stream: what the peer's receive queue no longer holds.
 *
 * PROOF       SIOCOUTQ of a UNIX socket is the memory charged to it (sk_wmem_alloc): of each buffer
 *             that it sent and the peer has not taken whole, the size of the buffer, which is at
 *             least its bytes. The queue is a FIFO, so the bytes that the peer has not received are
 *             among the last SIOCOUTQ of the stream; it has copied those before by recv(2), and the
 *             buffer that referred to our page is freed after the copy.
 * HOLDS       for a UNIX stream whose peer recv()s (MSG_PEEK consumes nothing, and frees nothing).
 *             Opt-in: the caller states it, nobody can see it from here.
 * FAILS       for a peer that splices the socket into a pipe: the buffer is freed, our page lies in
 *             the pipe. And where the socket is joined to another by BPF.
 */
import { MillraceError } from '../base/errors.ts';
import { bytesUnacked } from '../sys/index.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';
import { kindError, socketKind } from './socket-kind.ts';

export interface PeerQueueOptions {
  /** How the peer reads: a statement of the caller. Anything but 'recv' is refused. */
  readonly reader: 'recv';
}

export class PeerQueueUnixReclaim implements ReclaimPolicy {
  readonly name = 'peerQueue';
  readonly isSafe = true;
  readonly #fd: number;
  #safeBytes = 0;

  /** Throws MR_OUTPUT_MECHANISM when the socket is no UNIX stream, or the peer may not recv(). */
  constructor(fd: number, options: PeerQueueOptions) {
    const kind = socketKind(fd);
    if (kind !== 'unixStream') throw kindError('peerQueue on UNIX', kind, 'use another policy');
    const reader: string = options.reader;
    if (reader !== 'recv') {
      throw new MillraceError(
        'MR_OUTPUT_MECHANISM',
        `peerQueue does not work for a peer that reads by ${reader}`,
        'use copy, or applicationAck',
      );
    }
    this.#fd = fd;
  }

  safeBytes(sentBytes: number): number {
    const queued = bytesUnacked(this.#fd);
    // A socket that cannot be asked any more proves nothing new.
    if (queued >= 0) this.#safeBytes = Math.max(this.#safeBytes, sentBytes - queued);
    return this.#safeBytes;
  }
}

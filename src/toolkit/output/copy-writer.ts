/**
 * CopyWriter: send(2). The kernel copies; the bytes may be written again at once.
 *
 * WHY         Right for every socket and every peer, and the cheapest below some 16 KiB. What the
 *             other mechanisms are measured against, and what they fall back to.
 * OWNERSHIP   Nothing is lent and nothing is kept between calls: pendingBytes and flightCount are
 *             0.
 * INVARIANTS  One write is one send: on a datagram socket one datagram; a datagram that is refused
 *             (EMSGSIZE, ECONNREFUSED) is lost, the socket goes on.
 * REFUSED     sendmsg of several ranges (the interface offers one at a time; a caller with many
 *             small pieces has sys sendRanges); file sources (they would have to be read first).
 */
import { EAGAIN, EBADF } from '../sys/errno.ts';
import { send } from '../sys/index.ts';
import type { OutputSource } from './output-source.ts';
import { makeCounts, type OutputCounts, type OutputWriter } from './output-writer.ts';
import { requireMemory } from './source-check.ts';

export class CopyWriter implements OutputWriter {
  readonly mechanism = 'copy';
  readonly fd: number;
  readonly pendingBytes = 0;
  readonly flightCount = 0;
  readonly #counts: OutputCounts = makeCounts();
  #isClosed = false;

  /** `fd`: a connected, non-blocking socket of any kind. */
  constructor(fd: number) {
    this.fd = fd;
  }

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  write(source: OutputSource, offset: number, length: number): number {
    const { bytes, start } = requireMemory('copy', source, offset, length);
    if (this.#isClosed) return -EBADF;
    const sent = send(this.fd, bytes, start + offset, length);
    const counts = this.#counts;
    counts.callCount += 1;
    if (sent > 0) {
      counts.acceptedBytes += sent;
      counts.sentBytes += sent;
      counts.copiedBytes += sent;
    } else if (sent === -EAGAIN) {
      counts.fullCount += 1;
    }
    return sent;
  }

  flush(): number {
    return 0;
  }

  reclaim(): number {
    return 0;
  }

  /** It owns nothing, and sends nothing any more. */
  close(): void {
    this.#isClosed = true;
  }
}

/**
 * FileWriter: sendfile(2), from the page cache to the socket, without a copy.
 *
 * WHY         A file that was written once is sent to many without its bytes in our memory.
 * OWNERSHIP   File and socket are the caller's. Nothing is kept between calls: pendingBytes and
 *             flightCount are 0. The kernel refers to the page cache, as long as it needs to.
 * INVARIANTS  1. the range must never change: a page cache page that is written while it is in
 *             flight changes what the peer reads (append-only files are safe)
 *             2. the end of the file inside the range: what is there is sent, then the answer is
 *             -ENODATA; nothing is lost, the connection goes on, and the file may still grow
 *             3. stream sockets only.
 * BLOCKS      when the file is not in the page cache: the thread waits for the disk.
 * REFUSED     splice from the file through a pipe of our own (the same work in two calls; sendfile
 *             has such a pipe inside, and measured no worse from 64 KiB to 1 MiB); datagram sockets
 *             (sendfile cuts where its own pipe ends).
 */
import { EAGAIN, EBADF, ENODATA } from '../sys/errno.ts';
import { sendfile } from '../sys/index.ts';
import type { OutputSource } from './output-source.ts';
import { makeCounts, type OutputCounts, type OutputWriter } from './output-writer.ts';
import { hasBoundaries, kindError, socketKind } from './socket-kind.ts';
import { requireFile } from './source-check.ts';

export class FileWriter implements OutputWriter {
  readonly mechanism = 'file';
  readonly fd: number;
  readonly pendingBytes = 0;
  readonly flightCount = 0;
  readonly #counts: OutputCounts = makeCounts();
  #isClosed = false;

  /** `fd`: a connected, non-blocking stream socket; any other throws MR_OUTPUT_MECHANISM. */
  constructor(fd: number) {
    const kind = socketKind(fd);
    if (hasBoundaries(kind)) throw kindError('file', kind, 'read the file, and use copy');
    this.fd = fd;
  }

  get counts(): Readonly<OutputCounts> {
    return this.#counts;
  }

  /** As OutputWriter.write; -ENODATA: the file ends at or before `offset`. */
  write(source: OutputSource, offset: number, length: number): number {
    const file = requireFile('file', source, offset, length);
    if (this.#isClosed) return -EBADF;
    const counts = this.#counts;
    counts.callCount += 1;
    const sent = sendfile(this.fd, file.fd, offset, Math.min(length, SENDFILE_BYTES_MAX));
    if (sent === 0) return -ENODATA;
    if (sent === -EAGAIN) counts.fullCount += 1;
    if (sent < 0) return sent;
    counts.acceptedBytes += sent;
    counts.sentBytes += sent;
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

/** Limit of the typed face; the socket takes less in any case. */
const SENDFILE_BYTES_MAX = 1 << 30;

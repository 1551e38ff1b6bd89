/**
 * TeePayload: bytes that never change, laid once into pipes from which every connection takes.
 *
 * WHY         vmsplice(2) walks the page tables for each OS page; tee(2) only counts a reference.
 *             So the walk is paid once, and each of many connections pays the reference alone.
 * LAYOUT      Chunks: one master pipe each, that holds bytes [start, end) of the payload. tee reads
 *             from the front of a pipe only, so a chunk is what a connection takes at once: large
 *             enough to pay, small enough that its own pipe holds it.
 * OWNERSHIP   The pipes are this object's; close() after the writers. The bytes are the caller's
 *             and must not change, nor their memory be used for anything else, for as long as the
 *             process lives: what a peer on this machine refers to outlives every pipe.
 * INVARIANTS  1. a master pipe is filled once and never read, only teed
 *             2. chunks follow one another without a gap and cover the payload
 *             3. no chunk needs more slots than its pipe's capacity
 *             4. where a pipe that pays is refused (fs.pipe-user-pages-soft is used up) the chunk
 *             has none, and writers copy it.
 * REFUSED     a page source (a pool fills its pages again); one pipe for a payload beyond 1 MiB
 *             (fs.pipe-max-size).
 */
import { MillraceError } from '../base/errors.ts';
import { OS_PAGE_BYTES } from '../base/limits.ts';
import { checked, EAGAIN, SyscallError } from '../sys/errno.ts';
import { vmsplice } from '../sys/index.ts';
import { OutputPipe } from './output-pipe.ts';
import type { PayloadSource } from './output-source.ts';

const CHUNK_BYTES_DEFAULT = 256 * 1024;
const CHUNK_BYTES_MAX = 1 << 20;

export interface TeePayloadOptions {
  /** Most bytes of a chunk, up to 1 MiB: rounded up to a power of two of OS pages. */
  readonly chunkBytes?: number;
}

/** A pipe that takes less, though the payload has more, costs more calls than a copy. */
const CHUNK_BYTES_LEAST = 64 * 1024;

/** Bytes [start, end) of the payload, at the front of a pipe; a closed pipe: to be copied. */
export interface TeeChunk {
  readonly pipe: OutputPipe;
  readonly start: number;
  readonly end: number;
}

export class TeePayload {
  readonly source: PayloadSource;
  readonly chunks: readonly TeeChunk[];
  /** Capacity that a connection's own pipe needs to take any chunk. */
  readonly pipeBytes: number;

  private constructor(source: PayloadSource, chunks: readonly TeeChunk[]) {
    this.source = source;
    this.chunks = chunks;
    this.pipeBytes = Math.max(...chunks.map(({ pipe }) => pipe.capacityBytes));
  }

  /**
   * Lays the payload into pipes. Throws SyscallError: EMFILE, ENFILE, EFAULT, ENOMEM; no pipe is
   * left open then.
   */
  static fill(source: PayloadSource, options: TeePayloadOptions = {}): TeePayload {
    const { chunkBytes = CHUNK_BYTES_DEFAULT } = options;
    if (source.length === 0 || chunkBytes < OS_PAGE_BYTES || chunkBytes > CHUNK_BYTES_MAX) {
      throw new MillraceError(
        'MR_OUTPUT_SOURCE',
        `a payload of ${source.length} bytes in chunks of ${chunkBytes}`,
        'give at least one byte, and chunks of 4 KiB to 1 MiB',
      );
    }
    const chunks: TeeChunk[] = [];
    try {
      for (let start = 0; start < source.length; start = chunks.at(-1)!.end) {
        chunks.push(fillChunk(source, start, chunkBytes));
      }
    } catch (error) {
      for (const { pipe } of chunks) pipe.close();
      throw error;
    }
    return new TeePayload(source, chunks);
  }

  /** The chunk that holds the byte at `offset`. */
  chunkAt(offset: number): TeeChunk {
    let low = 0;
    let high = this.chunks.length - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.chunks[middle]!.end <= offset) low = middle + 1;
      else high = middle;
    }
    return this.chunks[low]!;
  }

  /** Closes the master pipes. A second call does nothing. */
  close(): void {
    for (const { pipe } of this.chunks) pipe.close();
  }
}

/** One master pipe with as much of the payload from `start` as it takes. */
function fillChunk(source: PayloadSource, start: number, chunkBytes: number): TeeChunk {
  const pipe = new OutputPipe();
  const wanted = Math.min(source.length - start, chunkBytes);
  checked('pipe2', pipe.open(Math.ceil(wanted / OS_PAGE_BYTES) * OS_PAGE_BYTES));
  if (pipe.capacityBytes < Math.min(wanted, CHUNK_BYTES_LEAST)) {
    pipe.close();
    return { pipe, start, end: start + wanted };
  }
  let end = start;
  while (end < start + wanted) {
    const left = start + wanted - end;
    const taken = vmsplice(pipe.writeEnd, source.bytes, source.start + end, left);
    if (taken > 0) {
      end += taken;
      continue;
    }
    // Bytes that do not start on an OS page touch one more than they fill.
    const isFull = taken === -EAGAIN;
    if (isFull && pipe.capacityBytes < CHUNK_BYTES_MAX && pipe.resize(2 * pipe.capacityBytes)) {
      continue;
    }
    if (isFull && end > start) break;
    pipe.close();
    throw new SyscallError('vmsplice', taken, 'the master pipe of a payload');
  }
  return { pipe, start, end };
}

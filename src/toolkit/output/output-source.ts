/**
 * What an OutputWriter sends: where bytes lie, and who may ever write them again.
 *
 * WHY         The mechanism that may be used depends on one question only: will these bytes be
 *             written again while the kernel, or a peer on this machine, still refers to them?
 *             So the answer is part of the source and cannot be forgotten at the call.
 * KINDS       page     a page of a pool: written again, but only after it was given back
 *             payload  bytes in memory that never change for the life of the process
 *             file     a range of a file whose bytes never change (append-only)
 * OWNERSHIP   A source is made once and reused for every write: no allocation per write. Whoever
 *             acquires a page may write its generation into its source.
 */
import type { PagePool } from '../pages/index.ts';

export interface PageSource {
  readonly kind: 'page';
  readonly pool: PagePool;
  readonly page: number;
  /** The arena; the page's bytes start at `start` in it. */
  readonly bytes: Uint8Array;
  readonly start: number;
  /** Bytes of the page. */
  readonly length: number;
  /**
   * The life of the page that is meant: pool.generation(page) after acquire. A writer that is about
   * to lend an earlier life throws MR_STALE_PAGE. null: not checked.
   */
  generation: number | null;
}

export interface PayloadSource {
  readonly kind: 'payload';
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly length: number;
}

export interface FileSource {
  readonly kind: 'file';
  readonly fd: number;
}

export type OutputSource = PageSource | PayloadSource | FileSource;
/** What lies in memory. */
export type MemorySource = PageSource | PayloadSource;

/** One source per page of a pool, by page index. */
export function pageSources(pool: PagePool): readonly PageSource[] {
  return Array.from({ length: pool.pageCount }, (_, page) => ({
    kind: 'page',
    pool,
    page,
    bytes: pool.bytes,
    start: page * pool.pageBytes,
    length: pool.pageBytes,
    generation: null,
  }));
}

/**
 * Plain buffers of payloads, for the life of the process. Their memory is malloc's: collected, it
 * would hold other bytes while a slow peer still reads these. Memory of an arena is mapped, and
 * what the kernel refers to outlives the mapping.
 */
const keptBuffers = new Set<ArrayBufferLike>();

/**
 * Bytes that never change again: the caller's promise, for the life of the process. A plain buffer
 * is never collected; keep a SharedArrayBuffer yourself.
 */
export function payloadSource(
  bytes: Uint8Array,
  start = 0,
  length = bytes.length - start,
): PayloadSource {
  if (bytes.buffer instanceof ArrayBuffer) keptBuffers.add(bytes.buffer);
  return { kind: 'payload', bytes, start, length };
}

/** A file whose bytes never change once they are written. */
export function fileSource(fd: number): FileSource {
  return { kind: 'file', fd };
}

/**
 * Segment writer: appends blocks to the newest segment file and opens the next one.
 *
 * WHY         One writer, one pwrite(2) per block, no seek: the cheapest way to make bytes survive
 *             a kill of the process.
 * OWNERSHIP   The journal worker. A full segment's fd goes to the keeper, who syncs and closes it:
 *             only the keeper closes, so an fd that it holds is never a reused number.
 * INVARIANTS  1. Nothing below `position` is ever written again: a block that failed half-way
 *             leaves bytes above `position`, which the next block overwrites.
 *             2. A segment's position is the end of the one before (within one start).
 * FULL DISK   ENOSPC and EDQUOT are results. Preallocation (fallocate, keep size) makes the failure
 *             come at a segment's beginning rather than in its midst, and is given up where it is
 *             refused.
 * REFUSED     O_DIRECT (4 KiB padding per block, no page cache for the readers); io_uring (see
 *             collect).
 */
import { join } from 'node:path';
import { wallUs } from '../../toolkit/base/clock.ts';
import {
  closeFd,
  EEXIST,
  fallocate,
  ftruncate,
  openFile,
  pwriteFully,
} from '../../toolkit/sys/index.ts';
import { SEGMENT_HEAD_BYTES, segmentName, writeSegmentHead } from './format.ts';

export interface SegmentWriterOptions {
  readonly folder: string;
  readonly segmentBytes: number;
  readonly uuid: Uint8Array;
  /** False: nobody can take a sealed segment over now, so the open one grows beyond its size. */
  readonly canSeal?: () => boolean;
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions;
  readonly #onSealed: (fd: number) => void;
  readonly #head = new Uint8Array(SEGMENT_HEAD_BYTES);
  #fd = -1;
  #start = 0;
  #position: number;
  #segments = 0;

  /** `onSealed` takes over the fd of a full segment. */
  constructor(options: SegmentWriterOptions, position: number, onSealed: (fd: number) => void) {
    this.#options = options;
    this.#position = position;
    this.#onSealed = onSealed;
  }

  /** Where the next block will stand, when the open segment has room for it. */
  get position(): number {
    return this.#position;
  }

  get fd(): number {
    return this.#fd;
  }

  get segments(): number {
    return this.#segments;
  }

  /**
   * Makes sure that `bytes` more fit: opens a segment where none is open or the open one is full.
   * Returns 0, or -errno (nothing has changed then).
   */
  reserve(
    bytes: number,
    firstOrdinal: number,
    firstConnectionId: number,
    firstBlockOrdinal: number,
  ): number {
    if (this.#fd >= 0) {
      const isRoomy = this.#position + bytes - this.#start <= this.#options.segmentBytes;
      if (isRoomy || this.#options.canSeal?.() === false) return 0;
    }
    const path = join(this.#options.folder, segmentName(this.#position));
    let fd = openFile(path, ['create', 'exclusive', 'readWrite'], 0o640);
    // Left behind by a failed attempt of our own: nothing in it was ever published.
    if (fd === -EEXIST) fd = openFile(path, ['truncate', 'readWrite'], 0o640);
    if (fd < 0) return fd;
    writeSegmentHead(this.#head, {
      uuid: this.#options.uuid,
      position: this.#position,
      firstOrdinal,
      createdUs: wallUs(),
      firstConnectionId,
      firstBlockOrdinal,
    });
    const wrote = pwriteFully(fd, this.#head, 0, SEGMENT_HEAD_BYTES, 0);
    if (wrote < 0) {
      // Nobody else knows this fd yet: the keeper only knows the current one and sealed ones.
      closeFd(fd);
      return wrote;
    }
    fallocate(fd, 0, this.#options.segmentBytes, true);
    this.seal();
    this.#fd = fd;
    this.#start = this.#position;
    this.#position += SEGMENT_HEAD_BYTES;
    this.#segments++;
    return 0;
  }

  /**
   * Appends bytes at `position`; returns their count, or -errno (the position has not moved then).
   */
  append(bytes: Uint8Array, offset: number, length: number): number {
    const wrote = pwriteFully(this.#fd, bytes, offset, length, this.#position - this.#start);
    if (wrote > 0) this.#position += wrote;
    return wrote;
  }

  /** Benchmarks only: the position moves as if `length` bytes had been appended. */
  skip(length: number): void {
    this.#position += length;
  }

  /** Cuts what was preallocated and hands the fd over. */
  seal(): void {
    if (this.#fd < 0) return;
    ftruncate(this.#fd, this.#position - this.#start);
    this.#onSealed(this.#fd);
    this.#fd = -1;
  }
}

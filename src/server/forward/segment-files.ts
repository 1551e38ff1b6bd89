/**
 * Segment files: the open segment files of the forward worker, shared by all its cursors.
 *
 * WHY        A hundred channels read the same few segments; each is opened once. A parcel in flight
 *            needs its file until its bytes are acknowledged, long after the cursor went on.
 * OWNERSHIP  The forward worker. A segment is held by each `open`, `openNext` and `retain`, and let
 *            go by as many `release`; the last one closes the fd.
 * INVARIANTS 1. One fd a segment.
 *            2. Retention may unlink a segment at any time. One that is open stays readable here,
 *               for those who look for it too; its disk space is free when the last holder goes.
 *            3. A segment that is gone is no error: the next one is taken, and its reader finds the
 *               gap by ordinals. One that cannot be opened (EMFILE) is waited for, and counted.
 * REFUSED    Keeping segments open for later (fds and disk space for nothing: opening one costs a
 *            readdir and 20 us, once in 256 MiB).
 */
import { join } from 'node:path';
import { assert } from '../../toolkit/base/assert.ts';
import {
  closeFd,
  EAGAIN,
  ENOENT,
  EOPNOTSUPP,
  openFile,
  preadNoWait,
} from '../../toolkit/sys/index.ts';
import { segmentName } from '../journal/format.ts';
import { listSegments } from '../journal/reader.ts';
import type { FdTable } from './fd-table.ts';

/** A segment file that is held. */
export interface OpenSegment {
  readonly fd: number;
  /** Journal position of the file's first byte. */
  readonly position: number;
}

interface HeldSegment extends OpenSegment {
  holders: number;
}

export class SegmentFiles {
  readonly folder: string;
  /** False once the file system has said that it cannot tell what is cached (EOPNOTSUPP). */
  canTellCold = true;
  readonly #fds: FdTable | null;
  readonly #byte = new Uint8Array(1);
  readonly #held = new Map<number, HeldSegment>();
  #openErrors = 0;

  /** `fds`: where the supervisor finds what this thread left open. */
  constructor(folder: string, fds: FdTable | null = null) {
    this.folder = folder;
    this.#fds = fds;
  }

  /** Segments that are open now. */
  get openCount(): number {
    return this.#held.size;
  }

  /** Opens that failed, but for segments that were gone. */
  get openErrors(): number {
    return this.#openErrors;
  }

  /** The segment that holds `position`, or the next one above it; null: none now. */
  open(position: number): OpenSegment | null {
    const positions = this.#positions();
    const at = positions.findLastIndex((start) => start <= position);
    return this.#openFirst(positions, Math.max(0, at));
  }

  /** The next segment above the one that begins at `position`; null: none now. */
  openNext(position: number): OpenSegment | null {
    const positions = this.#positions();
    const at = positions.findIndex((start) => start > position);
    return at < 0 ? null : this.#openFirst(positions, at);
  }

  /** Where the next segment above the one at `position` begins, or -1. */
  nextPosition(position: number): number {
    return this.#positions().find((start) => start > position) ?? -1;
  }

  /** The disk would be needed for the byte at `fileOffset` of a segment that is held. */
  isCold(fd: number, fileOffset: number): boolean {
    if (!this.canTellCold) return false;
    const got = preadNoWait(fd, this.#byte, 0, 1, fileOffset);
    if (got === -EOPNOTSUPP) this.canTellCold = false;
    return got === -EAGAIN;
  }

  /** One more holder. */
  retain(segment: OpenSegment): void {
    this.#heldOf(segment).holders++;
  }

  /** One holder less; without any the file is closed. */
  release(segment: OpenSegment): void {
    const held = this.#heldOf(segment);
    held.holders--;
    if (held.holders > 0) return;
    this.#held.delete(held.position);
    this.#fds?.remove(held.fd);
    closeFd(held.fd);
  }

  #heldOf(segment: OpenSegment): HeldSegment {
    const held = this.#held.get(segment.position);
    assert(held !== undefined && held === segment, 'a segment that is held');
    return held;
  }

  /** Beginnings of all segments, of those too that are unlinked and still open; growing. */
  #positions(): number[] {
    const found = new Set(this.#held.keys());
    for (const { position } of listSegments(this.folder)) found.add(position);
    return [...found].sort((a, b) => a - b);
  }

  #openFirst(positions: readonly number[], from: number): OpenSegment | null {
    for (let i = from; i < positions.length; i++) {
      const segment = this.#openOne(positions[i]!);
      if (typeof segment !== 'number') return segment;
      if (segment === -ENOENT) continue;
      this.#openErrors++;
      return null;
    }
    return null;
  }

  /** A segment, or -errno. */
  #openOne(position: number): OpenSegment | number {
    const held = this.#held.get(position);
    if (held !== undefined) {
      held.holders++;
      return held;
    }
    const fd = openFile(join(this.folder, segmentName(position)), ['read']);
    if (fd < 0) return fd;
    this.#fds?.add(fd);
    const segment = { fd, position, holders: 1 };
    this.#held.set(position, segment);
    return segment;
  }
}

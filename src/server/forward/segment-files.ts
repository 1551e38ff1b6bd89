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
 *               gap by ordinals. One that cannot be opened (EMFILE, EACCES), or a folder that
 *               cannot be listed, is waited for, with back-off, counted and said: it is not lost.
 * REFUSED    Keeping segments open for later (fds and disk space for nothing: opening one costs a
 *            readdir and 20 us, once in 256 MiB).
 */
import { join } from 'node:path';
import { assert } from '../../toolkit/base/assert.ts';
import { monotonicMs } from '../../toolkit/base/clock.ts';
import {
  closeFd,
  EAGAIN,
  ENOENT,
  EOPNOTSUPP,
  errnoName,
  openFile,
  preadNoWait,
} from '../../toolkit/sys/index.ts';
import { segmentName } from '../journal/format.ts';
import { listSegments } from '../journal/reader.ts';
import { longerMs } from './back-off.ts';
import type { FdTable } from './fd-table.ts';
import { errnoOf, openProblem } from './open-problem.ts';

/** Between two attempts at what cannot be opened; doubled from one to the other. */
const AGAIN_MS_MIN = 50;
export const AGAIN_MS_MAX = 2_000;
/** In the place of a segment's position: the folder, which cannot be listed. */
const FOLDER = -1;
/** No answer: the folder cannot be listed. */
export const NEXT_UNKNOWN = -2;

/** A segment file that is held. */
export interface OpenSegment {
  readonly fd: number;
  /** Journal position of the file's first byte. */
  readonly position: number;
}

interface HeldSegment extends OpenSegment {
  holders: number;
}

/** What could not be opened. */
interface Refusal {
  readonly problem: string;
  readonly waitMs: number;
  readonly againMs: number;
}

export class SegmentFiles {
  readonly folder: string;
  /** False once the file system has said that it cannot tell what is cached (EOPNOTSUPP). */
  canTellCold = true;
  readonly #fds: FdTable | null;
  readonly #byte = new Uint8Array(1);
  readonly #held = new Map<number, HeldSegment>();
  readonly #refusals = new Map<number, Refusal>();
  #refusal: Refusal | null = null;
  #openErrors = 0;
  /** For those who wait for `againMs`. */
  readonly nowMs: () => number;

  /** `fds`: where the supervisor finds what this thread left open. `nowMs` is for tests. */
  constructor(folder: string, fds: FdTable | null = null, nowMs: () => number = monotonicMs) {
    this.folder = folder;
    this.#fds = fds;
    this.nowMs = nowMs;
  }

  /** Segments that are open now. */
  get openCount(): number {
    return this.#held.size;
  }

  /** Opens and listings that failed, but for segments that were gone. */
  get openErrors(): number {
    return this.#openErrors;
  }

  /** Of the last open or openNext: why it gave none, when something could not be opened; or ''. */
  get problem(): string {
    return this.#refusal?.problem ?? '';
  }

  /** When that is tried again; before, the answer is the same. */
  get againMs(): number {
    return this.#refusal?.againMs ?? 0;
  }

  /** The segment that holds `position`, or the next one above it; null: none now. */
  open(position: number): OpenSegment | null {
    const positions = this.#positions();
    if (positions === null) return null;
    const at = positions.findLastIndex((start) => start <= position);
    return this.#openFirst(positions, Math.max(0, at));
  }

  /** The next segment above the one that begins at `position`; null: none now. */
  openNext(position: number): OpenSegment | null {
    const positions = this.#positions();
    if (positions === null) return null;
    const at = positions.findIndex((start) => start > position);
    return at < 0 ? null : this.#openFirst(positions, at);
  }

  /** Where the next segment above the one at `position` begins; -1: nowhere; NEXT_UNKNOWN. */
  nextPosition(position: number): number {
    const positions = this.#positions();
    if (positions === null) return NEXT_UNKNOWN;
    return positions.find((start) => start > position) ?? -1;
  }

  /** Somebody else could not open what belongs to the segment at `position`. */
  refuse(position: number, errno: string): void {
    this.#refuse(position, `the segment ${segmentName(position)} cannot be opened`, errno);
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

  /**
   * Beginnings of all segments, of those too that are unlinked and still open; growing. Null: the
   * folder cannot be listed now.
   */
  #positions(): number[] | null {
    this.#refusal = null;
    if (this.#mustWait(FOLDER)) return null;
    const found = new Set(this.#held.keys());
    try {
      for (const { position } of listSegments(this.folder)) found.add(position);
    } catch (error) {
      this.#refuse(FOLDER, `the journal folder ${this.folder} cannot be read`, errnoOf(error));
      return null;
    }
    for (const refused of this.#refusals.keys()) {
      if (!found.has(refused)) this.#refusals.delete(refused);
    }
    return [...found].sort((a, b) => a - b);
  }

  #mustWait(position: number): boolean {
    const refusal = this.#refusals.get(position);
    if (refusal === undefined || this.nowMs() >= refusal.againMs) return false;
    this.#refusal = refusal;
    return true;
  }

  #refuse(position: number, what: string, errno: string): void {
    this.#openErrors++;
    const before = this.#refusals.get(position)?.waitMs ?? 0;
    const waitMs = longerMs(before, AGAIN_MS_MIN, AGAIN_MS_MAX);
    const againMs = this.nowMs() + waitMs;
    this.#refusal = { problem: openProblem(what, errno), waitMs, againMs };
    this.#refusals.set(position, this.#refusal);
  }

  #openFirst(positions: readonly number[], from: number): OpenSegment | null {
    for (let i = from; i < positions.length; i++) {
      const position = positions[i]!;
      if (!this.#held.has(position) && this.#mustWait(position)) return null;
      const segment = this.#openOne(position);
      if (typeof segment === 'number' && segment !== -ENOENT) {
        this.refuse(position, errnoName(segment));
        return null;
      }
      this.#refusals.delete(position);
      if (typeof segment !== 'number') return segment;
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

/**
 * Block cursor: walks the block headers of the journal, in order, without reading payloads.
 *
 * WHY         A forwarder that sends files from the page cache needs to know of a block no more
 *             than its header and its place. 128 bytes a block are read, whatever it carries.
 * LAYOUT      journal/format.ts. `position`: the next byte of the log to be looked at.
 * OWNERSHIP   One channel of the forward worker; holds the segment that it reads (segment-files.ts)
 *             and whoever needs a block's file for longer retains it. The block view is reused: it
 *             is valid until the next call of next or close.
 * INVARIANTS  1. Nothing at or above limitPosition() is read: what the journal has published.
 *             2. A block that is returned fulfils VALIDITY 1-3 of format.ts. Its payload checksum
 *                is NOT verified: that is the business of whoever reads the payload
 *                (block-bytes.ts); what goes out by sendfile(2) goes out as it is on the disk.
 *             3. returned + lost + (records behind `position`) = records ever journaled, from the
 *                ordinal at which the cursor began. Losses show as gaps of ordinals, at the next
 *                header that can be read.
 *             4. Nothing blocks on the disk, but for the search behind damage, and positions below
 *                what waitBelow() was told. CURSOR_COLD says that the disk would be needed.
 * OPENING     What cannot be opened (EMFILE, EACCES) is neither lost nor damaged: CURSOR_NOTHING,
 *             and `problem` says what it is, until it can be opened: SegmentFiles says when to try.
 * LOST        `retention`: segments were removed before they were read. Retention removes the
 *             oldest first; so a hole behind a segment that still has its name is not its doing.
 *             `damaged`: all else.
 * START       Anywhere. Between two segments, or below the oldest: at the next one. In the middle
 *             of a block: at the next header. Above the limit: when the limit has passed it.
 * COLD        Header and last byte of the payload are looked at by preadv2(2) with RWF_NOWAIT; of
 *             the payload only when it is not fresh (fresh.ts).
 *             Seen on ext4, Linux 6.18: bytes just written and bytes read ahead are there; behind
 *             posix_fadvise(DONTNEED) it says EAGAIN and begins to read by itself (70 us; they are
 *             there some milliseconds later); a range of which the front is cached comes short.
 *             tmpfs says EOPNOTSUPP: then nothing is ever cold. A payload of which both ends are
 *             cached and the middle is not passes for warm: blocks are at most a page of the arena.
 * REFUSED     A scanner of its own for what is damaged (journal/reader.ts knows how); an index of
 *             blocks; mincore(2) (needs a mapping).
 */
import { fstatSync } from 'node:fs';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { EAGAIN, EOPNOTSUPP, pread, preadNoWait } from '../../toolkit/sys/index.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  makeBlockHeader,
  readBlockHeader,
  readSegmentHead,
  SEGMENT_HEAD_BYTES,
} from '../journal/format.ts';
import { JournalReader } from '../journal/reader.ts';
import { isFresh } from './fresh.ts';
import { errnoOf } from './open-problem.ts';
import { NEXT_UNKNOWN, type OpenSegment, type SegmentFiles } from './segment-files.ts';

/** Nothing new below the limit. */
export const CURSOR_NOTHING = 0;
/** `block` is the next one. */
export const CURSOR_BLOCK = 1;
/** The next block needs the disk: `coldLength` bytes from `position` on. */
export const CURSOR_COLD = 2;
export type CursorStep = typeof CURSOR_NOTHING | typeof CURSOR_BLOCK | typeof CURSOR_COLD;

/** Goes on within next(). */
const AGAIN = 3;
type Step = CursorStep | typeof AGAIN;

/** The ordinal is that of the first block that is found. */
export const ORDINAL_UNKNOWN = -1;

export interface CursorBlock {
  /** Position, first ordinal, exporter, record count ... of the block. */
  readonly header: BlockHeader;
  /** Held by the cursor until its next step; SegmentFiles.retain holds it for longer. */
  readonly segment: OpenSegment;
  /** Where the payload stands in the segment's file, and its bytes. */
  readonly fileOffset: number;
  readonly length: number;
  /** Journal position of the header, and behind the payload. */
  readonly position: number;
  readonly endPosition: number;
}

/** Records that were passed over. */
export interface LostRecords {
  retention: number;
  damaged: number;
}

export interface BlockCursorOptions {
  readonly files: SegmentFiles;
  /** The published position, which is the end of a block: JournalShared.publishedPosition. */
  readonly limitPosition: () => number;
  readonly position: number;
  /** Of the first record at or behind `position`; ORDINAL_UNKNOWN when nothing is said. */
  readonly ordinal?: number;
}

/** The file is there, and would be opened if there were room for it. */
const NO_FD: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

const NO_SEGMENT: OpenSegment = { fd: -1, position: -1 };

export class BlockCursor {
  readonly #files: SegmentFiles;
  readonly #limitPosition: () => number;
  readonly #bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #block = {
    header: makeBlockHeader(),
    segment: NO_SEGMENT,
    fileOffset: 0,
    length: 0,
    position: 0,
    endPosition: 0,
  };
  readonly #lost: LostRecords = { retention: 0, damaged: 0 };
  readonly #taken: LostRecords = { retention: 0, damaged: 0 };
  #segment: OpenSegment | null = null;
  #position: number;
  #ordinal: number;
  #coldLength = 0;
  #waitBelow = 0;
  /** What a gap of ordinals means that shows at the next header. */
  #gapReason: keyof LostRecords = 'damaged';
  /** With this limit there was nothing to go on with: no use to list the folder again. */
  #barrenLimit = -1;
  /** What could not be opened, or '', and when that is tried again. */
  #problem = '';
  #againMs = 0;

  constructor(options: BlockCursorOptions) {
    this.#files = options.files;
    this.#limitPosition = options.limitPosition;
    this.#position = options.position;
    this.#ordinal = options.ordinal ?? ORDINAL_UNKNOWN;
  }

  /** Where the cursor stands: behind the last block, or behind what it passed over since. */
  get position(): number {
    return this.#position;
  }

  /** Of the next record that is expected, or ORDINAL_UNKNOWN. */
  get ordinal(): number {
    return this.#ordinal;
  }

  /** After CURSOR_BLOCK, until the next step. */
  get block(): CursorBlock {
    return this.#block;
  }

  /** The segment in which `position` lies, while it is open: after CURSOR_BLOCK and CURSOR_COLD. */
  get segment(): OpenSegment | null {
    return this.#segment;
  }

  /** After CURSOR_COLD: bytes from `position` on that are needed. */
  get coldLength(): number {
    return this.#coldLength;
  }

  /** After CURSOR_NOTHING: why what comes next cannot be opened; or '': there is nothing. */
  get problem(): string {
    return this.#problem;
  }

  /** The next block below the limit. */
  next(): CursorStep {
    if (this.#problem !== '') {
      if (this.#files.nowMs() < this.#againMs) return CURSOR_NOTHING;
      this.#problem = '';
    }
    for (;;) {
      const limit = this.#limitPosition();
      if (this.#position >= limit) return CURSOR_NOTHING;
      const step = this.#segment === null ? this.#open(limit) : this.#step(this.#segment, limit);
      if (step !== AGAIN) return step;
    }
  }

  /**
   * Below `position` the cursor reads and waits for the disk rather than say CURSOR_COLD: what a
   * catch-up worker has read, or POSITION_MAX where there is none.
   */
  waitBelow(position: number): void {
    this.#waitBelow = position;
  }

  /** The disk would be needed for the byte at `position` of the segment that is open. */
  isCold(position: number): boolean {
    const segment = this.#segment;
    return segment !== null && this.#files.isCold(segment.fd, position - segment.position);
  }

  /** Records that were passed over since the last call; the object is reused. */
  takeLost(): Readonly<LostRecords> {
    const lost = this.#lost;
    this.#taken.retention = lost.retention;
    this.#taken.damaged = lost.damaged;
    lost.retention = 0;
    lost.damaged = 0;
    return this.#taken;
  }

  /** Lets go of the segment; the next step opens it again. */
  close(): void {
    if (this.#segment !== null) this.#files.release(this.#segment);
    this.#segment = null;
  }

  #open(limit: number): Step {
    if (limit === this.#barrenLimit) return CURSOR_NOTHING;
    const segment = this.#files.open(this.#position);
    if (segment === null) return this.#nothing(limit);
    // With nothing older left, retention has been here.
    return this.#enter(segment, 'retention');
  }

  /** The rest of the segment has nothing: goes on in the next one. */
  #leave(segment: OpenSegment, limit: number): Step {
    if (limit === this.#barrenLimit) return CURSOR_NOTHING;
    const next = this.#files.openNext(segment.position);
    if (next === null) return this.#nothing(limit);
    // After the look for the next one: what is gone between them went after this one.
    const isRemoved = fstatSync(segment.fd).nlink === 0;
    this.#files.release(segment);
    return this.#enter(next, isRemoved ? 'retention' : 'damaged');
  }

  /** SegmentFiles had none: there is none, or it cannot be opened now. */
  #nothing(limit: number): Step {
    const { problem, againMs } = this.#files;
    this.#problem = problem;
    this.#againMs = againMs;
    if (problem === '') this.#barrenLimit = limit;
    return CURSOR_NOTHING;
  }

  /** `reason`: what it means if records are missing between the cursor and the segment. */
  #enter(segment: OpenSegment, reason: keyof LostRecords): Step {
    this.#segment = segment;
    if (segment.position > this.#position) {
      this.#position = segment.position;
      this.#gapReason = reason;
    }
    return AGAIN;
  }

  #step(segment: OpenSegment, limit: number): Step {
    const offset = this.#position - segment.position;
    if (offset < SEGMENT_HEAD_BYTES) return this.#passHead(segment, limit);
    const got = this.#read(segment.fd, BLOCK_HEADER_BYTES, offset);
    if (got === -EAGAIN) return this.#cold(BLOCK_HEADER_BYTES);
    if (got === 0) return this.#leave(segment, limit);
    const { header } = this.#block;
    const isHeader =
      got === BLOCK_HEADER_BYTES && readBlockHeader(this.#bytes, this.#view, 0, header);
    if (!isHeader || header.position !== this.#position) return this.#search(segment, limit);
    const total = BLOCK_HEADER_BYTES + header.payloadLength;
    if (this.#position + total > limit) return this.#search(segment, limit);
    if (header.payloadLength > 0 && !isFresh(header)) {
      const last = this.#read(segment.fd, 1, offset + total - 1);
      if (last === -EAGAIN) return this.#cold(total);
      if (last !== 1) return this.#search(segment, limit);
    }
    return this.#give(segment, offset, total);
  }

  #give(segment: OpenSegment, offset: number, total: number): Step {
    const block = this.#block;
    const { firstOrdinal, recordCount, payloadLength } = block.header;
    this.#expect(firstOrdinal);
    block.segment = segment;
    block.fileOffset = offset + BLOCK_HEADER_BYTES;
    block.length = payloadLength;
    block.position = this.#position;
    block.endPosition = this.#position + total;
    this.#position = block.endPosition;
    this.#ordinal = firstOrdinal + recordCount;
    return CURSOR_BLOCK;
  }

  /** The segment's head says the ordinal of its first record. */
  #passHead(segment: OpenSegment, limit: number): Step {
    const got = this.#read(segment.fd, SEGMENT_HEAD_BYTES, 0);
    if (got === -EAGAIN) return this.#cold(SEGMENT_HEAD_BYTES);
    if (got === 0) return this.#leave(segment, limit);
    const head = got === SEGMENT_HEAD_BYTES ? readSegmentHead(this.#bytes) : null;
    if (head !== null && head.position === segment.position) this.#expect(head.firstOrdinal);
    this.#position = segment.position + SEGMENT_HEAD_BYTES;
    return AGAIN;
  }

  /** The next record below the limit has this ordinal; those in between are lost. */
  #expect(ordinal: number): void {
    const isKnown = this.#ordinal !== ORDINAL_UNKNOWN;
    if (isKnown && ordinal > this.#ordinal) this.#lost[this.#gapReason] += ordinal - this.#ordinal;
    if (!isKnown || ordinal > this.#ordinal) this.#ordinal = ordinal;
    this.#gapReason = 'damaged';
  }

  /** No block stands here: lets the journal's reader find the next header of the segment. */
  #search(segment: OpenSegment, limit: number): Step {
    if (limit === this.#barrenLimit) return CURSOR_NOTHING;
    const next = this.#files.nextPosition(segment.position);
    if (next === NEXT_UNKNOWN) return this.#nothing(limit);
    const found = findHeader(segment, next, this.#position, limit);
    if (typeof found === 'string') {
      this.#files.refuse(segment.position, found);
      return this.#nothing(limit);
    }
    if (found < 0) return this.#leave(segment, limit);
    if (found <= this.#position) {
      this.#barrenLimit = limit;
      return CURSOR_NOTHING;
    }
    if (found === next) return this.#leave(segment, limit);
    this.#position = found;
    return AGAIN;
  }

  #cold(length: number): Step {
    this.#coldLength = length;
    return CURSOR_COLD;
  }

  /** Bytes read, fewer at the end of the file; -EAGAIN: cold; or another -errno. */
  #read(fd: number, length: number, fileOffset: number): number {
    let done = 0;
    while (done < length) {
      const got = this.#readSome(fd, done, length - done, fileOffset + done);
      if (got < 0) return got;
      if (got === 0) break;
      done += got;
    }
    return done;
  }

  #readSome(fd: number, at: number, length: number, fileOffset: number): number {
    const files = this.#files;
    if (files.canTellCold && this.#position >= this.#waitBelow) {
      const got = preadNoWait(fd, this.#bytes, at, length, fileOffset);
      if (got !== -EOPNOTSUPP) return got;
      files.canTellCold = false;
    }
    return pread(fd, this.#bytes, at, length, fileOffset);
  }
}

/**
 * Position of the next block header above `position` in a segment, whose payload may be damaged;
 * where the settled bytes end, when there is none; -1: the rest cannot be read; an errno name: it
 * cannot be opened. `next` is where the next segment begins, or -1.
 */
function findHeader(
  segment: OpenSegment,
  next: number,
  position: number,
  limit: number,
): number | string {
  // By its fd: the name may be gone. The second entry says where the first ends; it is not opened.
  const path = `/proc/self/fd/${segment.fd}`;
  const files = [{ path, position: segment.position }];
  if (next >= 0) files.push({ path, position: next });
  const end = next < 0 ? limit : Math.min(limit, next);
  let found = -1;
  const reader = new JournalReader(files, {
    position,
    limitPosition: () => end,
    onDamage: (damage) => {
      if (damage.kind === 'payload' && found < 0) found = damage.position;
    },
  });
  try {
    const block = reader.tryNext();
    if (found >= 0) return found;
    return block === null ? reader.position : block.header.position;
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const errno = errnoOf(error);
    return NO_FD.has(errno) ? errno : -1;
  } finally {
    reader.close();
  }
}

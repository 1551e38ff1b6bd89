/**
 * Journal reader: blocks in order from segment files, of a running server or of a dead one.
 *
 * WHY         The store that lost the ring, and every tool, read the same files by the same rules;
 *             with node:fs alone, so that it works without the addon and on any machine.
 * LAYOUT      format.ts. Here: `position` (next byte of the log) = segment's position + offset.
 * OWNERSHIP   One caller. The block view and its memory are valid until the next call of tryNext.
 * INVARIANTS  1. Only blocks that fulfil format.ts VALIDITY 1-4 are returned, in growing position.
 *             2. Bytes are *settled* when the segment is sealed (a newer one exists) or when they
 *                lie below limitPosition. Invalid settled bytes are damage: passed over, counted in
 *                skippedBytes and reported. Invalid bytes that are not settled are "not yet": null.
 *             3. Damage of a payload costs that block; damage of a header costs up to the next
 *                place where a header holds. A sealed segment that ends in zeros was preallocated:
 *                no damage.
 *             4. Memory: one window (segment-window.ts), no object per block.
 * REFUSED     Watching the folder with inotify (a poll of one fstat costs less than the wake-up);
 *             an index of blocks (readers go forward only).
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../../toolkit/base/errors.ts';
import type { BlockView } from './block-source.ts';
import {
  BLOCK_HEADER_BYTES,
  BLOCK_MAGIC,
  makeBlockHeader,
  readBlockHeader,
  readSegmentHead,
  SEGMENT_HEAD_BYTES,
} from './format.ts';
import { listSegments, type SegmentFile } from './segment-list.ts';
import { SegmentWindow } from './segment-window.ts';

export {
  describeSegment,
  listSegments,
  type SegmentFile,
  type SegmentInfo,
  segmentOfFile,
} from './segment-list.ts';

/** What is wrong with bytes that were passed over. */
export type DamageKind =
  /** The payload checksum does not hold; the header does, so the records lost are known. */
  | 'payload'
  /** No valid block header here; a later one was found in the segment. */
  | 'header'
  /** No valid block from here to the end of the settled bytes. */
  | 'tail'
  /** The segment's own head is damaged; its blocks are read all the same. */
  | 'segment-head';

export interface Damage {
  readonly kind: DamageKind;
  readonly path: string;
  /** Where the damaged bytes start, in the endless log. */
  readonly position: number;
  readonly bytes: number;
  /** Records of the block by its header; null when there is no header to tell. */
  readonly records: number | null;
}

/** Bytes at the live end that are not a block yet: being written, or torn by a crash. */
export interface PendingTail {
  readonly path: string;
  readonly position: number;
  readonly bytes: number;
}

export interface JournalReaderOptions {
  /** Where to begin: a block's position or anything below the oldest segment. Default 0. */
  readonly position?: number;
  /** The highest published position; nothing at or above it is read. Tools leave it out. */
  readonly limitPosition?: () => number;
  readonly onDamage?: (damage: Damage) => void;
}

const STEP_BLOCK = 0;
const STEP_AGAIN = 1;
const STEP_WAIT = 2;
type Step = typeof STEP_BLOCK | typeof STEP_AGAIN | typeof STEP_WAIT;

const MAGIC_BYTES = new Uint8Array(Uint32Array.of(BLOCK_MAGIC).buffer);
const ZEROS = new Uint8Array(64 * 1024);
/**
 * Retention may unlink a segment between the listing and the open; more often than this it cannot.
 */
const OPEN_ATTEMPTS_MAX = 10;

export class JournalReader {
  readonly #list: () => readonly SegmentFile[];
  readonly #limitPosition: (() => number) | null;
  readonly #onDamage: ((damage: Damage) => void) | null;
  readonly #window = new SegmentWindow();
  readonly #candidate = makeBlockHeader();
  readonly #block = {
    header: makeBlockHeader(),
    bytes: this.#window.bytes,
    view: this.#window.view,
    offset: 0,
    length: 0,
    endPosition: 0,
  };
  #position: number;
  #skippedBytes = 0;
  /** Position of the open segment; its head has been looked at when #isHeadChecked. */
  #segment = 0;
  #isHeadChecked = false;
  #isSealed = false;
  /** Readable bytes of the open segment, as last seen. */
  #end = 0;
  /** A live tail was searched from the front; headers that begin before this offset are out. */
  #scannedTo = 0;
  /** The first header of the last search whose payload was not all there, or -1. */
  #unfinished = -1;

  /** A folder of segments, or a fixed list of files (oldest first) for tools. */
  constructor(source: string | readonly SegmentFile[], options: JournalReaderOptions = {}) {
    this.#list = typeof source === 'string' ? () => listSegments(source) : () => source;
    this.#position = options.position ?? 0;
    this.#limitPosition = options.limitPosition ?? null;
    this.#onDamage = options.onDamage ?? null;
  }

  /** Position of the next byte to read: behind the last block returned or passed over. */
  get position(): number {
    return this.#position;
  }

  /** The segment that is being read; empty before the first. */
  get path(): string {
    return this.#window.path;
  }

  /** Damaged bytes that were passed over since the reader was made. */
  get skippedBytes(): number {
    return this.#skippedBytes;
  }

  /** The next valid block, or null: nothing new yet. Throws MR_INPUT, MR_JOURNAL_FORMAT. */
  tryNext(): BlockView | null {
    for (;;) {
      if (this.#limitPosition !== null && this.#position >= this.#limitPosition()) return null;
      if (!this.#window.isOpen && !this.#openAt(this.#position)) return null;
      const step = this.#step();
      if (step === STEP_BLOCK) return this.#block;
      if (step === STEP_AGAIN) continue;
      this.#window.drop();
      this.#end = 0;
      if (this.#isSealed || !this.#hasNewer()) return null;
      // Sealed while we looked: what seemed unfinished is now final and is looked at once more.
      this.#isSealed = true;
    }
  }

  /** What lies unread behind the last block of the newest segment, or null when nothing does. */
  pendingTail(): PendingTail | null {
    if (!this.#window.isOpen) return null;
    const offset = this.#position - this.#segment;
    const size = this.#window.sizeBytes();
    if (offset >= size || this.#lastNonZero(offset, size) < offset) return null;
    return { path: this.#window.path, position: this.#position, bytes: size - offset };
  }

  /** Goes forward to `position`, which must be a block's: what lies between was read elsewhere. */
  seek(position: number): void {
    if (position <= this.#position) return;
    this.#window.close();
    this.#position = position;
  }

  close(): void {
    this.#window.close();
  }

  #hasNewer(): boolean {
    return this.#list().some((file) => file.position > this.#segment);
  }

  /** Opens the segment that holds `position`, or the next one above it. */
  #openAt(position: number): boolean {
    for (let attempt = 0; attempt < OPEN_ATTEMPTS_MAX; attempt++) {
      const files = this.#list();
      let index = files.findLastIndex((file) => file.position <= position);
      if (index < 0) index = 0;
      const file = files[index];
      if (file === undefined) return false;
      try {
        this.#window.open(file.path);
      } catch (error) {
        const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
        if (cause?.code === 'ENOENT' && attempt + 1 < OPEN_ATTEMPTS_MAX) continue;
        throw error;
      }
      this.#segment = file.position;
      this.#position = Math.max(position, file.position);
      this.#isHeadChecked = false;
      this.#isSealed = index < files.length - 1;
      this.#end = 0;
      this.#scannedTo = 0;
      return true;
    }
    return false;
  }

  /** End of the open segment: what the limit and the file allow to read, in bytes of the file. */
  #refreshEnd(): number {
    const size = this.#window.sizeBytes();
    const limit = this.#limitPosition === null ? size : this.#limitPosition() - this.#segment;
    this.#end = Math.min(size, limit);
    return this.#end;
  }

  #step(): Step {
    if (!this.#isHeadChecked) {
      const step = this.#checkHead();
      if (step !== STEP_AGAIN) return step;
    }
    const offset = this.#position - this.#segment;
    if (offset + BLOCK_HEADER_BYTES > this.#end) this.#refreshEnd();
    if (offset >= this.#end) return this.#atEnd();
    if (offset + BLOCK_HEADER_BYTES > this.#end) return this.#scan(offset);
    const at = this.#window.ensure(offset, BLOCK_HEADER_BYTES, this.#end);
    if (at < 0) return STEP_WAIT;
    const header = this.#block.header;
    if (!readBlockHeader(this.#window.bytes, this.#window.view, at, header)) {
      return this.#scan(offset);
    }
    if (header.position !== this.#position) return this.#scan(offset);
    return this.#readPayload(offset);
  }

  /** A header stands at `offset`: VALIDITY 3 and 4. */
  #readPayload(offset: number): Step {
    const block = this.#block;
    const length = block.header.payloadLength;
    const total = BLOCK_HEADER_BYTES + length;
    if (offset + total > this.#end && offset + total > this.#refreshEnd()) {
      return this.#isSealed ? this.#scan(offset) : STEP_WAIT;
    }
    const at = this.#window.ensure(offset, total, this.#end);
    if (at < 0) return STEP_WAIT;
    block.bytes = this.#window.bytes;
    block.view = this.#window.view;
    block.offset = at + BLOCK_HEADER_BYTES;
    block.length = length;
    block.endPosition = this.#position + total;
    const payload = block.bytes.subarray(block.offset, block.offset + length);
    if (crc32(payload) !== block.header.payloadCrc) {
      if (!this.#isSettled() && this.#isZeroAt(offset + total)) return STEP_WAIT;
      this.#pass('payload', total, block.header.recordCount);
      return STEP_AGAIN;
    }
    this.#position = block.endPosition;
    this.#scannedTo = 0;
    return STEP_BLOCK;
  }

  #isSettled(): boolean {
    return this.#isSealed || this.#limitPosition !== null;
  }

  /** True when zeros follow at `offset`: a preallocated file whose last block is being written. */
  #isZeroAt(offset: number): boolean {
    const length = Math.min(BLOCK_HEADER_BYTES, this.#end - offset);
    if (length <= 0) return false;
    const at = this.#window.ensure(offset, length, this.#end);
    return at >= 0 && isZero(this.#window.bytes, at, length);
  }

  /** No valid block at `offset`: looks for the next one in this segment. */
  #scan(offset: number): Step {
    const isSettled = this.#isSettled();
    if (!isSettled && this.#isZeroAt(offset)) return STEP_WAIT;
    const from = Math.max(offset + 1, this.#scannedTo);
    this.#unfinished = -1;
    const found = this.#findHeader(from);
    if (found >= 0) {
      this.#pass('header', found - offset, null);
      return STEP_AGAIN;
    }
    const last = this.#lastNonZero(offset, this.#end);
    if (!isSettled) {
      const lastStart = last + 2 - BLOCK_HEADER_BYTES;
      this.#scannedTo = this.#unfinished >= 0 ? this.#unfinished : lastStart;
      return STEP_WAIT;
    }
    if (last < offset) this.#position = this.#segment + this.#end;
    else this.#pass('tail', this.#end - offset, null);
    return STEP_AGAIN;
  }

  /** Offset of the first valid block header at or after `from`, or -1. */
  #findHeader(from: number): number {
    let offset = from;
    while (offset + BLOCK_HEADER_BYTES <= this.#end) {
      const at = this.#window.ensure(offset, BLOCK_HEADER_BYTES, this.#end);
      if (at < 0) return -1;
      const { bytes, view } = this.#window;
      const available = this.#window.filledFrom(at);
      const region = Buffer.from(bytes.buffer, at, available);
      const hit = region.indexOf(MAGIC_BYTES);
      if (hit < 0) {
        offset += available - MAGIC_BYTES.length + 1;
      } else if (hit + BLOCK_HEADER_BYTES > available) {
        offset += hit;
        if (hit === 0) return -1;
      } else {
        offset += hit;
        if (readBlockHeader(bytes, view, at + hit, this.#candidate)) {
          const end = offset + BLOCK_HEADER_BYTES + this.#candidate.payloadLength;
          const isHere = this.#candidate.position === this.#segment + offset;
          if (isHere && end <= this.#end) return offset;
          if (isHere && this.#unfinished < 0) this.#unfinished = offset;
        }
        offset++;
      }
    }
    return -1;
  }

  /** Offset of the last byte in from..end that is not zero, or from - 1. */
  #lastNonZero(from: number, end: number): number {
    let last = from - 1;
    for (let offset = from; offset < end; ) {
      const length = Math.min(ZEROS.length, end - offset);
      const at = this.#window.ensure(offset, length, end);
      if (at < 0) break;
      if (!isZero(this.#window.bytes, at, length)) {
        let back = length - 1;
        while (this.#window.bytes[at + back] === 0) back--;
        last = offset + back;
      }
      offset += length;
    }
    return last;
  }

  /** Everything readable of this segment has been read. */
  #atEnd(): Step {
    if (!this.#isSealed) return STEP_WAIT;
    const next = this.#list().find((file) => file.position > this.#segment);
    if (next === undefined) return STEP_WAIT;
    return this.#openAt(next.position) ? STEP_AGAIN : STEP_WAIT;
  }

  /** Looks at the segment's head once; moves the position behind it. */
  #checkHead(): Step {
    const size = this.#refreshEnd();
    if (size < SEGMENT_HEAD_BYTES && !this.#isSealed) return STEP_WAIT;
    const at = this.#window.ensure(0, SEGMENT_HEAD_BYTES, size);
    const head =
      at < 0 ? new Uint8Array(0) : this.#window.bytes.subarray(at, at + SEGMENT_HEAD_BYTES);
    if (readSegmentHead(head) === null) {
      if (!this.#isSettled() && (at < 0 || this.#isZeroAt(SEGMENT_HEAD_BYTES))) return STEP_WAIT;
      refuseOtherVersion(head, this.#window.path);
      this.#report('segment-head', this.#segment, Math.min(size, SEGMENT_HEAD_BYTES), null);
    }
    this.#isHeadChecked = true;
    this.#position = Math.max(this.#position, this.#segment + SEGMENT_HEAD_BYTES);
    return STEP_AGAIN;
  }

  #pass(kind: DamageKind, bytes: number, records: number | null): void {
    this.#report(kind, this.#position, bytes, records);
    this.#skippedBytes += bytes;
    this.#position += bytes;
  }

  #report(kind: DamageKind, position: number, bytes: number, records: number | null): void {
    this.#onDamage?.({ kind, path: this.#window.path, position, bytes, records });
  }
}

function isZero(bytes: Uint8Array, offset: number, length: number): boolean {
  return Buffer.compare(bytes.subarray(offset, offset + length), ZEROS.subarray(0, length)) === 0;
}

/**
 * A head of ours with a good checksum and another version is no damage: it needs another program.
 */
function refuseOtherVersion(head: Uint8Array, path: string): void {
  if (head.length < SEGMENT_HEAD_BYTES) return;
  const view = new DataView(head.buffer, head.byteOffset, SEGMENT_HEAD_BYTES);
  if (Buffer.from(head.subarray(0, 8)).toString('latin1') !== 'MILLRACE') return;
  if (crc32(head.subarray(0, 124)) !== view.getUint32(124, true)) return;
  const version = view.getUint32(8, true);
  const checksum = view.getUint32(12, true);
  throw new MillraceError(
    'MR_JOURNAL_FORMAT',
    `${path} has format version ${version}, checksum kind ${checksum}`,
    'this program reads version 1 with checksum kind 1; read it with the Millrace that wrote it',
  );
}

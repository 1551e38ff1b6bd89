/**
 * Record search: the newest records of the journal that a filter chooses, newest first.
 *
 * WHY         "What came in just now?" is asked of the journal, not of the store: it has each
 *             record whole, and at once. The main thread answers, between its other work.
 * HOW         Backwards in chunks of CHUNK_BYTES, each from a position at which a block is known to
 *             begin (block-starts.ts) up to where the one before began. Within a chunk forwards, by
 *             the reader that all tools use.
 * INVARIANTS  1. Nothing at or above the position published when the search began is read.
 *             2. A chunk counts only when it has been looked at as a whole: no record that was
 *                chosen lies between those that are answered, damaged blocks apart.
 *             3. Never longer than SLICE_MS, and what RECORDS_PER_LOOK records or one read of a
 *                file take, without a turn for others. Only the search for the end of a damaged
 *                region is in one piece.
 *             4. At most BYTES_MAX and one chunk, of a journal whose blocks are known; TIME_MS_MAX
 *                and one chunk; ANSWER_BYTES_MAX of records.
 *             5. Retention may take a segment at any time: what is gone is not found.
 * REFUSED     A thread of its own (a search of 32 MiB takes some tenths of a second); an index.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { FRAME_BYTES_MIN, frameLength, type RecordPredicate } from '../../rdr/index.ts';
import type { BlockView } from '../journal/block-source.ts';
import type { BlockHeader } from '../journal/format.ts';
import { JournalReader, listSegments } from '../journal/reader.ts';
import { type RecordPlace, recordJson } from '../record-json.ts';
import type { BlockStarts } from './block-starts.ts';
import type { SearchedJournal } from './source.ts';

const CHUNK_BYTES = 1024 * 1024;
const BYTES_MAX = 32 * 1024 * 1024;
const TIME_MS_MAX = 2_000;
const ANSWER_BYTES_MAX = 1024 * 1024;
const SLICE_MS = 5;
/** Records between two looks at the clock. */
const RECORDS_PER_LOOK = 64;

export interface SearchQuestion {
  readonly isChosen: RecordPredicate;
  /** Records wanted at most. */
  readonly limit: number;
  /** False: whoever asked has gone. */
  readonly isWanted: () => boolean;
}

/** What ended a search: the journal's beginning, or one of its bounds. */
export type SearchEnd = 'journal' | 'limit' | 'bytes' | 'time' | 'gone';

export interface SearchAnswer {
  /** As `dump` prints them, newest first. */
  readonly records: readonly Readonly<Record<string, unknown>>[];
  readonly searchedRecords: number;
  readonly searchedBytes: number;
  /** Bytes of damaged blocks, which were passed over. */
  readonly damagedBytes: number;
  /** Arrival of the oldest block that was looked at, ms since 1970; null: there was none. */
  readonly oldestSearchedMs: number | null;
  /** All that the journal has was looked at. */
  readonly isWhole: boolean;
  readonly endedBy: SearchEnd;
  readonly tookMs: number;
}

export interface SearchBounds {
  readonly chunkBytes: number;
  readonly bytesMax: number;
  readonly timeMsMax: number;
  readonly sliceMs: number;
}

const BOUNDS: SearchBounds = {
  chunkBytes: CHUNK_BYTES,
  bytesMax: BYTES_MAX,
  timeMsMax: TIME_MS_MAX,
  sliceMs: SLICE_MS,
};

/** One search; made for it and thrown away. */
export class RecordSearch {
  readonly #journal: SearchedJournal;
  readonly #starts: BlockStarts;
  readonly #question: SearchQuestion;
  readonly #bounds: SearchBounds;
  readonly #beganMs = performance.now();
  #sliceMs = performance.now();
  readonly #found: RecordPlace[] = [];
  #foundBytes = 0;
  #searchedRecords = 0;
  #searchedBytes = 0;
  #damagedBytes = 0;
  #oldestUs = -1;

  constructor(
    journal: SearchedJournal,
    starts: BlockStarts,
    question: SearchQuestion,
    bounds: Partial<SearchBounds> = {},
  ) {
    this.#journal = journal;
    this.#starts = starts;
    this.#question = question;
    this.#bounds = { ...BOUNDS, ...bounds };
  }

  /** Throws MR_INPUT, MR_JOURNAL_FORMAT. */
  async run(): Promise<SearchAnswer> {
    const top = this.#journal.publishedPosition();
    this.#starts.note(top);
    let end = top;
    let endedBy = this.#endAt(top - end);
    while (endedBy === null) {
      const start = await this.#startBelow(end);
      if (start < 0) endedBy = 'journal';
      // The way there may have taken all the time there is.
      endedBy ??= this.#endAt(top - end);
      if (endedBy !== null) break;
      await this.#searchChunk(start, end);
      end = start;
      endedBy = this.#endAt(top - end);
    }
    return await this.#answer(endedBy);
  }

  #endAt(passedBytes: number): SearchEnd | null {
    if (!this.#question.isWanted()) return 'gone';
    const isEnough = this.#found.length >= this.#question.limit;
    if (isEnough || this.#foundBytes >= ANSWER_BYTES_MAX) return 'limit';
    if (passedBytes >= this.#bounds.bytesMax) return 'bytes';
    return performance.now() - this.#beganMs > this.#bounds.timeMsMax ? 'time' : null;
  }

  /** Where the chunk that ends at `end` begins; -1: nothing below. */
  async #startBelow(end: number): Promise<number> {
    const segment = listSegments(this.#journal.folder).findLast(({ position }) => position < end);
    if (segment === undefined) return -1;
    const { chunkBytes } = this.#bounds;
    const known = (): number =>
      Math.max(this.#starts.startBelow(end, chunkBytes), segment.position);
    const start = known();
    if (end - start <= 2 * chunkBytes) return start;
    await this.#learnStarts(start, end);
    return known();
  }

  /** Walks from one known position to another and remembers those between. */
  async #learnStarts(start: number, end: number): Promise<void> {
    const reader = this.#reader(start, end);
    try {
      for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
        this.#starts.note(block.endPosition);
        if (this.#isSliceOver()) await this.#rest();
        if (this.#endAt(0) !== null) return;
      }
    } finally {
      reader.close();
    }
  }

  async #searchChunk(start: number, end: number): Promise<void> {
    const reader = this.#reader(start, end, (bytes) => {
      this.#damagedBytes += bytes;
    });
    const wanted = this.#question.limit - this.#found.length;
    const chosen: RecordPlace[] = [];
    let oldestUs = -1;
    try {
      for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
        if (oldestUs < 0) oldestUs = block.header.arrivalUs;
        this.#searchedBytes += block.endPosition - block.header.position;
        await this.#searchBlock(block, wanted, chosen);
        if (chosen.length > 2 * wanted) chosen.splice(0, chosen.length - wanted);
      }
    } finally {
      reader.close();
    }
    if (oldestUs >= 0) this.#oldestUs = oldestUs;
    for (const place of chosen.slice(-wanted).toReversed()) {
      if (this.#foundBytes >= ANSWER_BYTES_MAX) break;
      this.#found.push(place);
      this.#foundBytes += place.length;
    }
  }

  /** Adds copies of the last `wanted` records of the block that are chosen. */
  async #searchBlock(block: BlockView, wanted: number, chosen: RecordPlace[]): Promise<void> {
    const { bytes, view, header } = block;
    const end = block.offset + block.length;
    const places: [offset: number, length: number, index: number][] = [];
    let index = 0;
    for (let offset = block.offset; end - offset >= FRAME_BYTES_MIN; index++) {
      const length = frameLength(bytes, offset);
      if (length < 0 || length > end - offset) break;
      if (this.#question.isChosen(bytes, view, offset, length, header.exporter)) {
        places.push([offset, length, index]);
      }
      offset += length;
      if (index % RECORDS_PER_LOOK === 0 && this.#isSliceOver()) await this.#rest();
    }
    this.#searchedRecords += index;
    if (places.length === 0) return;
    const origin: BlockHeader = { ...header, exporter: header.exporter.slice() };
    for (const [offset, length, at] of places.slice(-wanted)) {
      const position = block.endPosition - block.length + offset - block.offset;
      chosen.push(copyOf(bytes.slice(offset, offset + length), origin, position, at));
    }
  }

  #reader(start: number, end: number, onDamage?: (bytes: number) => void): JournalReader {
    return new JournalReader(this.#journal.folder, {
      position: start,
      limitPosition: () => end,
      onDamage: ({ bytes }) => onDamage?.(bytes),
    });
  }

  async #answer(endedBy: SearchEnd): Promise<SearchAnswer> {
    const records: Record<string, unknown>[] = [];
    for (const place of this.#found) {
      records.push(recordJson(place));
      if (this.#isSliceOver()) await this.#rest();
    }
    return {
      records,
      searchedRecords: this.#searchedRecords,
      searchedBytes: this.#searchedBytes,
      damagedBytes: this.#damagedBytes,
      oldestSearchedMs: this.#oldestUs < 0 ? null : Math.floor(this.#oldestUs / 1000),
      isWhole: endedBy === 'journal',
      endedBy,
      tookMs: Math.round(performance.now() - this.#beganMs),
    };
  }

  #isSliceOver(): boolean {
    return performance.now() - this.#sliceMs >= this.#bounds.sliceMs;
  }

  async #rest(): Promise<void> {
    await nextTurn();
    this.#sliceMs = performance.now();
  }
}

function copyOf(
  bytes: Uint8Array,
  block: BlockHeader,
  position: number,
  index: number,
): RecordPlace {
  const view = new DataView(bytes.buffer);
  const run = { bytes, view, offset: 0, length: bytes.length, position, block };
  return { run, offset: 0, length: bytes.length, index };
}

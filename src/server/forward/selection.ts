/**
 * Selection: what is sent of a block, worked out once for all channels that choose the same.
 *
 * WHY        A hundred destinations with one filter should cost one filter: the answer is kept by
 *            position. Which bytes go how is decided here too: a long run goes by sendfile(2) from
 *            the page cache, short runs are put next to each other and go as one.
 * OWNERSHIP  The cache holds the gathered bytes of its entries; a parcel holds them for itself.
 * BOUNDS     SELECTIONS_CACHED_MAX blocks. Who lags further behind works it out for itself. Memory:
 *            see gather.ts; a selection that finds none is worked out again later.
 */
import type { RecordPredicate } from '../../rdr/filter/ast.ts';
import { RECORD_RUN_STRIDE, RecordRuns, selectRuns } from '../../rdr/filter/record-runs.ts';
import type { BlockBytes, BlockPayload } from './block-bytes.ts';
import type { CursorBlock } from './block-cursor.ts';
import {
  type BlockSelector,
  type MemoryPiece,
  type Piece,
  SELECT_DAMAGED,
  SELECT_FULL,
  type Selected,
  type SelectResult,
} from './channel-parts.ts';
import type { Gather, GatherBuffer, GatherPool } from './gather.ts';

/**
 * Runs shorter than this are copied, longer ones go by sendfile(2): one call costs as much as to
 * copy and send so many bytes. Measured twice (docs/benchmarks.md, forward): sendfile needs the CPU
 * of the copy 1.6 and 1.8 times for runs of 16 KiB, 0.8 and 1.0 times for 32 KiB, half for 48 KiB.
 */
export const GATHER_BELOW_BYTES = 32 * 1024;
/**
 * Connections that are not equally fast drift apart, and who finds nothing here works it out again:
 * 128 blocks are 32 MiB of the journal. Each may hold a whole buffer, so it is 32 when those are
 * scarce. Measured flat out, 4 destinations: with 32 each block was worked out 3 times, with 128
 * once.
 */
const SELECTIONS_CACHED_MAX = 128;
const SELECTIONS_CACHED_MIN = 32;

export const NOTHING: Selected = { records: 0, pieces: [] };

/** Gathered records of one block. */
class GatheredPiece implements MemoryPiece {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly #buffer: GatherBuffer;

  constructor(buffer: GatherBuffer, offset: number) {
    this.bytes = buffer.bytes;
    this.offset = offset;
    this.#buffer = buffer;
  }

  retain(): void {
    this.#buffer.retain();
  }

  release(): void {
    this.#buffer.release();
  }
}

/** All of a block, from its file. */
export function wholeBlock(block: CursorBlock): Selected {
  const { length, header } = block;
  const piece = { records: header.recordCount, bytes: length, memory: null, payloadOffset: 0 };
  return { records: header.recordCount, pieces: [piece] };
}

/** Makes pieces of runs. */
export class Pieces {
  readonly #gather: Gather;
  readonly #gatherBelowBytes: number;

  constructor(gather: Gather, gatherBelowBytes = GATHER_BELOW_BYTES) {
    this.#gather = gather;
    this.#gatherBelowBytes = gatherBelowBytes;
  }

  get pool(): GatherPool {
    return this.#gather.pool;
  }

  /** Gathered bytes are held once, for whoever calls. Null: there is no memory for them now. */
  make(block: CursorBlock, payload: BlockPayload, runs: RecordRuns): Selected | null {
    if (runs.records === 0) return NOTHING;
    if (runs.bytes === block.length) return wholeBlock(block);
    const pieces: Piece[] = [];
    const { entries, runCount } = runs;
    for (let i = 0; i < runCount; ) {
      const at = i * RECORD_RUN_STRIDE;
      const bytes = entries[at + 1]!;
      if (bytes >= this.#gatherBelowBytes) {
        const records = entries[at + 2]!;
        pieces.push({ records, bytes, memory: null, payloadOffset: entries[at]! });
        i++;
        continue;
      }
      const next = this.#gatherFrom(i, payload, runs, pieces);
      if (next < 0) {
        releasePieces(pieces);
        return null;
      }
      i = next;
    }
    return { records: runs.records, pieces };
  }

  /** Lets go of the buffer that is being filled. */
  close(): void {
    this.#gather.close();
  }

  /** Short runs from the i-th on; the first one that is not gathered, or -1: no memory. */
  #gatherFrom(first: number, payload: BlockPayload, runs: RecordRuns, pieces: Piece[]): number {
    const { entries, runCount } = runs;
    let end = first;
    let bytes = 0;
    let records = 0;
    for (; end < runCount; end++) {
      const length = entries[end * RECORD_RUN_STRIDE + 1]!;
      if (length >= this.#gatherBelowBytes) break;
      bytes += length;
      records += entries[end * RECORD_RUN_STRIDE + 2]!;
    }
    const buffer = this.#gather.room(bytes);
    if (buffer === null) return -1;
    const offset = buffer.used;
    for (let i = first; i < end; i++) {
      const at = entries[i * RECORD_RUN_STRIDE]!;
      const length = entries[i * RECORD_RUN_STRIDE + 1]!;
      buffer.append(payload, at, length);
    }
    const memory = new GatheredPiece(buffer, offset);
    memory.retain();
    pieces.push({ records, bytes, memory, payloadOffset: 0 });
    return end;
  }
}

/** The newest answers, by position. Evicts the oldest ones, and lets go of their bytes. */
export class SelectionCache<Answer> {
  readonly #positions = new Float64Array(SELECTIONS_CACHED_MAX).fill(-1);
  readonly #answers = new Array<Answer | null>(SELECTIONS_CACHED_MAX).fill(null);
  readonly #pool: Pick<GatherPool, 'isRoomy'>;
  readonly #release: (answer: Answer) => void;
  /** Answers ever added, and below it those that were evicted; their places modulo the length. */
  #added = 0;
  #evicted = 0;

  constructor(pool: Pick<GatherPool, 'isRoomy'>, release: (answer: Answer) => void) {
    this.#pool = pool;
    this.#release = release;
  }

  find(position: number): Answer | null {
    const at = this.#positions.indexOf(position);
    return at < 0 ? null : this.#answers[at]!;
  }

  add(position: number, answer: Answer): void {
    const most = this.#pool.isRoomy ? SELECTIONS_CACHED_MAX : SELECTIONS_CACHED_MIN;
    while (this.#added - this.#evicted >= most) this.#evict();
    const at = this.#added % SELECTIONS_CACHED_MAX;
    this.#positions[at] = position;
    this.#answers[at] = answer;
    this.#added++;
  }

  clear(): void {
    while (this.#evicted < this.#added) this.#evict();
  }

  #evict(): void {
    const at = this.#evicted % SELECTIONS_CACHED_MAX;
    this.#release(this.#answers[at]!);
    this.#answers[at] = null;
    this.#positions[at] = -1;
    this.#evicted++;
  }
}

export function releasePieces(pieces: readonly Piece[]): void {
  for (const { memory } of pieces) memory?.release();
}

/** What one filter chooses. */
export class FilterSelection implements BlockSelector {
  readonly #predicate: RecordPredicate;
  readonly #bytes: BlockBytes;
  readonly #pieces: Pieces;
  readonly #runs = new RecordRuns();
  readonly #cache: SelectionCache<SelectResult>;

  constructor(predicate: RecordPredicate, bytes: BlockBytes, pieces: Pieces) {
    this.#predicate = predicate;
    this.#bytes = bytes;
    this.#pieces = pieces;
    this.#cache = new SelectionCache(pieces.pool, (answer) => {
      if (typeof answer !== 'string') releasePieces(answer.pieces);
    });
    pieces.pool.addCache(this.#cache);
  }

  /** Nobody selects by it any more. */
  close(): void {
    this.#pieces.pool.removeCache(this.#cache);
    this.#cache.clear();
    this.#pieces.close();
  }

  select(block: CursorBlock): SelectResult {
    const found = this.#cache.find(block.position);
    if (found !== null) return found;
    const answer = this.#workOut(block);
    if (answer !== SELECT_FULL) this.#cache.add(block.position, answer);
    return answer;
  }

  #workOut(block: CursorBlock): SelectResult {
    const payload = this.#bytes.read(block);
    if (payload === null) return SELECT_DAMAGED;
    const { bytes, view, length } = payload;
    selectRuns(this.#predicate, bytes, view, 0, length, block.header.exporter, this.#runs);
    if (this.#runs.walked !== block.header.recordCount) return SELECT_DAMAGED;
    return this.#pieces.make(block, payload, this.#runs) ?? SELECT_FULL;
  }
}

/**
 * Channel: one reader of the journal, from its blocks to the parcels of its connections.
 *
 * WHY         All that is one destination's own is here: where it reads, what it chooses, what it
 *             waits for. A channel that waits costs the others nothing.
 * FLOW        cursor -> too old? -> selection -> ledger -> parcels -> output; what the output
 *             answers goes to the ledger, and the ledger to the position file.
 * OWNERSHIP   A parcel holds its segment, or its gathered bytes, from its making until it is
 *             settled or taken back.
 * INVARIANTS  1. Parcels are added in the order of the journal.  2. `none`: the position file is
 *             behind a block before its first parcel is added, and a block is begun only when its
 *             connection stands: what a kill interrupts is what may have been sent.  3. At most
 *             BLOCKS_HELD_MAX blocks are on their way; what one turn does is bounded.
 */
import { assert } from '../../toolkit/base/assert.ts';
import { monotonicMs, wallMs } from '../../toolkit/base/clock.ts';
import { CURSOR_BLOCK, CURSOR_COLD, type CursorBlock } from './block-cursor.ts';
import { ChannelParcel } from './channel-parcel.ts';
import type {
  BlockSelector,
  ChannelCursor,
  ChannelOutput,
  SegmentHolder,
  Selected,
} from './channel-parts.ts';
import { type GatherPool, HeldBuffers } from './gather.ts';
import { isTooOld, type LagLimits } from './lag.ts';
import { type Ledger, type LedgerEntry, makePassed } from './ledger.ts';
import { errnoOf, openProblem } from './open-problem.ts';
import type { Parcel, Settlement } from './parcel.ts';
import type { PositionFile } from './position-file.ts';

/** More blocks on their way are not begun: what is held in memory of each is small, yet bounded. */
export const BLOCKS_HELD_MAX = 4096;
/** `unacked`: the position file is at most so far behind. */
export const POSITION_EVERY_MS = 100;

export interface ChannelDependencies {
  readonly name: string;
  readonly resend: 'none' | 'unacked';
  readonly limits: LagLimits;
  readonly cursor: ChannelCursor;
  readonly selector: BlockSelector;
  readonly output: ChannelOutput;
  readonly ledger: Ledger;
  readonly file: PositionFile;
  readonly segments: SegmentHolder;
  readonly pool: Pick<GatherPool, 'isTight'>;
}

/** What the channel waits for; `''`: it has just worked. */
export type ChannelWait = '' | 'journal' | 'output' | 'cold' | 'memory' | 'disk' | 'segment';

export class Channel {
  readonly ledger: Ledger;
  readonly #deps: ChannelDependencies;
  readonly #buffers: HeldBuffers;
  #limits: LagLimits;
  #selector: BlockSelector;
  /** The block that the cursor stands on is not dealt with. */
  #hasBlock = false;
  /** Parcels of blocks that were begun and are not added yet; the first is the next. */
  #outgoing: ChannelParcel[] = [];
  /** What connections that were closed gave back, in its order: it goes before all others. */
  #returned: ChannelParcel[] = [];
  #writtenMs = Number.NEGATIVE_INFINITY;
  #waitsFor: ChannelWait = '';
  /** The output had no room, and nothing was settled since. */
  #isRefused = false;
  #writtenPosition: number;
  #writeProblem = '';
  /** The connection of the last block, and its exporter. */
  #keyedConnection = -1;
  #exporterKey = '';
  /** When the cursor came to its block. */
  #seenMs = 0;

  constructor(deps: ChannelDependencies) {
    this.#deps = deps;
    this.#limits = deps.limits;
    this.#selector = deps.selector;
    this.#buffers = new HeldBuffers(deps.pool);
    this.ledger = deps.ledger;
    this.#writtenPosition = deps.ledger.committed.position;
  }

  get name(): string {
    return this.#deps.name;
  }

  get waitsFor(): ChannelWait {
    return this.#waitsFor;
  }

  /** What the position file says, or will say first: a restart goes on there. */
  get writtenPosition(): number {
    return this.#writtenPosition;
  }

  /** Behind all blocks that were looked at, settled or not. */
  get readPosition(): number {
    return Math.max(this.ledger.readPosition, this.#deps.cursor.position);
  }

  /** What keeps it from reading on, or its position from being kept; or ''. */
  get problem(): string {
    return this.#waitsFor === 'segment' ? this.#deps.cursor.problem : this.#writeProblem;
  }

  /** It does not go on before that is mended. */
  get isBlocked(): boolean {
    return this.#waitsFor === 'segment' || this.#waitsFor === 'disk';
  }

  /** When the journal got the oldest block that is not settled, or not read; -1: there is none. */
  get oldestArrivalMs(): number {
    const { oldestArrivalMs } = this.ledger;
    if (oldestArrivalMs >= 0 || !this.#hasBlock) return oldestArrivalMs;
    return this.#deps.cursor.block.header.arrivalUs / 1000;
  }

  /** Nothing is on its way, nothing is half begun. */
  get isSettled(): boolean {
    return this.ledger.waiting === 0;
  }

  /**
   * Reads and hands on at most `blocks` blocks. Returns how many it dealt with; 0: see `waitsFor`.
   */
  advance(blocks: number, publishedPosition: number): number {
    let done = 0;
    this.#dropTooOld(publishedPosition);
    const isHeldUp = this.#isRefused && (this.#hasBlock || this.#outgoing.length > 0);
    if (isHeldUp && !this.#isBlockTooOld(publishedPosition)) return 0;
    this.#waitsFor = '';
    while (done < blocks && this.#waitsFor === '') {
      if (!this.#addOutgoing()) break;
      if (!this.#hasBlock && !this.#readBlock()) break;
      if (this.#dealWithBlock(publishedPosition)) done++;
    }
    return done;
  }

  /** Only adds what was begun: for a drain, which begins nothing. */
  flush(): void {
    this.#addOutgoing();
  }

  /** A connection has answered for a parcel of ours; wholly, unless it was closed. */
  onSettled(parcel: Parcel, settlement: Settlement): void {
    const ours = parcel as ChannelParcel;
    this.ledger.settle(ours.entry, settlement);
    this.#isRefused = false;
    const { delivered, cut, damaged, resumeBytes } = settlement;
    const rest = ours.records - delivered - cut - damaged;
    if (rest > 0) this.#returned.push(ours.from(resumeBytes, rest));
    else this.#letGo(ours);
  }

  /** Other limits from now on, another choice from the next block on: what was begun goes out. */
  configure(limits: LagLimits, selector: BlockSelector): void {
    this.#limits = limits;
    this.#selector = selector;
    this.#isRefused = false;
  }

  /** The output is another one, or has room for a reason of its own: a connection stands. */
  retry(): void {
    this.#isRefused = false;
  }

  /** The channel has no destination any more: what is on its way is not waited for. */
  giveUp(): void {
    this.#takeBack();
    for (const parcel of this.#outgoing) {
      this.ledger.giveUp(parcel.entry, parcel.records);
      this.#letGo(parcel);
    }
    this.#outgoing = [];
  }

  /** Blocks of which nothing was added are as if they had not been read. */
  retract(): void {
    this.#takeBack();
    while (this.#outgoing.length > 0) {
      const { entry } = this.#outgoing.at(-1)!;
      const first = this.#outgoing.findIndex((parcel) => parcel.entry === entry);
      const here = this.#outgoing.slice(first).reduce((sum, parcel) => sum + parcel.records, 0);
      if (here !== entry.records || !this.ledger.retract(entry)) break;
      for (const parcel of this.#outgoing.splice(first)) this.#letGo(parcel);
    }
    for (const parcel of this.#outgoing) this.#letGo(parcel);
    this.#outgoing = [];
  }

  /** Writes the position when it has moved and it is time, or `now`. */
  writePosition(nowMs: number, now = false): void {
    if (!this.ledger.hasMoved) return;
    if (!now && nowMs - this.#writtenMs < POSITION_EVERY_MS) return;
    this.#tryWrite();
    this.#writtenMs = nowMs;
  }

  close(): void {
    this.#deps.cursor.close();
    this.#deps.file.close();
  }

  /** False: the disk does not take it (full, or gone): said, tried again. */
  #tryWrite(): boolean {
    try {
      this.#deps.file.write(this.ledger.committed);
    } catch (error) {
      this.#writeProblem = openProblem('its position cannot be written', errnoOf(error));
      return false;
    }
    this.#writeProblem = '';
    this.ledger.written();
    this.#writtenPosition = this.ledger.committed.position;
    return true;
  }

  /** True: nothing is outstanding. */
  #addOutgoing(): boolean {
    this.#takeBack();
    let added = 0;
    while (added < this.#outgoing.length && this.#tryAdd(this.#outgoing[added]!)) added++;
    if (added > 0) this.#outgoing.splice(0, added);
    return this.#outgoing.length === 0;
  }

  #takeBack(): void {
    if (this.#returned.length === 0) return;
    // Each connection gave back its own: between them the order is the journal's again.
    this.#outgoing = [...this.#returned, ...this.#outgoing].sort((a, b) => a.position - b.position);
    this.#returned = [];
  }

  #tryAdd(parcel: ChannelParcel): boolean {
    if (this.#deps.output.tryAdd(parcel)) return true;
    this.#isRefused = true;
    this.#waitsFor = 'output';
    return false;
  }

  /** The cursor's next block; what is gone before it is counted. */
  #readBlock(): boolean {
    const { cursor } = this.#deps;
    const step = cursor.next();
    if (step !== CURSOR_BLOCK) {
      const end = cursor.problem === '' ? 'journal' : 'segment';
      this.#waitsFor = step === CURSOR_COLD ? 'cold' : end;
      return false;
    }
    this.#hasBlock = true;
    this.#seenMs = monotonicMs();
    this.#countLost(cursor.block);
    return true;
  }

  /** By ordinals: what is missing is counted once, whatever the cursor knows of it. */
  #countLost({ header, position }: CursorBlock): void {
    const { ledger, cursor } = this.#deps;
    const { damaged } = cursor.takeLost();
    if (ledger.readOrdinal < 0) {
      ledger.startAt(header.firstOrdinal);
      return;
    }
    const gap = header.firstOrdinal - ledger.readOrdinal;
    if (gap < 0) ledger.renumber(gap);
    if (gap <= 0) return;
    const lost = makePassed();
    lost.damaged = Math.min(damaged, gap);
    lost.retention = gap - lost.damaged;
    ledger.pass(position, header.firstOrdinal, 0, lost);
  }

  #isBlockTooOld(publishedPosition: number): boolean {
    if (!this.#hasBlock) return false;
    const { endPosition, header } = this.#deps.cursor.block;
    return this.#isTooOld(endPosition, publishedPosition, header.arrivalUs / 1000);
  }

  #isTooOld(endPosition: number, publishedPosition: number, arrivalMs: number): boolean {
    const limits = this.#limits;
    if (limits.onLag !== 'drop-oldest') return false;
    return isTooOld(limits, endPosition, publishedPosition, arrivalMs, wallMs());
  }

  /** What was handed over and is not begun goes by the limits as what was not read. */
  #dropTooOld(publishedPosition: number): void {
    const { limits } = this.#deps;
    const { oldest } = this.ledger;
    if (limits.onLag !== 'drop-oldest' || oldest === null) return;
    // One time for all: what comes back because it is too old is so below, too.
    const nowMs = wallMs();
    const isOld = ({ blockEndPosition, arrivalMs }: LedgerEntry): boolean =>
      isTooOld(limits, blockEndPosition, publishedPosition, arrivalMs, nowMs);
    if (!isOld(oldest)) return;
    this.#deps.output.giveBack((parcel) => isOld((parcel as ChannelParcel).entry));
    this.#takeBack();
    this.#outgoing = this.#outgoing.filter((parcel) => {
      if (!isOld(parcel.entry)) return true;
      this.ledger.dropTooOld(parcel.entry, parcel.records);
      this.#letGo(parcel);
      this.#isRefused = false;
      return false;
    });
  }

  /** True: the block is dealt with. */
  #dealWithBlock(publishedPosition: number): boolean {
    const { block } = this.#deps.cursor;
    if (this.#isBlockTooOld(publishedPosition)) {
      this.#pass(block, 'lag');
      return true;
    }
    if (this.ledger.held >= BLOCKS_HELD_MAX) {
      this.#waitsFor = 'output';
      return false;
    }
    const selected = this.#buffers.isFull ? 'full' : this.#selector.select(block);
    if (selected === 'full') this.#waitsFor = 'memory';
    else if (selected === 'damaged') this.#pass(block, 'damaged');
    else if (selected.records === 0) this.#pass(block, 'filtered');
    else this.#begin(block, selected);
    return this.#waitsFor === '' || !this.#hasBlock;
  }

  #pass(block: CursorBlock, reason: 'filtered' | 'lag' | 'damaged'): void {
    const passed = makePassed();
    const { firstOrdinal, recordCount } = block.header;
    passed[reason] = recordCount;
    const endOrdinal = firstOrdinal + recordCount;
    this.ledger.pass(block.endPosition, endOrdinal, 1, passed);
    this.#hasBlock = false;
  }

  /** Begun is what the output takes the first parcel of; the others may follow later. */
  #begin(block: CursorBlock, selected: Selected): void {
    const { firstOrdinal, recordCount, arrivalUs } = block.header;
    const isNone = this.#deps.resend === 'none';
    const exporter = this.#exporterOf(block);
    if (isNone && !this.#deps.output.isReady(exporter)) {
      this.#isRefused = true;
      this.#waitsFor = 'output';
      return;
    }
    const entry = this.ledger.begin(
      block.endPosition,
      firstOrdinal + recordCount,
      selected.records,
      recordCount - selected.records,
      arrivalUs / 1000,
    );
    const from = { exporter, seenMs: this.#seenMs };
    const parcels = selected.pieces.map((piece) => new ChannelParcel(entry, block, piece, from));
    const isSaid = !isNone || this.#tryWrite();
    if (!isSaid) this.#waitsFor = 'disk';
    if (!isSaid || !this.#tryAdd(parcels[0]!)) {
      assert(this.ledger.retract(entry), 'the newest block is taken back');
      if (isSaid && isNone) this.#tryWrite();
      return;
    }
    for (const parcel of parcels) this.#hold(parcel);
    this.#hasBlock = false;
    this.#outgoing = parcels.slice(1);
    this.#addOutgoing();
  }

  /** The exporter's 16 bytes as latin1; blocks of one connection often follow each other. */
  #exporterOf({ header: { exporter, connectionId } }: CursorBlock): string {
    if (connectionId !== this.#keyedConnection) {
      const { buffer, byteOffset, length } = exporter;
      this.#exporterKey = Buffer.from(buffer, byteOffset, length).toString('latin1');
      this.#keyedConnection = connectionId;
    }
    return this.#exporterKey;
  }

  #hold(parcel: ChannelParcel): void {
    if (parcel.memory === null) this.#deps.segments.retain(parcel.segment);
    else {
      parcel.memory.retain();
      this.#buffers.add(parcel.memory.bytes);
    }
  }

  #letGo(parcel: ChannelParcel): void {
    if (parcel.memory === null) this.#deps.segments.release(parcel.segment);
    else {
      this.#buffers.remove(parcel.memory.bytes);
      parcel.memory.release();
    }
  }
}

/**
 * Ledger of a channel: what became of each record, and from where the channel goes on.
 *
 * WHY        The two promises of `resend` are one sentence each about what the position file may
 *            say when. Both are here, apart from sockets and files.
 * unacked    The file names the first block that is not settled: blocks wait here, in the order of
 *            the journal, and leave from the front. What a block did is counted as it leaves.
 * none       The file names the end of the last block that was begun: everything is counted at
 *            once, and `begun` is what was handed to connections and not answered for. After a kill
 *            these records may or may not have arrived: `interrupted`.
 * INVARIANTS 1. ordinal - startOrdinal = delivered + filtered + dropped + begun, in what the file
 *            says, at any moment (`resent` stands beside).  2. published - startOrdinal is the same
 *            sum with `pending` instead of `begun`.
 */
import { assert } from '../../toolkit/base/assert.ts';
import type { ChannelPosition } from './position-file.ts';

/** The counts of a settlement. */
export interface SettledRecords {
  readonly delivered: number;
  readonly cut: number;
  readonly resent: number;
  readonly damaged: number;
}

/** What of the journal was passed without anything to send. Records. */
export interface Passed {
  filtered: number;
  lag: number;
  retention: number;
  damaged: number;
}

export function makePassed(): Passed {
  return { filtered: 0, lag: 0, retention: 0, damaged: 0 };
}

/** Records, by what became of them. */
export interface LedgerTotals extends Passed {
  readonly delivered: number;
  readonly cut: number;
  readonly removed: number;
  readonly interrupted: number;
}

/** A block on its way, with what was passed behind it. */
export interface LedgerEntry {
  readonly startPosition: number;
  readonly startOrdinal: number;
  endPosition: number;
  endOrdinal: number;
  /** Of the block alone. */
  readonly blockEndPosition: number;
  blocks: number;
  /** When the journal got it. */
  readonly arrivalMs: number;
  readonly records: number;
  /** Records that no connection has answered for. */
  waiting: number;
  readonly passed: Passed;
  delivered: number;
  cut: number;
  damaged: number;
  removed: number;
}

export class Ledger {
  /** What the file says; changed here alone. */
  readonly committed: ChannelPosition;
  /** Records that were begun when the last life of the channel ended. */
  readonly interrupted: number;
  readonly #isUnacked: boolean;
  /** In the order of the journal; `none` keeps them for their times and for `retract`. */
  readonly #entries: LedgerEntry[] = [];
  #first = 0;
  #readPosition: number;
  #readOrdinal: number;
  #waiting = 0;
  #hasMoved = false;
  /** `unacked`: sums over the entries, of what is not in `committed`. */
  readonly #ahead = { ...makePassed(), delivered: 0, cut: 0, removed: 0 };

  /** Takes over what the file said. What was begun has been interrupted. */
  constructor(position: ChannelPosition, resend: 'none' | 'unacked') {
    this.committed = position;
    this.#isUnacked = resend === 'unacked';
    this.interrupted = position.begun;
    this.#hasMoved = true;
    position.interrupted += position.begun;
    position.begun = 0;
    this.#readPosition = position.position;
    this.#readOrdinal = position.ordinal;
  }

  /** Behind the last block that was read. */
  get readPosition(): number {
    return this.#readPosition;
  }

  /** -1: nothing was read yet. */
  get readOrdinal(): number {
    return this.#readOrdinal;
  }

  /** Records that were read, were chosen, and that no connection has answered for. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Blocks that have not left. */
  get held(): number {
    return this.#entries.length - this.#first;
  }

  /**
   * What became of the records that were read and are not `waiting`: `committed`, and what has left
   * or was passed behind blocks that wait. A restart takes the latter back.
   */
  totals(): LedgerTotals {
    const { committed } = this;
    const ahead = this.#ahead;
    return {
      delivered: committed.delivered + ahead.delivered,
      cut: committed.cut + ahead.cut,
      removed: committed.removed + ahead.removed,
      filtered: committed.filtered + ahead.filtered,
      lag: committed.lag + ahead.lag,
      retention: committed.retention + ahead.retention,
      damaged: committed.damaged + ahead.damaged,
      interrupted: committed.interrupted,
    };
  }

  /** The oldest block that has not left; null: all have. */
  get oldest(): LedgerEntry | null {
    return this.held === 0 ? null : this.#entries[this.#first]!;
  }

  /** When the journal got it; -1: all have left. */
  get oldestArrivalMs(): number {
    return this.oldest?.arrivalMs ?? -1;
  }

  /** The file is behind `committed`. */
  get hasMoved(): boolean {
    return this.#hasMoved;
  }

  setActive(member: string): void {
    if (this.committed.active === member) return;
    this.committed.active = member;
    this.#hasMoved = true;
  }

  written(): void {
    this.#hasMoved = false;
  }

  /** The first record of a channel that did not know where it begins. */
  startAt(ordinal: number): void {
    assert(this.#readOrdinal < 0, 'a channel starts once');
    this.#readOrdinal = ordinal;
    this.committed.ordinal = ordinal;
    this.committed.startOrdinal = ordinal;
    this.#hasMoved = true;
  }

  /**
   * After a power loss the journal may have lost its end, and gives ordinals again that this
   * channel has seen: what it counted stays, its beginning moves. `by`: below 0.
   */
  renumber(by: number): void {
    assert(this.held === 0, 'renumbered before anything is on its way');
    this.#readOrdinal += by;
    this.committed.ordinal += by;
    this.committed.startOrdinal += by;
    this.#hasMoved = true;
  }

  /** Records of which nothing is to be sent, up to `endPosition`. */
  pass(endPosition: number, endOrdinal: number, blocks: number, passed: Passed): void {
    this.#read(endPosition, endOrdinal);
    if (this.held > 0) {
      const last = this.#entries.at(-1)!;
      last.endPosition = endPosition;
      last.endOrdinal = endOrdinal;
      last.blocks += blocks;
      addPassed(last.passed, passed, 1);
      if (this.#isUnacked) {
        addPassed(this.#ahead, passed, 1);
        return;
      }
    }
    this.#moveTo(endPosition, endOrdinal, blocks);
    addPassed(this.committed, passed, 1);
  }

  /**
   * A block of which `records` will be sent, `filtered` not. With `none`, `committed` is behind it
   * from now on and has to be written before its first byte goes.
   */
  begin(
    endPosition: number,
    endOrdinal: number,
    records: number,
    filtered: number,
    arrivalMs: number,
  ): LedgerEntry {
    const passed = makePassed();
    passed.filtered = filtered;
    const entry: LedgerEntry = {
      startPosition: this.#readPosition,
      startOrdinal: this.#readOrdinal,
      endPosition,
      endOrdinal,
      blockEndPosition: endPosition,
      blocks: 1,
      arrivalMs,
      records,
      waiting: records,
      passed,
      delivered: 0,
      cut: 0,
      damaged: 0,
      removed: 0,
    };
    this.#read(endPosition, endOrdinal);
    this.#waiting += records;
    this.#entries.push(entry);
    if (this.#isUnacked) addPassed(this.#ahead, passed, 1);
    else {
      this.#moveTo(endPosition, endOrdinal, 1);
      addPassed(this.committed, passed, 1);
      this.committed.begun += records;
    }
    return entry;
  }

  /** A connection has answered for records of a block. */
  settle(entry: LedgerEntry, settlement: SettledRecords): void {
    const { delivered, cut, damaged, resent } = settlement;
    entry.delivered += delivered;
    entry.cut += cut;
    entry.damaged += damaged;
    this.committed.resent += resent;
    const into = this.#isUnacked ? this.#ahead : this.committed;
    into.delivered += delivered;
    into.cut += cut;
    into.damaged += damaged;
    this.#answered(entry, delivered + cut + damaged);
  }

  /** Records of a block that are given up, as its destination is no longer configured. */
  giveUp(entry: LedgerEntry, records: number): void {
    entry.removed += records;
    if (this.#isUnacked) this.#ahead.removed += records;
    else this.committed.removed += records;
    this.#answered(entry, records);
  }

  /** Records of a block that were begun and never sent, and are too old now. */
  dropTooOld(entry: LedgerEntry, records: number): void {
    entry.passed.lag += records;
    if (this.#isUnacked) this.#ahead.lag += records;
    else this.committed.lag += records;
    this.#answered(entry, records);
  }

  /**
   * The newest block, of which no byte was sent: it is as if it had not been read. False when it is
   * not the newest, or was answered for in part.
   */
  retract(entry: LedgerEntry): boolean {
    if (this.held === 0 || this.#entries.at(-1) !== entry) return false;
    if (entry.waiting !== entry.records) return false;
    this.#entries.pop();
    this.#waiting -= entry.records;
    this.#readPosition = entry.startPosition;
    this.#readOrdinal = entry.startOrdinal;
    if (this.#isUnacked) addPassed(this.#ahead, entry.passed, -1);
    else {
      this.#moveTo(entry.startPosition, entry.startOrdinal, -entry.blocks);
      addPassed(this.committed, entry.passed, -1);
      this.committed.begun -= entry.records;
    }
    return true;
  }

  #answered(entry: LedgerEntry, records: number): void {
    entry.waiting -= records;
    this.#waiting -= records;
    assert(entry.waiting >= 0, 'a block is answered for once');
    this.#hasMoved = true;
    if (!this.#isUnacked) this.committed.begun -= records;
    while (this.#first < this.#entries.length) {
      const front = this.#entries[this.#first]!;
      if (front.waiting > 0) break;
      if (this.#isUnacked) this.#leave(front);
      this.#first++;
    }
    this.#compact();
  }

  #leave(entry: LedgerEntry): void {
    this.#moveTo(entry.endPosition, entry.endOrdinal, entry.blocks);
    const { delivered, cut, damaged, removed, passed } = entry;
    for (const [into, sign] of [
      [this.committed, 1],
      [this.#ahead, -1],
    ] as const) {
      addPassed(into, passed, sign);
      into.delivered += sign * delivered;
      into.cut += sign * cut;
      into.damaged += sign * damaged;
      into.removed += sign * removed;
    }
  }

  /** Entries that have left are dropped when they are the greater part: amortised, O(1). */
  #compact(): void {
    if (this.#first * 2 < this.#entries.length) return;
    this.#entries.splice(0, this.#first);
    this.#first = 0;
  }

  #read(endPosition: number, endOrdinal: number): void {
    assert(this.#readOrdinal >= 0, 'the channel has started');
    assert(endPosition >= this.#readPosition, 'positions grow');
    assert(endOrdinal >= this.#readOrdinal, 'ordinals grow');
    this.#readPosition = endPosition;
    this.#readOrdinal = endOrdinal;
  }

  #moveTo(position: number, ordinal: number, blocks: number): void {
    this.committed.position = position;
    this.committed.ordinal = ordinal;
    this.committed.blocks += blocks;
    this.#hasMoved = true;
  }
}

function addPassed(into: Passed, passed: Passed, sign: 1 | -1): void {
  into.filtered += sign * passed.filtered;
  into.lag += sign * passed.lag;
  into.retention += sign * passed.retention;
  into.damaged += sign * passed.damaged;
}

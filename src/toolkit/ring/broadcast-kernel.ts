/**
 * Kernel of BroadcastRing: what touches the words that writer and readers share, and nothing else.
 *
 * WHY          Plain functions over words and numbers: the classes call them, and the schedule
 *              checker runs the same text one shared access at a time.
 * LAYOUT       broadcast-layout.ts; `words` begins with the ring, `reader` is an index, `line` the
 *              word index of a reader's line.
 * OWNERSHIP    writer: broadcastRoom to broadcastRecover. Reader: broadcastJoin to broadcastFinish.
 *              broadcastLeave: the reader, or a supervisor after the reader's thread ended.
 *              A reader's state word: IDLE -> READING -> IDLE by the reader, IDLE -> EVICTED and
 *              READING -> LAPPED by the writer, LAPPED -> EVICTED and EVICTED | ABSENT -> JOINING
 *              by the reader, JOINING -> IDLE by the writer, anything -> ABSENT by broadcastLeave.
 *              What two parties may try is compare-and-swap; the reader stores plainly where the
 *              writer changes nothing (LAPPED, EVICTED, ABSENT).
 * INVARIANTS   1. releasedSeq <= every sequence of a reader in IDLE or READING <= writeSeq <=
 *              releasedSeq + capacity.
 *              2. What a slot refers to is handed out for release once, when every reader that has
 *              a place has passed it.
 *              3. A reader touches what slot s refers to only in READING s or LAPPED s; that one
 *              slot is kept aside until the reader has left.
 *              4. A slot may be overwritten while a reader copies its words: claimSeq tells it
 *              afterwards, and the copy is discarded (then it has been evicted). Not if the
 *              reader stands still for 2^32 slots, to within the ring: hours at full speed.
 * WRITER DIES  The next one goes on from these words. A note is changed before what it allows is
 *              handed out: a reference is never released twice, and the one whose release was
 *              running is not released again. LAPPED without an aside: broadcastRecover makes it.
 * MEMORY ORDER claimSeq is stored before, writeSeq after the words of a slot. The words themselves
 *              are stored and loaded by Atomics too: on arm64 plain accesses may pass those two,
 *              and a torn copy would go unnoticed. Notes are plain: one thread's, or handed over
 *              by the compare-and-swap of a state or of a role (admittedSeq: written before
 *              JOINING -> IDLE, read after IDLE was seen).
 * PROGRESS     reader: wait-free. Writer: wait-free but for broadcastEvict, which is lock-free: it
 *              tries again only when the reader has taken, finished or put back a slot meanwhile.
 * REFUSED      fetch-and-or for eviction (wait-free, but evicts who has just moved on); to look at
 *              the reader's own state instead of claimSeq (a lapped reader would lose the slot that
 *              it has copied whole).
 */
import {
  ASIDE_KEPT,
  ASIDE_SEQ,
  ASIDE_SLOT,
  BROADCAST_ASIDE_COUNT_WORD,
  BROADCAST_ASIDES_WORD,
  BROADCAST_CAPACITY_WORD,
  BROADCAST_CLAIM_WORD,
  BROADCAST_READER_COUNT_WORD,
  BROADCAST_RELEASED_WORD,
  BROADCAST_SLOT_WORDS_WORD,
  BROADCAST_SLOTS_WORD,
  BROADCAST_WRITE_WORD,
  packReader,
  READER_ABSENT,
  READER_ADMITTED,
  READER_ASKING,
  READER_EVICTED,
  READER_IDLE,
  READER_JOINING,
  READER_LAPPED,
  READER_LOST,
  READER_MISSED,
  READER_NEXT,
  READER_READING,
  readerLine,
  readerSeq,
  STATE_MASK,
  seqDistance,
} from './broadcast-layout.ts';
import { NO_SLOT } from './layout.ts';

// V8 loads an imported binding at each use, and folds a constant of the module itself.
const WRITE = BROADCAST_WRITE_WORD;
const CLAIM = BROADCAST_CLAIM_WORD;
const RELEASED = BROADCAST_RELEASED_WORD;
const ASIDE_COUNT = BROADCAST_ASIDE_COUNT_WORD;
const CAPACITY = BROADCAST_CAPACITY_WORD;
const SLOT_WORDS = BROADCAST_SLOT_WORDS_WORD;
const READER_COUNT = BROADCAST_READER_COUNT_WORD;

/** What a reader is answered. */
export const READ_OK = 1;
export const READ_NOTHING = 0;
export const READ_EVICTED = -1;

/** Word index of the slot of a sequence. */
export function broadcastSlot(words: Int32Array, seq: number): number {
  const slot = seq & (words[CAPACITY]! - 1);
  return words[BROADCAST_SLOTS_WORD]! + slot * words[SLOT_WORDS]!;
}

function asideWord(words: Int32Array, reader: number): number {
  return words[BROADCAST_ASIDES_WORD]! + reader * (ASIDE_SLOT + words[SLOT_WORDS]!);
}

/** Writer: slots that can be claimed before what the oldest refers to must be released. */
export function broadcastRoom(words: Int32Array): number {
  const unreleased = (words[WRITE]! - words[RELEASED]!) | 0;
  return words[CAPACITY]! - unreleased;
}

/** Writer, when there is room: the word index of the next slot, which may then be written. */
export function broadcastClaim(words: Int32Array): number {
  const writeSeq = words[WRITE]!;
  Atomics.store(words, CLAIM, (writeSeq + 1) | 0);
  return broadcastSlot(words, writeSeq);
}

/** Writer: copies a slot of `from` to the claimed one. */
export function broadcastWriteSlot(
  words: Int32Array,
  to: number,
  from: Int32Array,
  at: number,
): void {
  const count = words[SLOT_WORDS]!;
  for (let i = 0; i < count; i++) {
    Atomics.store(words, to + i, from[at + i]!);
  }
}

/** Writer: the claimed slot is written. */
export function broadcastPublish(words: Int32Array): void {
  const writeSeq = words[WRITE]!;
  Atomics.store(words, WRITE, (writeSeq + 1) | 0);
}

/**
 * Writer: admits joining readers, and answers the sequence that every reader with a place has
 * passed: what slots before it refer to may be released.
 */
export function broadcastPassed(words: Int32Array): number {
  const writeSeq = words[WRITE]!;
  const readerCount = words[READER_COUNT]!;
  let passed = writeSeq;
  for (let reader = 0; reader < readerCount; reader++) {
    const word = Atomics.load(words, readerLine(reader));
    const state = word & STATE_MASK;
    if (state === READER_JOINING) broadcastAdmit(words, reader, word);
    if (state === READER_IDLE || state === READER_READING) {
      const seq = (writeSeq - seqDistance(writeSeq, readerSeq(word))) | 0;
      if (((seq - passed) | 0) < 0) passed = seq;
    }
  }
  return passed;
}

/**
 * Writer: gives a joining reader, whose state word was `word`, a place at the write position.
 * False: it is gone again, or its aside is not yet taken.
 */
export function broadcastAdmit(words: Int32Array, reader: number, word: number): boolean {
  const line = readerLine(reader);
  const isKept = words[asideWord(words, reader) + ASIDE_KEPT]!;
  if (isKept !== 0) return false;
  const writeSeq = words[WRITE]!;
  words[line + READER_ADMITTED] = writeSeq;
  const idle = packReader(writeSeq, READER_IDLE);
  const seen = Atomics.compareExchange(words, line, word, idle);
  return seen === word;
}

/**
 * Writer: the word index of the next slot before `passed` whose reference is to be released, once
 * each; NO_SLOT when there is none. Slots aside are left to broadcastTakeAside.
 */
export function broadcastTakePassed(words: Int32Array, passed: number): number {
  for (;;) {
    const releasedSeq = words[RELEASED]!;
    if (((passed - releasedSeq) | 0) <= 0) return NO_SLOT;
    words[RELEASED] = (releasedSeq + 1) | 0;
    const isAside = broadcastIsAside(words, releasedSeq);
    if (!isAside) return broadcastSlot(words, releasedSeq);
  }
}

/**
 * Writer: the word index of a slot kept aside whose last reader has left: its reference is to be
 * released. NO_SLOT: there is none.
 */
export function broadcastTakeAside(words: Int32Array): number {
  if (words[ASIDE_COUNT] === 0) return NO_SLOT;
  const readerCount = words[READER_COUNT]!;
  for (let reader = 0; reader < readerCount; reader++) {
    const aside = asideWord(words, reader);
    const isKept = words[aside + ASIDE_KEPT]!;
    if (isKept === 0) continue;
    const word = Atomics.load(words, readerLine(reader));
    if ((word & STATE_MASK) === READER_LAPPED) continue;
    words[aside + ASIDE_KEPT] = 0;
    words[ASIDE_COUNT]! -= 1;
    const seq = words[aside + ASIDE_SEQ]!;
    // Not passed yet: broadcastTakePassed will come to it. A slot that was aside for long may be
    // 2^31 slots behind: what is not passed stands in the `capacity` slots from releasedSeq on.
    const ahead = (seq - words[RELEASED]!) >>> 0;
    if (ahead < words[CAPACITY]!) continue;
    const isAside = broadcastIsAside(words, seq);
    if (!isAside) return aside + ASIDE_SLOT;
  }
  return NO_SLOT;
}

/** Writer: a lapped reader may still touch what the slot refers to. */
export function broadcastIsAside(words: Int32Array, seq: number): boolean {
  if (words[ASIDE_COUNT] === 0) return false;
  const readerCount = words[READER_COUNT]!;
  for (let reader = 0; reader < readerCount; reader++) {
    const aside = asideWord(words, reader);
    if (words[aside + ASIDE_KEPT] === 1 && words[aside + ASIDE_SEQ] === seq) return true;
  }
  return false;
}

/**
 * Writer: takes the place of a reader that has not passed `upTo`; what it is reading is kept aside.
 * False: it has passed, or has no place.
 */
export function broadcastEvict(words: Int32Array, reader: number, upTo: number): boolean {
  const line = readerLine(reader);
  // Again only when the reader has changed its word meanwhile.
  for (;;) {
    const word = Atomics.load(words, line);
    const state = word & STATE_MASK;
    if (state !== READER_IDLE && state !== READER_READING) return false;
    const seq = readerSeq(word);
    if (seqDistance(seq, upTo) > 0) return false;
    const to = packReader(seq, state === READER_IDLE ? READER_EVICTED : READER_LAPPED);
    const seen = Atomics.compareExchange(words, line, word, to);
    if (seen === word) {
      if (state === READER_READING) broadcastSetAside(words, reader, seq);
      return true;
    }
  }
}

/** Writer: keeps a copy of the slot (a 29-bit sequence) that a lapped reader is reading. */
export function broadcastSetAside(words: Int32Array, reader: number, seq29: number): void {
  const writeSeq = words[WRITE]!;
  const seq = (writeSeq - seqDistance(writeSeq, seq29)) | 0;
  const aside = asideWord(words, reader);
  const from = broadcastSlot(words, seq);
  const count = words[SLOT_WORDS]!;
  for (let i = 0; i < count; i++) words[aside + ASIDE_SLOT + i] = words[from + i]!;
  words[aside + ASIDE_SEQ] = seq;
  words[aside + ASIDE_KEPT] = 1;
  words[ASIDE_COUNT]! += 1;
}

/** Writer: evicts every reader that has not passed the slot which the next claim overwrites. */
export function broadcastEvictOldest(words: Int32Array): void {
  const oldest = (words[WRITE]! - words[CAPACITY]!) | 0;
  const readerCount = words[READER_COUNT]!;
  for (let reader = 0; reader < readerCount; reader++) {
    broadcastEvict(words, reader, oldest);
  }
}

/** Writer: evicts the reader that is furthest behind. False: nobody is behind. */
export function broadcastEvictSlowest(words: Int32Array): boolean {
  const writeSeq = words[WRITE]!;
  const readerCount = words[READER_COUNT]!;
  let slowest = -1;
  let most = 0;
  for (let reader = 0; reader < readerCount; reader++) {
    const word = Atomics.load(words, readerLine(reader));
    const state = word & STATE_MASK;
    if (state !== READER_IDLE && state !== READER_READING) continue;
    const behind = seqDistance(writeSeq, readerSeq(word));
    if (behind > most) {
      most = behind;
      slowest = reader;
    }
  }
  if (slowest < 0) return false;
  broadcastEvict(words, slowest, (writeSeq - 1) | 0);
  return true;
}

/**
 * Writer, when it takes the role: one before it may have died between the eviction of a reader and
 * keeping what that one reads.
 */
export function broadcastRecover(words: Int32Array): void {
  const readerCount = words[READER_COUNT]!;
  let asideCount = 0;
  for (let reader = 0; reader < readerCount; reader++) {
    asideCount += words[asideWord(words, reader) + ASIDE_KEPT]!;
  }
  words[ASIDE_COUNT] = asideCount;
  for (let reader = 0; reader < readerCount; reader++) {
    const isKept = words[asideWord(words, reader) + ASIDE_KEPT]!;
    if (isKept !== 0) continue;
    const word = Atomics.load(words, readerLine(reader));
    if ((word & STATE_MASK) !== READER_LAPPED) continue;
    broadcastSetAside(words, reader, readerSeq(word));
  }
}

/** Reader: asks for a place, unless it has one or has asked; the writer's next poll gives it. */
export function broadcastJoin(words: Int32Array, line: number): void {
  const word = Atomics.load(words, line);
  const state = word & STATE_MASK;
  if (state !== READER_ABSENT && state !== READER_EVICTED) return;
  words[line + READER_ASKING] = 1;
  Atomics.store(words, line, packReader(0, READER_JOINING));
}

/** Reader with a place: the slot that it reads next. */
export function broadcastNext(words: Int32Array, line: number): number {
  const isAsking = words[line + READER_ASKING]!;
  return isAsking === 0 ? words[line + READER_NEXT]! : words[line + READER_ADMITTED]!;
}

/**
 * Reader, at the first slot that it has got whole in a new place: notes what it has missed. Not
 * earlier: if it loses this place too before it got anything, it lost touch where it did before.
 */
export function broadcastEnter(words: Int32Array, line: number): void {
  if (words[line + READER_ASKING] === 0) return;
  const admittedSeq = words[line + READER_ADMITTED]!;
  const lostSeq = words[line + READER_NEXT]!;
  words[line + READER_LOST] = lostSeq;
  words[line + READER_MISSED] = (admittedSeq - lostSeq) | 0;
  words[line + READER_NEXT] = admittedSeq;
  words[line + READER_ASKING] = 0;
}

/**
 * Reader: begins to read the slot of broadcastNext. READ_OK: it may be copied, then
 * broadcastConfirm tells whether the copy is whole. READ_NOTHING: nothing is new, or the reader is
 * not yet admitted. READ_EVICTED: it has no place, and has not asked for one.
 */
export function broadcastBegin(words: Int32Array, line: number): number {
  const word = Atomics.load(words, line);
  const state = word & STATE_MASK;
  if (state === READER_JOINING) return READ_NOTHING;
  if (state !== READER_IDLE) return READ_EVICTED;
  const nextSeq = broadcastNext(words, line);
  const writeSeq = Atomics.load(words, WRITE);
  if (writeSeq === nextSeq) return READ_NOTHING;
  const reading = packReader(nextSeq, READER_READING);
  const seen = Atomics.compareExchange(words, line, word, reading);
  return seen === word ? READ_OK : READ_EVICTED;
}

/** Reader, behind broadcastBegin: copies the slot of `seq`, which may change meanwhile. */
export function broadcastCopySlot(
  words: Int32Array,
  seq: number,
  into: Int32Array,
  at: number,
): void {
  const from = broadcastSlot(words, seq);
  const count = words[SLOT_WORDS]!;
  for (let i = 0; i < count; i++) {
    into[at + i] = Atomics.load(words, from + i);
  }
}

/**
 * Reader, behind copies of slots from `seq` on, that of broadcastNext: true when they are whole, as
 * the writer has not begun to overwrite the first of them; broadcastFinish must follow. False: the
 * reader had been lapped, and has no place now.
 */
export function broadcastConfirm(words: Int32Array, line: number, seq: number): boolean {
  const claimSeq = Atomics.load(words, CLAIM);
  // claimSeq is past seq, by up to 2^32 when the reader stood still: no signed distance.
  const isWhole = (claimSeq - seq) >>> 0 <= words[CAPACITY]!;
  if (isWhole) broadcastEnter(words, line);
  else Atomics.store(words, line, packReader(seq, READER_EVICTED));
  return isWhole;
}

/** Reader: copies the next slot to `into`. READ_OK: broadcastFinish must follow. */
export function broadcastTryRead(
  words: Int32Array,
  line: number,
  into: Int32Array,
  at: number,
): number {
  const answer = broadcastBegin(words, line);
  if (answer !== READ_OK) return answer;
  const nextSeq = broadcastNext(words, line);
  broadcastCopySlot(words, nextSeq, into, at);
  const isWhole = broadcastConfirm(words, line, nextSeq);
  return isWhole ? READ_OK : READ_EVICTED;
}

/**
 * Reader, behind READ_OK: it is done with `count` slots and touches nothing that they refer to any
 * more. 0 puts the slot back. False: it was lapped meanwhile, and has no place now.
 */
export function broadcastFinish(words: Int32Array, line: number, count: number): boolean {
  const nextSeq = words[line + READER_NEXT]!;
  const endSeq = (nextSeq + count) | 0;
  words[line + READER_NEXT] = endSeq;
  const reading = packReader(nextSeq, READER_READING);
  const idle = packReader(endSeq, READER_IDLE);
  const seen = Atomics.compareExchange(words, line, reading, idle);
  if (seen === reading) return true;
  Atomics.store(words, line, packReader(endSeq, READER_EVICTED));
  return false;
}

/** Gives the place up, whatever the reader was doing. */
export function broadcastLeave(words: Int32Array, line: number): void {
  Atomics.store(words, line, packReader(0, READER_ABSENT));
}

/**
 * MpmcRing between many threads: every item once, in the order of its writer; and threads that are
 * ended at random moments, after which nothing is missing but what is answered.
 */
import assert from 'node:assert/strict';
import { exit } from 'node:process';
import { test } from 'node:test';
import { isMainThread, type Worker, workerData } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { mpmcClaimPop, mpmcClaimPush, mpmcNote, mpmcSlot } from './mpmc-kernel.ts';
import {
  MEMBER_TICKET_WORD,
  MPMC_POP_WORD,
  MPMC_PUSH_WORD,
  memberWord,
  NOTE_POP,
  NOTE_PUSH,
} from './mpmc-layout.ts';
import type { MpmcMember, MpmcRingHandle } from './mpmc-member.ts';
import { ABANDON_AGAIN, MpmcRing, type MpmcRingOptions } from './mpmc-ring.ts';
import { MPMC_WAT, type MpmcKernel } from './mpmc-wasm.ts';
import type { ItemKind, SlotArrays } from './spsc-handle.ts';
import { newSeed, startThread } from './threads.test-data.ts';
import { loadKernel, MEMORY_IMPORT } from './wasm/kernels.ts';

const BATCH_MAX = 24;
/** Bits of an item that count within its writer; the writer stands above. */
const COUNT_BITS = 20;

/** Words of `control`. */
const IS_STOPPED = 0;
const SEEN = 1;
const NEXT_ITEM = 2;
const FAULTS = 3;
const WRITERS_DONE = 4;
const CONTROL_WORDS = 5;

/** Marks of an item, and what is added for each time that it is popped. */
const PUSHING = 1;
const PUSHED = 2;
const POPPED = 4;

interface Job {
  readonly role: 'write' | 'read' | 'push' | 'pop';
  readonly handle: MpmcRingHandle<ItemKind>;
  readonly index: number;
  /** write: items of each writer. read: how many writers. */
  /** push, pop: turns that the thread lives; then it ends in the middle of a call. */
  readonly count: number;
  readonly seed: number;
  /** write, read: how many of the calls are for single items. */
  readonly singles: number;
  /** write, read: single items by the kernel that rests before it touches an item. */
  readonly isSlow: boolean;
  readonly control: SharedArrayBuffer;
  /** An int32 for each item. */
  readonly marks: SharedArrayBuffer;
  /** What the reader is about to pop: all -1 before, and its single item. */
  readonly hand: SharedArrayBuffer;
}

const nap = new Int32Array(new SharedArrayBuffer(4));

function rest(prng: Prng): void {
  if (prng.chance(0.2)) Atomics.wait(nap, 0, 0, prng.unit() / 4);
}

function arrayFor(item: ItemKind, length: number): SlotArrays[ItemKind] {
  return item === 'int32' ? new Int32Array(length) : new Float64Array(length);
}

/** Some hundred nanoseconds: another thread comes in between. */
const PAUSE = `(func $pause (local $left i32)
  (local.set $left (i32.const 300))
  (loop $again
    (local.set $left (i32.sub (local.get $left) (i32.const 1)))
    (br_if $again (local.get $left))))`;

/**
 * The kernel of WebAssembly with a rest before each access to an item: steps in a wrong order leave
 * a nanosecond to see them otherwise.
 */
function slowText(): string {
  const text = MPMC_WAT.replaceAll(
    /\((?:i32|f64)\.store offset=\d+ \(local\.get \$slot\)|\(local\.set \$item /g,
    (access) => `(call $pause) ${access}`,
  );
  assert.equal(text.split('(call $pause)').length - 1, 4, 'two that push, two that pop');
  return text.replace(MEMORY_IMPORT, `${MEMORY_IMPORT} ${PAUSE}`);
}

interface Singles {
  tryPush(value: number): boolean;
  tryPop(whenEmpty: number): number;
}

/** The ways of a member for single items, or slow ones. */
function singlesOf(member: MpmcMember<ItemKind>, isSlow: boolean): Singles {
  if (!isSlow) return member;
  const { handle, index } = member;
  const kernel = loadKernel<MpmcKernel>(slowText(), handle.memory);
  const isInt = handle.item === 'int32';
  const line = memberWord(index) * 4;
  const { pushInt32, pushFloat64, popInt32, popFloat64 } = kernel;
  return {
    tryPush: (value) => (isInt ? pushInt32 : pushFloat64)(line, value) !== 0,
    tryPop: (whenEmpty) => (isInt ? popInt32 : popFloat64)(line, whenEmpty),
  };
}

/** Pushes `count` items by every method, then ends in order. */
function writeAll({ handle, index, count, seed, singles, isSlow, control }: Job): void {
  const member = MpmcRing.member(handle);
  const single = singlesOf(member, isSlow);
  const prng = new Prng(seed);
  const batch = arrayFor(handle.item, BATCH_MAX);
  const base = index << COUNT_BITS;
  for (let next = 0; next < count; ) {
    let pushed = 0;
    if (prng.chance(singles)) pushed = single.tryPush(base + next) ? 1 : 0;
    else {
      const length = Math.min(1 + prng.below(BATCH_MAX), count - next);
      for (let i = 0; i < length; i++) batch[i] = base + next + i;
      pushed = member.pushBatch(batch, 0, length);
    }
    next += pushed;
    if (pushed === 0) rest(prng);
  }
  Atomics.add(new Int32Array(control), WRITERS_DONE, 1);
  member.close();
}

/** Pops by every method, until all writers have ended and nothing is left. */
function readAll({ handle, count, seed, singles, isSlow, control, marks }: Job): void {
  const member = MpmcRing.member(handle);
  const single = singlesOf(member, isSlow);
  const prng = new Prng(seed);
  const words = new Int32Array(control);
  const seen = new Int32Array(marks);
  const batch = arrayFor(handle.item, BATCH_MAX);
  const last = new Map<number, number>();
  const see = (item: number): void => {
    const writer = item >> COUNT_BITS;
    // In the order of its writer.
    if (item <= (last.get(writer) ?? -1)) Atomics.add(words, FAULTS, 1);
    last.set(writer, item);
    const perWriter = seen.length >> 3;
    Atomics.add(seen, writer * perWriter + (item & ((1 << COUNT_BITS) - 1)), 1);
  };
  while (Atomics.load(words, WRITERS_DONE) < count || member.used() > 0) {
    let got = 0;
    if (prng.chance(singles)) {
      const item = single.tryPop(-1);
      if (item >= 0) see(item);
      got = item >= 0 ? 1 : 0;
    } else {
      got = member.popBatch(batch, 0, 1 + prng.below(BATCH_MAX));
      for (let i = 0; i < got; i++) see(batch[i]!);
    }
    if (got > 0) Atomics.add(words, SEEN, got);
    else rest(prng);
  }
  member.close();
}

/** Takes up to `wanted` numbers that no item has had. */
function nextItems(words: Int32Array, marks: Int32Array, wanted: number): number {
  const first = Atomics.add(words, NEXT_ITEM, wanted);
  for (let i = 0; i < wanted; i++) Atomics.store(marks, first + i, PUSHING);
  return first;
}

/** Gives the last `count` of the noted tickets up, as the kernels do, and no others. */
function giveUpLast(words: Int32Array, line: number, from: number, to: number, above: number) {
  const ticket = words[line + MEMBER_TICKET_WORD]!;
  for (let at = to - 1; at >= from; at--) {
    Atomics.store(words, mpmcSlot(words, ticket + at), ticket + at + above);
  }
}

/** Ends this thread between two steps of pushing [first, first + wanted). */
function endPushing({ handle }: Job, index: number, prng: Prng, first: number, wanted: number) {
  const words = new Int32Array(handle.memory.buffer);
  const line = memberWord(index);
  if (prng.chance(0.3)) {
    mpmcNote(words, line, NOTE_PUSH, Atomics.load(words, MPMC_PUSH_WORD), wanted);
    exit();
  }
  const count = mpmcClaimPush(words, line, wanted);
  const floats = new Float64Array(handle.memory.buffer);
  const ticket = words[line + MEMBER_TICKET_WORD]!;
  for (let i = 0; i < count; i++) {
    const slot = mpmcSlot(words, ticket + i);
    if (handle.item === 'int32') words[slot + 1] = first + i;
    else floats[(slot + 2) / 2] = first + i;
  }
  if (count > 0) giveUpLast(words, line, 1 + prng.below(count), count, 1);
  exit();
}

/** Ends this thread between two steps of popping. */
function endPopping({ handle, hand }: Job, index: number, prng: Prng) {
  const words = new Int32Array(handle.memory.buffer);
  const line = memberWord(index);
  const wanted = 1 + prng.below(BATCH_MAX);
  if (prng.chance(0.3)) {
    mpmcNote(words, line, NOTE_POP, Atomics.load(words, MPMC_POP_WORD), wanted);
    exit();
  }
  const count = mpmcClaimPop(words, line, wanted);
  const floats = new Float64Array(handle.memory.buffer);
  const inHand = handOf(handle.item, hand);
  const ticket = words[line + MEMBER_TICKET_WORD]!;
  for (let i = 0; i < count; i++) {
    const slot = mpmcSlot(words, ticket + i);
    inHand[i] = handle.item === 'int32' ? words[slot + 1]! : floats[(slot + 2) / 2]!;
  }
  if (count > 0) giveUpLast(words, line, 1 + prng.below(count), count, handle.capacity);
  exit();
}

/** Pushes items for ever, each with its marks. */
function pushUntilStopped(job: Job): void {
  const { handle, seed, control, marks, count } = job;
  const member = MpmcRing.member(handle);
  const prng = new Prng(seed);
  const words = new Int32Array(control);
  const markWords = new Int32Array(marks);
  const batch = arrayFor(handle.item, BATCH_MAX);
  for (let turn = 0; Atomics.load(words, IS_STOPPED) === 0; turn++) {
    const wanted = 1 + prng.below(BATCH_MAX);
    const first = nextItems(words, markWords, wanted);
    if (turn === count) endPushing(job, member.index, prng, first, wanted);
    for (let i = 0; i < wanted; i++) batch[i] = first + i;
    for (let at = 0; at < wanted && Atomics.load(words, IS_STOPPED) === 0; ) {
      const isSingle = prng.chance(0.3);
      const got = isSingle
        ? Number(member.tryPush(first + at))
        : member.pushBatch(batch, at, wanted);
      for (let i = 0; i < got; i++) Atomics.or(markWords, first + at + i, PUSHED);
      at += got;
      if (got === 0) rest(prng);
    }
  }
  member.close();
}

/** Pops for ever into its hand, and marks. */
function popUntilStopped(job: Job): void {
  const { handle, seed, control, marks, hand, count } = job;
  const member = MpmcRing.member(handle);
  const prng = new Prng(seed);
  const words = new Int32Array(control);
  const markWords = new Int32Array(marks);
  const inHand = handOf(handle.item, hand);
  for (let turn = 0; Atomics.load(words, IS_STOPPED) < 2; turn++) {
    if (turn === count) endPopping(job, member.index, prng);
    let got = 0;
    if (prng.chance(0.3)) {
      inHand[0] = -2;
      inHand[0] = member.tryPop(-1);
      got = inHand[0] >= 0 ? 1 : 0;
    } else got = member.popBatch(inHand, 0, 1 + prng.below(BATCH_MAX));
    for (let i = 0; i < got; i++) Atomics.add(markWords, inHand[i]!, POPPED);
    inHand.fill(-1);
    if (got === 0) rest(prng);
  }
  member.close();
}

function handOf(item: ItemKind, hand: SharedArrayBuffer): SlotArrays[ItemKind] {
  return item === 'int32' ? new Int32Array(hand, 0, BATCH_MAX) : new Float64Array(hand);
}

interface Started {
  readonly job: Job;
  readonly worker: Worker;
  readonly threadId: number;
  readonly ended: Promise<void>;
  readonly isOver: { value: boolean };
}

function start(job: Job): Started {
  const { worker, ended } = startThread(import.meta.url, job);
  const isOver = { value: false };
  worker.once('exit', () => {
    isOver.value = true;
  });
  return { job, worker, threadId: worker.threadId, ended, isOver };
}

async function passAll(
  options: MpmcRingOptions<ItemKind>,
  pairs: number,
  count: number,
  singles = 0.5,
  isSlow = false,
): Promise<void> {
  const { handle } = MpmcRing.create<ItemKind>({ startSeq: 0xffff_ff00, ...options });
  const seed = newSeed();
  const control = new SharedArrayBuffer(CONTROL_WORDS * 4);
  const marks = new SharedArrayBuffer(8 * count * 4);
  const hand = new SharedArrayBuffer(BATCH_MAX * 8);
  const shared = { handle, control, marks, hand, singles, isSlow };
  const started: Started[] = [];
  for (let index = 0; index < pairs; index++) {
    started.push(start({ role: 'write', index, count, seed: seed + index, ...shared }));
    started.push(start({ role: 'read', index, count: pairs, seed: ~(seed + index), ...shared }));
  }
  await Promise.all(started.map(({ ended }) => ended));
  const words = new Int32Array(control);
  assert.equal(words[FAULTS], 0, `in the order of each writer, seed ${seed}`);
  const seen = new Int32Array(marks, 0, pairs * count);
  const wrong = seen.findIndex((times) => times !== 1);
  assert.equal(wrong, -1, `item ${wrong} was seen ${seen[wrong]} times, seed ${seed}`);
  assert.equal(words[SEEN], pairs * count);
}

/** What dead threads may have taken along. */
class Ledger {
  answered = 0;
  inHand = 0;
  notPushed = 0;

  /**
   * Abandons the members of threads that have ended; again, while it is told so, and those that
   * have ended since too, for two dead ones may be at one ticket. Returns the dead.
   */
  async bury(ring: MpmcRing<ItemKind>, running: readonly Started[]): Promise<Started[]> {
    const { memberCount, item } = ring.handle;
    const dead = new Set<Started>();
    for (let tries = 0, isSettled = false; !isSettled; tries++) {
      assert.ok(tries < 10_000, 'it is settled in the end');
      isSettled = true;
      for (const one of running) if (one.isOver.value) dead.add(one);
      for (let index = 0; index < memberCount; index++) {
        const thread = ring.memberThread(index);
        const one = [...dead].find(({ threadId }) => threadId === thread);
        if (one === undefined) continue;
        const died = ring.abandonMember(index);
        if (died === ABANDON_AGAIN) isSettled = false;
        else if (one.job.role === 'push') this.notPushed += died;
        else this.answered += died;
      }
      if (!isSettled) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (const { job } of dead) {
      if (job.role !== 'pop') continue;
      this.inHand += handOf(item, job.hand).filter((it) => it !== -1).length;
    }
    return [...dead];
  }
}

function checkMarks(words: Int32Array, marks: Int32Array, ledger: Ledger, seed: number): void {
  let lost = 0;
  let pushing = 0;
  const last = words[NEXT_ITEM]!;
  for (let item = 0; item < last; item++) {
    const mark = marks[item]!;
    const times = mark >> 2;
    assert.ok(times <= 1, `item ${item} came ${times} times, seed ${seed}`);
    if (times === 0 && (mark & PUSHED) !== 0) lost++;
    if (times === 0 && (mark & PUSHED) === 0) pushing++;
  }
  const { answered, inHand, notPushed } = ledger;
  const found = `${lost} lost, ${answered} answered, ${inHand} in hands, seed ${seed}`;
  assert.ok(lost <= answered + inHand, found);
  assert.ok(notPushed <= pushing, `${notPushed} holes, ${pushing} not pushed, seed ${seed}`);
}

/** Ends threads of both kinds again and again; others take their places. */
async function endMany(options: MpmcRingOptions<ItemKind>, rounds: number): Promise<Ledger> {
  const ring = MpmcRing.create<ItemKind>({ startSeq: 0x7fff_ff00, memberCount: 5, ...options });
  const { handle } = ring;
  const seed = newSeed();
  const prng = new Prng(seed);
  const control = new SharedArrayBuffer(CONTROL_WORDS * 4);
  const words = new Int32Array(control);
  const marks = new SharedArrayBuffer(2 ** 24);
  const markWords = new Int32Array(marks);
  const ledger = new Ledger();
  const begin = (role: Job['role'], index: number): Started => {
    const hand = new SharedArrayBuffer(BATCH_MAX * 8);
    handOf(handle.item, hand).fill(-1);
    const count = 100 + prng.below(3000);
    const job = {
      role,
      handle,
      index,
      count,
      seed: seed + index,
      control,
      marks,
      hand,
      singles: 0,
      isSlow: false,
    };
    return start(job);
  };
  let born = 4;
  const running = [0, 1, 2, 3].map((index) => begin(index % 2 === 0 ? 'push' : 'pop', index));
  for (let round = 0; round < rounds; round++) {
    // Most end by themselves in the middle of a call; some are ended.
    if (round % 4 === 3) await running[prng.below(running.length)]!.worker.terminate();
    else await Promise.race(running.map(({ ended }) => ended));
    const dead = await ledger.bury(ring, running);
    for (const one of dead) running[running.indexOf(one)] = begin(one.job.role, born++);
  }
  Atomics.store(words, IS_STOPPED, 1);
  await Promise.all(running.filter(({ job }) => job.role === 'push').map(({ ended }) => ended));
  Atomics.store(words, IS_STOPPED, 2);
  await Promise.all(running.map(({ ended }) => ended));
  await ledger.bury(ring, running);
  const member: MpmcMember<ItemKind> = MpmcRing.member(handle);
  for (let item = member.tryPop(-1); item >= 0; item = member.tryPop(-1)) {
    markWords[item] = markWords[item]! + POPPED;
  }
  assert.equal(ring.used(), 0, 'nothing stands in the way');
  assert.ok(member.pushBatch(arrayFor(handle.item, handle.capacity)) === handle.capacity);
  checkMarks(words, markWords, ledger, seed);
  return ledger;
}

const RINGS: readonly MpmcRingOptions<ItemKind>[] = [
  { capacity: 4, backend: 'atomics' },
  { capacity: 4, backend: 'wasm', item: 'float64' },
  { capacity: 1024, backend: 'atomics', item: 'float64' },
  { capacity: 1024, backend: 'wasm' },
];

const ROLES = { write: writeAll, read: readAll, push: pushUntilStopped, pop: popUntilStopped };

if (!isMainThread && workerData !== null) {
  const job = workerData as Job;
  ROLES[job.role](job);
} else {
  for (const options of RINGS) {
    const { capacity, backend, item = 'int32' } = options;
    for (const pairs of [2, 4]) {
      const count = capacity < 1024 ? 1_000 : 20_000;
      test(`${pairs} x ${pairs} over ${capacity} slots of ${item}, ${backend}`, async () => {
        await passAll(options, pairs, count);
      });
    }
  }

  for (const backend of ['atomics', 'wasm'] as const) {
    test(`single items only, ${backend}`, async () => {
      await passAll({ capacity: 8, backend }, 2, 30_000, 1);
    });
  }

  for (const item of ['int32', 'float64'] as const) {
    test(`single items of ${item}, wasm, slowly`, async () => {
      await passAll({ capacity: 8, backend: 'wasm', item }, 2, 20_000, 1, true);
    });
  }

  for (const options of RINGS) {
    const { capacity, backend, item = 'int32' } = options;
    test(`threads that end at any moment: ${capacity} slots of ${item}, ${backend}`, async (t) => {
      const { answered, inHand, notPushed } = await endMany(options, 8);
      t.diagnostic(`${answered} answered, ${inHand} in hands, ${notPushed} never came`);
    });
  }
}

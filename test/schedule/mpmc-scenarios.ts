/**
 * Scenarios of MpmcRing: members that push and pop, one by one or in batches, and members that die.
 *
 * The threads do what MpmcMember does, by the same kernels; abandoning is what
 * MpmcRing.abandonMember does. At the end the ring is emptied alone: what is still in it counts,
 * and every slot must be of use again.
 */
import assert from 'node:assert/strict';
import {
  INT_ITEM_WORD,
  initMpmc,
  MEMBER_ENDED_WORD,
  MEMBER_KIND_WORD,
  MEMBER_TICKET_WORD,
  MPMC_PUSH_WORD,
  memberWord,
  mpmcWords,
  NOTE_NONE,
} from '../../src/toolkit/ring/mpmc-layout.ts';
import { insist, join, type Program, read, runAlone, store, write } from './access.ts';
import type { Scenario } from './machine.ts';
import type { KernelOptions, Kernels } from './rewrite.ts';

export const MPMC: KernelOptions = {
  modules: ['mpmc-kernel'],
  shared: ['words', 'floats'],
  pure: ['memberWord'],
};

const CAPACITY = 4;
const EMPTY = -1;
const SETTLE_AGAIN = -1;

export interface MpmcCase {
  /** Items that each pushing member pushes: [from, to]. */
  readonly pushers: readonly (readonly [from: number, to: number])[];
  /** How many items each popping member pops. */
  readonly poppers: readonly number[];
  /** Items in the ring at the start: 1 to `filled`. */
  readonly filled?: number;
  readonly startSeq?: number;
  /** Items of one claim. */
  readonly batch?: number;
  /** Where a pusher dies: pushers take "full" for an answer, and end. */
  readonly takesFull?: boolean;
}

class Rig {
  readonly words: Int32Array;
  readonly #kernels: Kernels;
  readonly #memberCount: number;
  /** Items by member, in the order in which they came. */
  popped: number[][] = [];
  /** Items by pushing member that were answered. */
  pushed: number[][] = [];
  died = 0;

  constructor(kernels: Kernels, memberCount: number) {
    this.#kernels = kernels;
    this.#memberCount = memberCount;
    const bounds = { capacity: CAPACITY, memberCount: memberCount + 1, slotShift: 1 };
    this.words = new Int32Array(new ArrayBuffer(mpmcWords(bounds) * 4));
  }

  get memory(): ArrayBuffer {
    return this.words.buffer as ArrayBuffer;
  }

  /** The last member is nobody's: it fills and empties. */
  reset({ startSeq = 0, filled = 0 }: MpmcCase): void {
    this.words.fill(0);
    const bounds = { capacity: CAPACITY, memberCount: this.#memberCount + 1, slotShift: 1 };
    initMpmc(this.words, bounds, startSeq);
    for (let item = 1; item <= filled; item++) assert.ok(this.#pushAlone(item));
    this.popped = [];
    this.pushed = [];
    this.died = 0;
  }

  #pushAlone(item: number): boolean {
    return runAlone(this.#kernels.mpmcPushInt!(this.words, this.#extraLine(), item));
  }

  #popAlone(): number {
    return runAlone(this.#kernels.mpmcPopInt!(this.words, this.#extraLine(), EMPTY));
  }

  #extraLine(): number {
    return memberWord(this.#memberCount);
  }

  *push(member: number, from: number, to: number, batch: number): Program {
    const { words } = this;
    const kernels = this.#kernels;
    const line = memberWord(member);
    const answered: number[] = [];
    this.pushed[member] = answered;
    for (let item = from; item <= to; ) {
      if (batch === 1) {
        const pushed = item;
        yield* insist(() => kernels.mpmcPushInt!(words, line, pushed), Boolean);
        answered.push(item++);
        continue;
      }
      const wanted = Math.min(batch, to - item + 1);
      const count = yield* insist(() => kernels.mpmcClaimPush!(words, line, wanted), isSome);
      const ticket = yield* read(words, line + MEMBER_TICKET_WORD);
      for (let i = 0; i < count; i++) {
        const slot = yield* kernels.mpmcSlot!(words, ticket + i);
        yield* write(words, slot + INT_ITEM_WORD, item + i, 'writes an item');
      }
      yield* kernels.mpmcPublish!(words, line);
      for (let i = 0; i < count; i++) answered.push(item++);
    }
  }

  /** One attempt. */
  *pushOnce(member: number, item: number): Program {
    const hasPushed = yield* this.#kernels.mpmcPushInt!(this.words, memberWord(member), item);
    this.pushed[member] = hasPushed ? [item] : [];
  }

  *pop(member: number, wanted: number, batch: number, last = Number.NaN): Program {
    const { words } = this;
    const kernels = this.#kernels;
    const line = memberWord(member);
    const items: number[] = [];
    this.popped[member] = items;
    while (items.length < wanted && items.at(-1) !== last) {
      if (batch === 1) {
        const pop = () => kernels.mpmcPopInt!(words, line, EMPTY);
        items.push(yield* insist(pop, (item) => item !== EMPTY));
        continue;
      }
      const most = Math.min(batch, wanted - items.length);
      const count = yield* insist(() => kernels.mpmcClaimPop!(words, line, most), isSome);
      const ticket = yield* read(words, line + MEMBER_TICKET_WORD);
      const batchItems: number[] = [];
      for (let i = 0; i < count; i++) {
        const slot = yield* kernels.mpmcSlot!(words, ticket + i);
        batchItems.push(yield* read(words, slot + INT_ITEM_WORD, 'reads an item'));
      }
      yield* kernels.mpmcRelease!(words, line);
      items.push(...batchItems);
    }
  }

  /** What the supervisor does when the thread with the number of the member has ended. */
  *abandon(member: number, { marksEnded = true } = {}): Program {
    const { words } = this;
    const line = memberWord(member);
    yield* join(member);
    if (marksEnded) yield* store(words, line + MEMBER_ENDED_WORD, 1, 'marks the member as ended');
    const settle = () => this.#kernels.mpmcSettle!(words, line);
    this.died += yield* insist(settle, (died) => died !== SETTLE_AGAIN);
    yield* store(words, line + MEMBER_KIND_WORD, NOTE_NONE, 'clears the note');
    yield* store(words, line + MEMBER_ENDED_WORD, 0, 'frees the member');
  }

  /** Empties the ring; then every slot takes an item and gives it back, twice around. */
  drain(): number[] {
    const left: number[] = [];
    for (let item = this.#popAlone(); item !== EMPTY; item = this.#popAlone()) left.push(item);
    for (let i = 0; i < 2 * CAPACITY; i += 3) {
      for (let k = 0; k < 3; k++) assert.ok(this.#pushAlone(100 + k), 'a slot is lost for writers');
      for (let k = 0; k < 3; k++) assert.equal(this.#popAlone(), 100 + k, 'a slot is lost');
    }
    for (let k = 0; k < CAPACITY; k++) assert.ok(this.#pushAlone(k), 'the ring has lost a slot');
    assert.ok(!this.#pushAlone(9), 'the ring has gained a slot');
    return left;
  }

  /** Nobody gets an item twice, and items of one member come in order to each reader. */
  checkOnce(all: readonly number[], { pushers }: MpmcCase): void {
    assert.equal(new Set(all).size, all.length, `an item came twice: ${all.join()}`);
    for (const [from, to] of pushers) {
      for (const items of this.popped) {
        const own = items?.filter((item) => item >= from && item <= to) ?? [];
        assert.deepEqual(
          own,
          [...own].sort((a, b) => a - b),
          'items of one member keep their order',
        );
      }
    }
  }
}

function isSome(count: number): boolean {
  return count > 0;
}

function rangeOf([from, to]: readonly [number, number]): number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function itemsOf({ pushers, filled = 0 }: MpmcCase): number[] {
  return [...rangeOf([1, filled]), ...pushers.flatMap(rangeOf)];
}

function sorted(items: readonly number[]): number[] {
  return [...items].sort((a, b) => a - b);
}

/** Threads 0.. are the pushers, then the poppers; all live. */
export function crowd(kernels: Kernels, spec: MpmcCase): Scenario {
  const { pushers, poppers, batch = 1 } = spec;
  const rig = new Rig(kernels, pushers.length + poppers.length);
  return () => {
    rig.reset(spec);
    const threads: Record<string, Program> = {};
    for (const [i, [from, to]] of pushers.entries()) {
      threads[`pusher ${i}`] = rig.push(i, from, to, batch);
    }
    for (const [i, wanted] of poppers.entries()) {
      threads[`popper ${i}`] = rig.pop(pushers.length + i, wanted, batch);
    }
    const check = () => {
      const all = [...rig.popped.flat(), ...rig.drain()];
      rig.checkOnce(all, spec);
      assert.deepEqual(sorted(all), sorted(itemsOf(spec)), 'every item is there');
    };
    return { memory: rig.memory, threads, check };
  };
}

/**
 * Pusher 0 dies; a popper goes on to the last item of the living pusher, past what the dead one has
 * left. What was answered is there; what is not there was answered as died.
 */
export function pusherDies(kernels: Kernels, spec: MpmcCase): Scenario {
  const { pushers, batch = 1 } = spec;
  const rig = new Rig(kernels, 3);
  const isPopping = spec.poppers.length > 0;
  const [dying, living] = pushers as readonly [
    readonly [number, number],
    readonly [number, number],
  ];
  return () => {
    rig.reset(spec);
    const before = rig.words[MPMC_PUSH_WORD]!;
    const threads = {
      dying: spec.takesFull === true ? rig.pushOnce(0, dying[0]) : rig.push(0, ...dying, batch),
      living: spec.takesFull === true ? rig.pushOnce(1, living[0]) : rig.push(1, ...living, batch),
      supervisor: rig.abandon(0),
      ...(isPopping && { popper: rig.pop(2, Number.POSITIVE_INFINITY, batch, living[1]) }),
    };
    const check = () => {
      const taken = (rig.words[MPMC_PUSH_WORD]! - before) | 0;
      const all = [...rig.popped.flat(), ...rig.drain()];
      rig.checkOnce(all, spec);
      for (const item of [...rig.pushed.flat(), ...rangeOf([1, spec.filled ?? 0])]) {
        assert.ok(all.includes(item), `item ${item} is lost`);
      }
      const came = all.length - (spec.filled ?? 0);
      assert.equal(came + rig.died, taken, 'what did not come was answered as died');
    };
    return { memory: rig.memory, threads, check };
  };
}

/** Popper 0 dies; a pusher and another popper need the slots that it held. */
export function popperDies(kernels: Kernels, spec: MpmcCase): Scenario {
  const { pushers, poppers, batch = 1 } = spec;
  const rig = new Rig(kernels, 3);
  const [from, to] = pushers[0]!;
  return () => {
    rig.reset(spec);
    const threads = {
      dying: rig.pop(0, poppers[0]!, batch),
      pusher: rig.push(1, from, to, batch),
      supervisor: rig.abandon(0),
      ...(poppers.length > 1 && { popper: rig.pop(2, poppers[1]!, batch) }),
    };
    const check = () => {
      const all = [...rig.popped.flat(), ...rig.drain()];
      rig.checkOnce(all, spec);
      const lost = itemsOf(spec).length - all.length - rig.died;
      // What it had popped, and given the slot of up, it has not told anybody.
      assert.ok(lost === 0 || (lost <= batch && rig.died < batch), `${lost} items are lost`);
    };
    return { memory: rig.memory, threads, check };
  };
}

/** Both pushers die at the same tickets; one supervisor abandons them one after the other. */
export function bothDie(kernels: Kernels, spec: MpmcCase): Scenario {
  const { pushers, batch = 1 } = spec;
  const rig = new Rig(kernels, 3);
  function* abandonBoth(): Program {
    yield* join(0);
    yield* join(1);
    yield* store(rig.words, memberWord(0) + MEMBER_ENDED_WORD, 1, 'marks member 0 as ended');
    yield* store(rig.words, memberWord(1) + MEMBER_ENDED_WORD, 1, 'marks member 1 as ended');
    yield* rig.abandon(0, { marksEnded: false });
    yield* rig.abandon(1, { marksEnded: false });
  }
  return () => {
    rig.reset(spec);
    const threads = {
      dying: rig.push(0, pushers[0]![0], pushers[0]![1], batch),
      other: rig.push(1, pushers[1]![0], pushers[1]![1], batch),
      supervisor: abandonBoth(),
    };
    const check = () => {
      const all = rig.drain();
      rig.checkOnce(all, spec);
      for (const item of rig.pushed.flat()) assert.ok(all.includes(item), `item ${item} is lost`);
    };
    return { memory: rig.memory, threads, check };
  };
}

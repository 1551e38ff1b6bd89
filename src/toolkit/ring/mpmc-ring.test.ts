import assert from 'node:assert/strict';
import { test } from 'node:test';
import { threadId } from 'node:worker_threads';
import { Prng } from '../base/prng.ts';
import { mpmcClaimPop, mpmcClaimPush, mpmcNote, mpmcPublish, mpmcSlot } from './mpmc-kernel.ts';
import {
  MEMBER_KIND_WORD,
  MEMBER_ROLE_WORD,
  MEMBER_TICKET_WORD,
  memberWord,
  NOTE_NONE,
  NOTE_POP,
  NOTE_PUSH,
} from './mpmc-layout.ts';
import { ABANDON_AGAIN, MpmcRing, type MpmcRingOptions } from './mpmc-ring.ts';
import { MPMC_WAT } from './mpmc-wasm.ts';
import type { ItemKind, SlotArrays } from './spsc-handle.ts';

const STARTS = [0, 0x7fff_fffe, 0xffff_fffd];
const BACKENDS = ['atomics', 'wasm'] as const;
const KINDS = ['int32', 'float64'] as const;

function open<Kind extends ItemKind = 'int32'>(options: MpmcRingOptions<Kind>) {
  const ring = MpmcRing.create<Kind>({ memberCount: 4, ...options });
  const words = new Int32Array(ring.handle.memory.buffer);
  const first = MpmcRing.member(ring.handle);
  const second = MpmcRing.member(ring.handle);
  return { ring, words, first, second };
}

type Opened = ReturnType<typeof open<ItemKind>>;

/** Every mixture of backend, kind of items and start near a wrap. */
function eachRing(capacity: number, run: (opened: Opened, name: string) => void): void {
  for (const backend of BACKENDS) {
    for (const item of KINDS) {
      for (const startSeq of STARTS) {
        const opened = open<ItemKind>({ capacity, backend, item, startSeq });
        run(opened, `${backend} ${item} from ${startSeq}`);
      }
    }
  }
}

function arrayFor(item: ItemKind, length: number): SlotArrays[ItemKind] {
  return item === 'int32' ? new Int32Array(length) : new Float64Array(length);
}

function items(item: ItemKind, from: number, to: number): SlotArrays[ItemKind] {
  return arrayFor(item, to - from).map((_, index) => from + index);
}

test('full and empty are answers, at every capacity, at every start near the wraps', () => {
  for (const capacity of [4, 8, 1024]) {
    eachRing(capacity, ({ ring, first, second }, name) => {
      for (let lap = 0; lap < 3; lap++) {
        assert.ok(Number.isNaN(second.tryPop()), name);
        assert.equal(first.tryPop(-7), -7, name);
        for (let value = 0; value < capacity; value++) {
          assert.ok((value % 2 === 0 ? first : second).tryPush(value), name);
        }
        assert.ok(!first.tryPush(99) && !second.tryPush(99), name);
        assert.equal(first.pushBatch(arrayFor(ring.handle.item, 2)), 0, name);
        assert.deepEqual([ring.used(), first.used()], [capacity, capacity], name);
        for (let value = 0; value < capacity; value++) {
          assert.equal((value % 3 === 0 ? first : second).tryPop(), value, name);
        }
        assert.equal(second.popBatch(arrayFor(ring.handle.item, 2)), 0, name);
        assert.equal(ring.used(), 0, name);
      }
    });
  }
});

test('items keep their value: the ends of int32, and float64 with NaN', () => {
  for (const backend of BACKENDS) {
    const ints = open({ capacity: 4, backend });
    const intBatch = Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31));
    for (const value of intBatch) {
      assert.ok(ints.first.tryPush(value));
      assert.equal(ints.second.tryPop(), value);
    }
    assert.equal(ints.first.pushBatch(intBatch), 4);
    const intsBack = new Int32Array(4);
    assert.equal(ints.second.popBatch(intsBack), 4);
    assert.deepEqual(intsBack, intBatch);
    const floats = open({ capacity: 4, backend, item: 'float64' });
    const batch = Float64Array.of(0.1, -0, 2 ** 53, Number.NaN);
    for (const value of batch) {
      assert.ok(floats.first.tryPush(value));
      assert.ok(Object.is(floats.second.tryPop(-1), value));
    }
    assert.equal(floats.first.pushBatch(batch), 4);
    const back = new Float64Array(4);
    assert.equal(floats.second.popBatch(back), 4);
    assert.deepEqual(back, batch);
  }
});

test('a batch takes what there is, wraps, and leaves the rest of the arrays alone', () => {
  for (const capacity of [4, 64]) {
    eachRing(capacity, ({ ring, first, second }, name) => {
      const { item } = ring.handle;
      assert.equal(first.pushBatch(items(item, 0, 3), 1, 3), 2, name);
      assert.equal(second.tryPop(), 1, name);
      const more = items(item, 3, 3 + 2 * capacity);
      assert.equal(second.pushBatch(more), capacity - 1, name);
      assert.equal(first.pushBatch(more, 0, 0), 0, name);
      assert.equal(first.pushBatch(more, 2, 1), 0, name);
      const into = arrayFor(item, 2 * capacity + 2).fill(-1);
      assert.equal(first.popBatch(into, 1, 1), 0, name);
      assert.equal(first.popBatch(into, 1, 1 + 2 * capacity), capacity, name);
      assert.deepEqual([...into.subarray(0, 3)], [-1, 2, 3], name);
      assert.deepEqual([...into.subarray(capacity, capacity + 2)], [capacity + 1, -1], name);
      assert.equal(ring.used(), 0, name);
    });
  }
});

/** Random calls of all methods against a plain array. */
function walk({ ring, first, second }: Opened, prng: Prng, name: string): void {
  const { item, capacity } = ring.handle;
  const expected: number[] = [];
  let pushed = 0;
  for (let step = 0; step < 500; step++) {
    const member = prng.chance(0.5) ? first : second;
    const count = 1 + prng.below(capacity + 2);
    const kind = prng.below(4);
    if (kind === 0) {
      const isPushed = member.tryPush(pushed);
      assert.equal(isPushed, expected.length < capacity, name);
      if (isPushed) expected.push(pushed++);
    } else if (kind === 1) {
      const got = member.pushBatch(items(item, pushed, pushed + count));
      assert.equal(got, Math.min(count, capacity - expected.length), name);
      for (let i = 0; i < got; i++) expected.push(pushed++);
    } else if (kind === 2) {
      assert.equal(member.tryPop(-1), expected.shift() ?? -1, name);
    } else {
      const into = arrayFor(item, count + 2);
      const got = member.popBatch(into, 1, 1 + count);
      assert.deepEqual([...into.subarray(1, 1 + got)], expected.splice(0, count), name);
    }
    assert.equal(ring.used(), expected.length, name);
  }
}

test('a random walk of all methods: every item once, in order', (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  t.diagnostic(`seed ${seed}`);
  const prng = new Prng(seed);
  for (const capacity of [4, 16, 256]) {
    eachRing(capacity, (opened, name) => walk(opened, prng, `${name} seed ${seed}`));
  }
});

test('both backends work on one ring at one time', () => {
  const { ring, first } = open({ capacity: 4, backend: 'wasm' });
  const other = MpmcRing.member({ ...ring.handle, backend: 'atomics' });
  for (let value = 0; value < 40; value += 2) {
    assert.ok(first.tryPush(value));
    assert.equal(other.pushBatch(Int32Array.of(value + 1)), 1);
    assert.equal(other.tryPop(), value);
    assert.equal(first.tryPop(), value + 1);
  }
});

test('places: one holder each, as many as there are, given back and taken again', () => {
  const { ring, first, second } = open({ capacity: 4, memberCount: 3 });
  assert.deepEqual([first.index, second.index], [0, 1]);
  const third = MpmcRing.member(ring.handle);
  assert.equal(third.index, 2);
  assert.equal(MpmcRing.tryMember(ring.handle), null);
  assert.throws(() => MpmcRing.member(ring.handle), { code: 'MR_ASSERT' });
  assert.deepEqual([ring.memberState(1), ring.memberThread(1)], ['held', threadId]);
  second.close();
  assert.deepEqual([ring.memberState(1), ring.memberThread(1)], ['closed', -1]);
  assert.equal(ring.abandonMember(1), 0, 'nobody holds it');
  assert.equal(MpmcRing.member(ring.handle).index, 1);
  assert.equal(ring.abandonMember(0), 0);
  assert.equal(ring.memberState(0), 'abandoned');
  assert.equal(MpmcRing.member(ring.handle).index, 0);
  assert.equal(MpmcRing.create({ capacity: 4 }).memberState(0), 'free');
});

test('a place by its number: the same for one thread, none that another thread has', () => {
  const { ring, words, first } = open({ capacity: 4 });
  const again = MpmcRing.memberAt(ring.handle, first.index)!;
  assert.ok(first.tryPush(1) && again.tryPush(2));
  assert.deepEqual([again.tryPop(), first.tryPop()], [1, 2]);
  assert.equal(MpmcRing.memberAt(ring.handle, 3)!.index, 3);
  assert.equal(MpmcRing.member(ring.handle).index, 2);
  words[memberWord(first.index)] = threadId + 2;
  assert.equal(MpmcRing.memberAt(ring.handle, first.index), null);
  assert.throws(() => MpmcRing.memberAt(ring.handle, 4), { code: 'MR_ASSERT' });
});

test('a writer that died before it published leaves holes, which readers pass', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    second.tryPush(1);
    assert.equal(mpmcClaimPush(words, memberWord(first.index), 2), 2);
    second.tryPush(2);
    assert.equal(ring.used(), 4, name);
    assert.ok(!second.tryPush(3), name);
    assert.equal(second.tryPop(), 1, name);
    assert.equal(second.tryPop(-1), -1, 'what stands behind the dead one is not seen yet');
    assert.equal(ring.abandonMember(first.index), 2, name);
    assert.equal(ring.abandonMember(first.index), 0, 'it is settled once');
    const into = arrayFor(ring.handle.item, 4);
    assert.equal(second.popBatch(into), 1, name);
    assert.equal(into[0], 2, name);
    assert.equal(second.tryPop(-1), -1, name);
    for (let value = 3; value < 11; value++) {
      assert.ok(second.tryPush(value), name);
      assert.equal(second.tryPop(), value, name);
    }
  });
});

test('single items pass holes too, and holes at the end are no items', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    mpmcClaimPush(words, memberWord(first.index), 1);
    second.tryPush(5);
    const other = MpmcRing.member(ring.handle);
    mpmcClaimPush(words, memberWord(other.index), 2);
    assert.equal(ring.abandonMember(first.index), 1, name);
    assert.equal(ring.abandonMember(other.index), 2, name);
    assert.equal(second.tryPop(), 5, name);
    assert.equal(second.tryPop(-1), -1, name);
    assert.equal(ring.used(), 0, 'holes are passed');
    assert.equal(second.pushBatch(items(ring.handle.item, 0, 4)), 4, name);
  });
});

test('of a batch that was published in part, the published part stays', () => {
  eachRing(8, ({ ring, words, first, second }, name) => {
    const line = memberWord(first.index);
    second.tryPush(1);
    assert.equal(first.pushBatch(items(ring.handle.item, 10, 14)), 4, name);
    // As if it had died before the seqs of the first two slots were stored.
    const ticket = words[line + MEMBER_TICKET_WORD]!;
    for (const at of [0, 1]) words[mpmcSlot(words, ticket + at)] = ticket + at;
    assert.equal(ring.abandonMember(first.index), 2, name);
    const into = arrayFor(ring.handle.item, 8);
    assert.equal(second.popBatch(into), 1, 'a batch ends before a hole');
    assert.equal(second.popBatch(into), 2, name);
    assert.deepEqual([...into.subarray(0, 2)], [12, 13], name);
  });
});

test('what a reader had taken when it died is lost, and answered; its slots are free', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    assert.equal(second.pushBatch(items(ring.handle.item, 0, 4)), 4, name);
    assert.equal(mpmcClaimPop(words, memberWord(first.index), 3), 3);
    assert.equal(second.tryPop(), 3, name);
    assert.ok(!second.tryPush(4), name);
    assert.equal(ring.abandonMember(first.index), 3, name);
    assert.equal(second.pushBatch(items(ring.handle.item, 4, 8)), 4, name);
    assert.equal(second.tryPop(), 4, name);
  });
});

test('a reader that died while it passed a hole loses no item', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    mpmcClaimPush(words, memberWord(first.index), 1);
    assert.equal(ring.abandonMember(first.index), 1, name);
    const reader = MpmcRing.member(ring.handle);
    second.tryPush(7);
    const line = memberWord(reader.index);
    mpmcClaimPop(words, line, 1);
    const ticket = words[line + MEMBER_TICKET_WORD]! - 1;
    // Back to the moment between its compare-and-swap and its store.
    words[mpmcSlot(words, ticket)] = ticket + 2;
    words[mpmcSlot(words, ticket + 1)] = ticket + 5;
    mpmcNote(words, line, NOTE_POP, ticket, 1);
    assert.equal(ring.abandonMember(reader.index), 0, name);
    assert.equal(words[mpmcSlot(words, ticket)], (ticket + 4) | 0, name);
    for (let value = 0; value < 4; value++) assert.ok(second.tryPush(value), name);
  });
});

test('a ticket that a running member names too: not settled before that has moved on', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    const dead = memberWord(first.index);
    const live = memberWord(second.index);
    // The dead one lost the race for the ticket, and had not cleared its note.
    assert.equal(mpmcClaimPush(words, live, 2), 2, name);
    mpmcNote(words, dead, NOTE_PUSH, words[live + MEMBER_TICKET_WORD]! - 1, 2);
    assert.equal(ring.abandonMember(first.index), ABANDON_AGAIN, name);
    assert.equal(ring.memberState(first.index), 'held', name);
    mpmcPublish(words, live);
    assert.equal(ring.abandonMember(first.index), 0, 'the running one had it');
    assert.equal(second.popBatch(arrayFor(ring.handle.item, 4)), 2, name);

    const third = MpmcRing.member(ring.handle);
    const winner = memberWord(third.index);
    // The dead one won it, and the running one has not cleared its note yet.
    assert.equal(mpmcClaimPush(words, winner, 2), 2, name);
    mpmcNote(words, live, NOTE_PUSH, words[winner + MEMBER_TICKET_WORD]! + 1, 3);
    assert.equal(ring.abandonMember(third.index), ABANDON_AGAIN, name);
    words[live + MEMBER_KIND_WORD] = NOTE_NONE;
    assert.equal(ring.abandonMember(third.index), 2, 'the dead one had it');
    assert.equal(second.tryPop(-1), -1, name);
    assert.equal(ring.used(), 0, name);
  });
});

test('the same for readers', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    const dead = memberWord(first.index);
    const live = memberWord(second.index);
    second.pushBatch(items(ring.handle.item, 0, 4));
    assert.equal(mpmcClaimPop(words, live, 1), 1, name);
    mpmcNote(words, dead, NOTE_POP, words[live + MEMBER_TICKET_WORD]!, 1);
    assert.equal(ring.abandonMember(first.index), ABANDON_AGAIN, name);
    // A note of the other kind says nothing about it.
    words[live + MEMBER_KIND_WORD] = NOTE_PUSH;
    assert.equal(ring.abandonMember(first.index), 1, name);
    assert.ok(second.tryPush(4), 'its slot is free');
  });
});

test('two dead ones at one ticket: settled when both are known to be dead', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    const loser = memberWord(first.index);
    const winner = memberWord(second.index);
    assert.equal(mpmcClaimPush(words, winner, 3), 3, name);
    mpmcNote(words, loser, NOTE_PUSH, words[winner + MEMBER_TICKET_WORD]!, 1);
    assert.equal(ring.abandonMember(first.index), ABANDON_AGAIN, name);
    assert.equal(ring.abandonMember(second.index), 3, name);
    assert.equal(ring.abandonMember(first.index), 0, name);
    assert.deepEqual([ring.memberState(0), ring.memberState(1)], ['abandoned', 'abandoned']);
    const third = MpmcRing.member(ring.handle);
    assert.equal(third.pushBatch(items(ring.handle.item, 0, 4)), 1, 'holes count until passed');
    assert.equal(third.tryPop(), 0, name);
  });
});

test('a stale note settles nothing, and a note that never became a claim neither', () => {
  eachRing(4, ({ ring, words, first, second }, name) => {
    const line = memberWord(first.index);
    for (let value = 0; value < 9; value++) {
      assert.ok(first.tryPush(value), name);
      if (value < 8) assert.equal(first.tryPop(), value, name);
    }
    const ticket = words[line + MEMBER_TICKET_WORD]!;
    // Died before its compare-and-swap, and one that names more than was taken.
    mpmcNote(words, line, NOTE_PUSH, ticket + 1, 2);
    assert.equal(ring.abandonMember(first.index), 0, name);
    const next = MpmcRing.member(ring.handle);
    mpmcNote(words, memberWord(next.index), NOTE_POP, ticket, 3);
    assert.equal(ring.abandonMember(next.index), 0, name);
    assert.equal(second.tryPop(), 8, name);
    assert.equal(second.pushBatch(items(ring.handle.item, 0, 5)), 4, name);
  });
});

test('what is no ring is refused', () => {
  assert.throws(() => MpmcRing.create({ capacity: 2 }), { code: 'MR_ASSERT' });
  assert.throws(() => MpmcRing.create({ capacity: 6 }), { code: 'MR_ASSERT' });
  assert.throws(() => MpmcRing.create({ capacity: 4, memberCount: 0 }), { code: 'MR_ASSERT' });
  assert.throws(() => MpmcRing.create({ capacity: 4, memberCount: 1.5 }), { code: 'MR_ASSERT' });
});

test('a memory without WebAssembly has Atomics', () => {
  const { handle } = MpmcRing.create({ capacity: 4, backend: 'wasm' });
  const buffer = new SharedArrayBuffer(handle.memory.buffer.byteLength);
  new Int32Array(buffer).set(new Int32Array(handle.memory.buffer));
  const member = MpmcRing.member({ ...handle, memory: { buffer } });
  assert.ok(member.tryPush(3));
  assert.equal(member.tryPop(), 3);
});

test('WebAssembly stores items plainly, and nothing else: others load the rest at any time', () => {
  const plain = MPMC_WAT.match(/\(\w+\.store\s+(?:offset=\d+\s+)?\(local\.get \$\w+\)/gu);
  assert.deepEqual(plain, [
    '(i32.store offset=4 (local.get $slot)',
    '(f64.store offset=8 (local.get $slot)',
  ]);
  assert.equal(MPMC_WAT.match(/(?:i32|f64)\.store/gu)?.length, 2);
});

test('a member that is closed twice takes nothing from the next one of its place', () => {
  const { words, first } = open({ capacity: 4 });
  const line = memberWord(first.index);
  first.close();
  first.close();
  words[line + MEMBER_ROLE_WORD] = threadId + 2;
  words[line + MEMBER_KIND_WORD] = NOTE_PUSH;
  assert.throws(() => first.close(), /only the holder/u);
  assert.equal(words[line + MEMBER_KIND_WORD], NOTE_PUSH, 'the note of who has the place now');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Access,
  ADD,
  COMPARE_EXCHANGE,
  insist,
  join,
  load,
  NOTIFY,
  type Program,
  read,
  store,
  WAIT,
  type Words,
  write,
} from './access.ts';
import { type ExploreOptions, explore, exploreDeaths } from './explore.ts';
import type { Scenario } from './machine.ts';
import { assertFound, assertHolds } from './verdict.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

const PLACE = { where: 'test', text: 'atomic' };

function* atomic(
  op: number,
  array: Words,
  index: number,
  value: number,
  replacement = 0,
): Program<number> {
  return yield { op, array, index, value, replacement, place: PLACE } satisfies Access;
}

const MEMORY = new ArrayBuffer(64);
const WORDS = new Int32Array(MEMORY);

function scenario(
  threads: Readonly<Record<string, (words: Int32Array) => Program<unknown>>>,
  check: () => void = () => {},
): Scenario {
  return () => {
    WORDS.fill(0);
    const made = Object.entries(threads).map(([name, body]) => [name, body(WORDS)] as const);
    return { memory: MEMORY, threads: Object.fromEntries(made), check };
  };
}

/** All pairs that a litmus test of two threads ends with. */
function outcomes(
  left: (words: Int32Array) => Program<number>,
  right: (words: Int32Array) => Program<number>,
  options: ExploreOptions = {},
): string[] {
  const seen = new Set<string>();
  let pair: [number, number] = [-1, -1];
  const made = scenario(
    {
      *left(words) {
        pair[0] = yield* left(words);
      },
      *right(words) {
        pair[1] = yield* right(words);
      },
    },
    () => {
      seen.add(pair.join());
      pair = [-1, -1];
    },
  );
  const { violation } = explore(made, options);
  assert.equal(violation, null);
  return [...seen].sort();
}

function* storeThenLoad(words: Int32Array, mine: number, theirs: number): Program<number> {
  yield* store(words, mine, 1);
  return yield* load(words, theirs);
}

test('store buffering: all outcomes of sequential consistency, and no other', () => {
  for (const options of [{}, { preemptions: 2 }, { random: { runs: 500, seed: SEED } }]) {
    const found = outcomes(
      (words) => storeThenLoad(words, 0, 1),
      (words) => storeThenLoad(words, 1, 0),
      options,
    );
    assert.deepEqual(found, ['0,1', '1,0', '1,1'], `seed ${SEED}`);
  }
});

test('two additions that are not atomic lose one; atomic ones do not', (t) => {
  function* addBadly(words: Int32Array): Program {
    const before = yield* load(words, 0);
    yield* store(words, 0, before + 1);
  }
  const both = () => assert.equal(WORDS[0], 2, 'a lost addition');
  assertFound(t, explore(scenario({ a: addBadly, b: addBadly }, both)), /a lost addition/);
  const add = (words: Int32Array) => atomic(ADD, words, 0, 1);
  assertHolds(t, explore(scenario({ a: add, b: add }, both)));
});

test('a race is found where no value shows it, and both places are told', (t) => {
  const publish = (flag: typeof store) =>
    function* (words: Int32Array): Program {
      yield* write(words, 4, 9, 'writes the item');
      yield* flag(words, 0, 1);
    };
  function* take(words: Int32Array): Program {
    yield* insist(() => load(words, 0), Boolean);
    assert.equal(yield* read(words, 4, 'reads the item'), 9);
  }
  assertHolds(t, explore(scenario({ a: publish(store), b: take })));
  const racing = explore(scenario({ a: publish(write), b: take }));
  assertFound(t, racing, /^race: a .* writes and b .* loads/);
});

test('a store does not hand on what another store has released', (t) => {
  function* first(words: Int32Array): Program {
    yield* write(words, 4, 9, 'writes the item');
    yield* store(words, 0, 1);
  }
  function* second(words: Int32Array): Program {
    yield* store(words, 0, 2);
  }
  function* third(words: Int32Array): Program {
    if ((yield* load(words, 0)) > 0) yield* read(words, 4, 'reads the item');
  }
  assertFound(t, explore(scenario({ first, second, third })), /^race: .*writes the item/);
});

test('a thread that waits for ever is found, and one that goes round for ever', (t) => {
  const stuck = scenario({ a: (words) => insist(() => load(words, 0), Boolean), *b() {} });
  assertFound(t, explore(stuck), /waits for ever: a/);
  const around = scenario({
    *a(words) {
      for (;;) yield* load(words, 0);
    },
    b: (words) => store(words, 0, 1),
  });
  assertFound(t, explore(around), /no end in sight/);
});

test('a wake-up is lost when the flag is set after the last look', (t) => {
  const sleeper = (isCareful: boolean) =>
    function* (words: Int32Array): Program {
      if (isCareful) yield* store(words, 1, 1);
      while ((yield* load(words, 0)) === 0) {
        if (!isCareful) yield* store(words, 1, 1);
        yield* atomic(WAIT, words, 1, 1, Number.POSITIVE_INFINITY);
      }
    };
  function* waker(words: Int32Array): Program {
    yield* store(words, 0, 1);
    if ((yield* load(words, 1)) === 0) return;
    yield* store(words, 1, 0);
    yield* atomic(NOTIFY, words, 1, 1);
  }
  assertFound(t, explore(scenario({ a: sleeper(false), waker })), /waits for ever: a/);
  assertHolds(t, explore(scenario({ a: sleeper(true), waker })));
});

test('a thread dies before each of its accesses, and at its end; then it is joined', (t) => {
  const seen = new Set<number>();
  function* dying(words: Int32Array): Program {
    for (let i = 1; i <= 3; i++) yield* store(words, 0, i);
  }
  function* supervisor(words: Int32Array): Program {
    yield* join(0);
    seen.add(yield* read(words, 0));
  }
  assertHolds(t, exploreDeaths(scenario({ dying, supervisor }), [0]));
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    [0, 1, 2, 3],
  );
});

/** A small program by chance: accesses of three words, CAS and waits among them. */
function chanceProgram(random: () => number): (words: Int32Array) => Program<number> {
  const pick = (count: number) => Math.floor(random() * count);
  const lines = Array.from({ length: 1 + pick(3) }, () => [pick(5), pick(3), 1 + pick(2)] as const);
  return function* (words) {
    let seen = 0;
    for (const [kind, word, value] of lines) {
      if (kind === 0) yield* store(words, word, value);
      else if (kind === 1) seen = seen * 4 + (yield* load(words, word));
      else if (kind === 2) seen = seen * 4 + (yield* atomic(ADD, words, word, 1));
      else if (kind === 3)
        seen = seen * 4 + (yield* atomic(COMPARE_EXCHANGE, words, word, 0, value));
      else {
        // Waits for either of two words, but not for ever.
        let tries = 0;
        yield* insist(
          function* () {
            const [a, b] = [yield* load(words, word), yield* load(words, 3)];
            seen = seen * 4 + a + b;
            tries += 1;
            return a + b;
          },
          (sum) => sum > 0 || tries > 2,
        );
      }
    }
    return seen;
  };
}

/** Every outcome of the threads and of memory; a schedule that is stuck is an outcome as well. */
function allOutcomes(
  bodies: readonly ((words: Int32Array) => Program<number>)[],
  options: ExploreOptions,
): { outcomes: string[]; schedules: number } {
  const seen = new Set<string>();
  const results: number[] = [];
  const threads = bodies.map((body, i) => {
    const thread = function* (words: Int32Array): Program {
      results[i] = -1;
      results[i] = yield* body(words);
    };
    return [`t${i}`, thread] as const;
  });
  // Nobody waits for ever: in the end the last thread stores what all wait for.
  const last = function* (words: Int32Array): Program {
    yield* store(words, 3, 1);
  };
  const made = scenario({ ...Object.fromEntries(threads), last }, () => {
    seen.add(`${results.join()} ${WORDS.slice(0, 4).join()}`);
  });
  const { violation, schedules } = explore(made, options);
  assert.equal(violation, null);
  return { outcomes: [...seen].sort(), schedules };
}

test('reduced exploration has every outcome of brute force, in programs by chance', (t) => {
  let state = SEED;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
  let [compared, reduced, brute] = [0, 0, 0];
  for (let i = 0; compared < 24; i++) {
    const bodies = Array.from({ length: 2 + (i % 2) }, () => chanceProgram(random));
    const full = allOutcomes(bodies, {});
    // A program that is too large for brute force is no use here.
    const all = allOutcomes(bodies, { preemptions: 99, schedulesMax: 1000 });
    if (all.schedules > 1000) continue;
    compared += 1;
    assert.deepEqual(full.outcomes, all.outcomes, `seed ${SEED}, program ${i}`);
    reduced += full.schedules;
    brute += all.schedules;
  }
  t.diagnostic(`seed ${SEED}: ${reduced} schedules instead of ${brute}`);
  assert.ok(reduced < brute);
});

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { driftOf, hashesOf, MIRRORED, readHashes, recordedHashes } from './model/mirrored.ts';
import { MODELS, MPMC } from './model/models.ts';
import { missedProbes, missingTools, runSearch } from './model/run.ts';
import { faultOfClean, faultOfSeeded, parseSearch } from './model/spin-output.ts';

const HEAD = `
(Spin Version 6.5.2 -- 6 December 2019)
	+ Partial Order Reduction

Full statespace search for:
	never claim         	- (none specified)
	assertion violations	+
	cycle checks       	- (disabled by -DSAFETY)
	invalid end states	+
`;

/** As recorded, with other counts of errors and states. */
function numbers(errors: number, states: string): string {
  return `
State-vector 128 byte, depth reached 78, errors: ${errors}
   ${states} states, stored
  1445342 states, matched
  2120306 transitions (= stored+matched)
       11 atomic steps
hash conflicts:     12669 (resolved)

Stats on memory usage (in Megabytes):
  100.417	equivalent memory usage for states (stored*(State-vector + overhead))
   87.463	actual memory usage for states (compression: 87.10%)
         	state-vector as stored = 108 byte + 28 byte overhead
  128.000	memory used for hash table (-w24)
    1.068	memory used for DFS stack (-m20000)
  216.373	total actual memory usage

`;
}

const UNREACHED = `
unreached in proctype Member
	mpmc.pml:203, state 38, "assert(0)"
	(1 of 252 states)
unreached in init
	(0 of 32 states)

pan: elapsed time 7.9 seconds
`;

const CLEAN = `reached: full\nreached: hole passed\n${HEAD}${numbers(0, '674964')}${UNREACHED}`;
const ASSERTION = `pan:1: assertion violated (owner[(p%4)]==0) (at depth 34)
pan: wrote mpmc.pml.trail
${HEAD.replace('\n\t+', '\nWarning: Search not completed\n\t+')}${numbers(1, '10766')}`;
const STUCK = ASSERTION.replace(/assertion.*\(at/, 'invalid end state (at');
const TOO_DEEP = `error: max search depth too small\n${HEAD}${numbers(0, '1094')}`;
const NO_MEMORY = `pan: reached -DMEMLIM bound
	1.57251e+08 bytes used
${HEAD.replace('\n\t+', '\nWarning: Search not completed\n\t+')}${numbers(0, '161205')}`;

describe('what a search prints', () => {
  test('all states and no error', () => {
    const result = parseSearch(CLEAN);
    assert.deepEqual(result, {
      errors: 0,
      error: null,
      states: 674_964,
      depth: 78,
      memoryMegabytes: 216.373,
      cutShort: null,
      unreached: ['Member: mpmc.pml:203, state 38, "assert(0)"'],
      reached: ['full', 'hole passed'],
    });
    assert.equal(faultOfClean(result), null);
    assert.match(faultOfSeeded(result) ?? '', /was not found/);
  });

  test('an assertion, a state in which nothing can go on', () => {
    for (const [text, error] of [
      [ASSERTION, 'assertion violated (owner[(p%4)]==0)'],
      [STUCK, 'invalid end state'],
    ] as const) {
      const result = parseSearch(text);
      assert.equal(result.error, error);
      assert.equal(faultOfSeeded(result), null);
      assert.equal(faultOfClean(result), `error: ${error}`);
    }
  });

  test('a search that was cut short proves nothing', () => {
    for (const text of [TOO_DEEP, NO_MEMORY]) {
      const result = parseSearch(text);
      assert.equal(result.errors, 0);
      assert.match(faultOfClean(result) ?? '', /not exhaustive/);
      assert.match(faultOfSeeded(result) ?? '', /was not found/);
    }
    assert.match(faultOfClean(parseSearch(HEAD + numbers(0, '0'))) ?? '', /no states/);
  });

  test('an error that the models do not raise is not the planted bug', () => {
    const other = ASSERTION.replace(/assertion violated.*\(at/, 'VECTORSZ too small (at');
    assert.match(faultOfSeeded(parseSearch(other)) ?? '', /another kind/);
  });

  test('what is not understood is an error', () => {
    assert.throws(() => parseSearch(''), /has no/);
    assert.throws(() => parseSearch(HEAD), /has no/);
    assert.throws(() => parseSearch(CLEAN.replace('total actual', 'total')), /has no memory/);
  });
});

test('every bug names a run, every name is there once', () => {
  for (const { runs, bugs, probes } of MODELS) {
    const names = new Set(runs.map(({ name }) => name));
    assert.equal(names.size, runs.length);
    assert.equal(new Set(bugs.map(({ name }) => name)).size, bugs.length);
    assert.equal(new Set(probes).size, probes.length);
    for (const { run } of bugs) assert.ok(names.has(run), run);
  }
});

describe('models and scenarios repeat the code as it is', () => {
  const CODE = `import { WORD } from './layout.js';
    const AT = WORD;
    export function load(words) { return Atomics.load(words, AT); }
    export class Ring {
      #words;
      get used() { return load(this.#words); }
    }`;

  test('a hash for each function, one for the rest; blanks and comments do not count', () => {
    const hashes = hashesOf(CODE);
    assert.deepEqual(Object.keys(hashes).sort(), ['Ring.#words', 'Ring.used', 'constants', 'load']);
    const spread = CODE.replaceAll(', ', ',\n').replace('Atomics', '/* a\n */ Atomics');
    assert.deepEqual(hashesOf(spread), hashes);
    const changed = hashesOf(CODE.replace('Atomics.load', 'Atomics.add'));
    assert.notEqual(changed.load, hashes.load);
    assert.equal(changed['Ring.used'], hashes['Ring.used']);
    assert.notEqual(hashesOf(CODE.replace('= WORD', '= 2')).constants, hashes.constants);
  });

  test('a function that changed, came or went is named, and what to do', () => {
    const recorded = recordedHashes();
    const { broadcastNext: _, ...rest } = recorded['ring/broadcast-kernel']!;
    const all = { broadcastNext: '0123456789abcdef', ...rest };
    for (const [found, pattern] of [
      [all, /broadcast-kernel.ts: broadcastNext changed: bring .*broadcast.pml up to date/],
      [rest, /: broadcastNext is gone: /],
      [{ ...recorded['ring/broadcast-kernel'], other: '' }, /: other is new: .* --record$/],
    ] as const) {
      const drift = driftOf(recorded, { ...recorded, 'ring/broadcast-kernel': found });
      assert.equal(drift.length, 1);
      assert.match(drift[0]!, pattern);
    }
    const { 'ring/idle-waker': waker, ...others } = recorded;
    assert.equal(driftOf(others, others).length, Object.keys(waker!).length);
  });

  test('everything is as recorded', () => {
    assert.deepEqual(driftOf(recordedHashes(), readHashes()), []);
    assert.deepEqual(
      Object.keys(recordedHashes()).sort(),
      MIRRORED.map(({ module }) => module).sort(),
    );
    for (const file of new Set(MIRRORED.flatMap(({ mirrors }) => mirrors))) {
      assert.ok(existsSync(new URL(`../../${file}`, import.meta.url)), file);
    }
  });
});

test('the smallest model is searched, and a bug in it is found', async (t) => {
  const missing = await missingTools();
  if (missing !== null) {
    t.skip(missing);
    return;
  }
  const folder = await mkdtemp(join(tmpdir(), 'millrace-model-'));
  try {
    const bounds = ['MEMBERS=2', 'PUSHES=01', 'POPS=10', 'DEATHS=1'].map((text) => `-D${text}`);
    const smallest = { name: 'smallest', defines: bounds };
    const clean = await runSearch(join(folder, 'clean'), MPMC, smallest, null);
    assert.equal(clean.fault, null);
    assert.ok(clean.result.states > 100);
    assert.deepEqual(clean.result.unreached, []);
    assert.ok(missedProbes(MPMC, [clean]).includes('full'));
    assert.ok(!missedProbes(MPMC, [clean]).includes('hole made'));
    const bug = MPMC.bugs.find(({ name }) => name === 'NOTE_AFTER_CLAIM')!;
    const seeded = await runSearch(join(folder, 'seeded'), MPMC, smallest, bug);
    assert.equal(seeded.fault, null);
    assert.equal(seeded.result.errors, 1);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../toolkit/base/prng.ts';
import { makePattern, matches, patternError } from './pattern.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);

function isMatch(pattern: string, text: string): boolean {
  const bytes = Buffer.from(`<${text}>`);
  return matches(makePattern(pattern), bytes, 1, bytes.length - 2);
}

test('patterns', () => {
  const cases: readonly [pattern: string, text: string, expected: boolean][] = [
    ['', '', true],
    ['', 'a', true],
    ['^$', '', true],
    ['^$', 'a', false],
    ['$', 'a', true],
    ['^', 'a', true],
    ['bc', 'abcd', true],
    ['^bc', 'abcd', false],
    ['^abc$', 'abc', true],
    ['^ab$', 'abc', false],
    ['cd$', 'abcd', true],
    ['a*d', 'xabcdx', true],
    ['^a*a$', 'a', false],
    ['^a*a$', 'aa', true],
    ['^ab*ba$', 'aba', false],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['[a-c]x', 'bx', true],
    ['[a-c]x', 'dx', false],
    ['[!a-c]x', 'dx', true],
    ['[]]', 'a]', true],
    ['[*][?]', '*?', true],
    ['[*]', 'a', false],
    ['[a-]', '-', true],
    ['>', 'a', false],
    ['a$b', 'a$b', true],
    ['a^b', 'a^b', true],
    ['é', 'née', true],
    ['x'.repeat(100), 'x'.repeat(99), false],
    ['x'.repeat(100), `y${'x'.repeat(100)}`, true],
    [`${'x'.repeat(31)}y${'z'.repeat(64)}`, `${'x'.repeat(40)}y${'z'.repeat(64)}`, true],
    [`${'x'.repeat(32)}y`, `${'x'.repeat(31)}y${'x'.repeat(32)}y`, true],
  ];
  for (const [pattern, text, expected] of cases) {
    assert.equal(isMatch(pattern, text), expected, `${pattern} in ${text}`);
  }
  for (const bad of ['[', '[]', '[!]', '[a', '[b-a]', '[é]', 'a'.repeat(257)]) {
    assert.notEqual(patternError(bad), null, bad);
  }
});

/** All ways at once, part by part: which beginnings of the text does the pattern fit? */
function isFit(pattern: string, text: string): boolean {
  const [start, rest] = pattern.startsWith('^') ? ['', pattern.slice(1)] : ['*', pattern];
  const [inner, end] = rest.endsWith('$') ? [rest.slice(0, -1), ''] : [rest, '*'];
  const parts = (start + inner + end).match(/\[!?.[^\]]*\]|./gs) ?? [];
  let ends = new Set([0]);
  for (const part of parts) {
    const next = new Set<number>();
    for (const at of ends) {
      if (part === '*') for (let i = at; i <= text.length; i++) next.add(i);
      else if (at < text.length && fits(part, text[at]!)) next.add(at + 1);
    }
    ends = next;
  }
  return ends.has(text.length);
}

function fits(part: string, character: string): boolean {
  if (part.length === 1) return part === '?' || part === character;
  const isNegated = part[1] === '!';
  const set = part.slice(isNegated ? 2 : 1, -1);
  const isIn = set === 'b-c' ? 'bc'.includes(character) : set.includes(character);
  return isIn !== isNegated;
}

test('the leftmost place of each piece is as good as any', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED);
  const parts = ['a', 'b', 'a', 'b', '*', '?', '[ab]', '[!a]', '[b-c]', 'c', 'ab', '$', '^'];
  const draw = (from: readonly string[], length: number): string =>
    Array.from({ length: random.below(length) }, () => from[random.below(from.length)]!).join('');
  const seen = [0, 0];
  for (let round = 0; round < 20_000; round++) {
    const repeat = random.chance(0.05) ? 20 : 1;
    const pattern = draw(parts, 7)
      .repeat(repeat)
      .slice(0, 250)
      .replace(/\[[^\]]*$/, '');
    const text = draw(['a', 'b', 'c', 'ab', '$', '^'], 9).repeat(repeat);
    const due = isFit(pattern, text);
    assert.equal(isMatch(pattern, text), due, `seed ${SEED}: ${pattern} in ${text}`);
    seen[due ? 1 : 0]!++;
  }
  assert.ok(Math.min(...seen) > 1000);
});

test('a long text and a bad pattern cost a walk, not more', () => {
  const bytes = Buffer.alloc(9000, 'a');
  const pattern = makePattern(`${'a*'.repeat(60)}${'a'.repeat(100)}b`);
  // Trying each way through the stars would not end in the life of this machine.
  assert.equal(matches(pattern, bytes, 0, bytes.length), false);
});

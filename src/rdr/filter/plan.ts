/**
 * Plan: which tests a filter is for which tags, and whether that is little enough to be compiled.
 *
 * WHY      A comparison costs code once for each group of tags that the filter treats alike. A text
 *          of 64 KiB could ask for a quarter of a million of them, seconds of a thread that other
 *          work waits for: it is refused before code is made. Whoever only wants to know whether a
 *          filter would compile asks here.
 */
import {
  FILTER_CODE_MAX,
  type Filter,
  type FilterCompare,
  type FilterContext,
  INLINE_VALUES_MAX,
} from './ast.ts';
import { categoriesAsTags, checkCategories } from './categories.ts';
import { FilterError } from './filter-error.ts';
import { resolve, type Test, tagsToldApart } from './resolve.ts';

/** Equal keys: equal tests, which read the same fields and compare them alike. */
export interface KeyedTest {
  readonly key: string;
  readonly test: Test;
}

/** A tag and what is left to test of a record that has it. */
export interface TagTest extends KeyedTest {
  readonly tag: number;
}

export interface FilterPlan {
  /** By ascending tag. */
  readonly tests: readonly TagTest[];
  /** For every tag not listed. */
  readonly others: KeyedTest;
  /** Values compared in the code of all different tests together; long lists count as one. */
  readonly values: number;
}

/** Throws MR_FILTER: a category that is not there, or more code than FILTER_CODE_MAX. */
export function planFilter(filter: Filter, context: FilterContext): FilterPlan {
  checkCategories(filter, context);
  const root = categoriesAsTags(filter.root, context);
  const toldApart = tagsToldApart(root);
  const keys = new Keys();
  const tests = toldApart.tags.map((tag) => {
    const test = resolve(root, tag);
    return { tag, test, key: keys.of(test) };
  });
  const rest = resolve(root, toldApart.others);
  const others = { test: rest, key: keys.of(rest) };
  const different = new Map([...tests, others].map(({ key, test }) => [key, test]));
  let values = 0;
  for (const test of different.values()) values += valuesIn(test);
  if (values > FILTER_CODE_MAX) throw tooMuch(filter, values, different.size);
  return { tests, others, values };
}

function tooMuch({ text }: Filter, values: number, tests: number): FilterError {
  const found = `a filter of ${values} comparisons, those of ${tests} groups of tags together`;
  const remedy = `at most ${FILTER_CODE_MAX}: say tag = NAME in front, or compare with lists by in`;
  return new FilterError(text, 0, found, remedy);
}

/** Numbers comparisons, to tell them apart. */
class Keys {
  readonly #numbers = new Map<FilterCompare, number>();

  of(test: Test): string {
    if (typeof test === 'boolean') return String(test);
    if (test.kind === 'not') return `!${this.of(test.term)}`;
    if ('terms' in test) return `${test.kind}(${test.terms.map((term) => this.of(term)).join()})`;
    const number = this.#numbers.get(test.compare) ?? this.#numbers.size;
    this.#numbers.set(test.compare, number);
    return test.kind === 'field' ? `${number}@${test.place.index}:${test.place.type}` : `${number}`;
  }
}

function valuesIn(test: Test): number {
  if (typeof test === 'boolean') return 0;
  if (test.kind === 'not') return valuesIn(test.term);
  if ('terms' in test) return test.terms.reduce((sum, term) => sum + valuesIn(term), 0);
  const { length } = test.compare.values;
  return length > INLINE_VALUES_MAX ? 1 : length;
}

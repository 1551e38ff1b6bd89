/**
 * Warnings: what a filter may say, and is hardly meant to.
 *
 * WHY      A pattern is no regular expression, a port is never -1, a Transaction Usage record has
 *          no link: none of it is an error, as the wire decides, and all of it chooses other
 *          records than somebody had in mind.
 */
import { FIELD_TYPE } from '../constants.ts';
import type { Filter, FilterCompare, FilterContext, FilterNode, FilterValue } from './ast.ts';
import { categoriesAsTags } from './categories.ts';
import { quoted } from './filter-error.ts';
import { resolve, tagsToldApart } from './resolve.ts';
import { fieldPlaces, HEADER_ITEMS } from './subject.ts';

const WARNINGS_MAX = 10;

/** Sentences, at most 10; none is the rule. The filter compiles with this context. */
export function filterWarnings(filter: Filter, context: FilterContext = {}): string[] {
  const found: string[] = [];
  const ranges = new Map<string, Range | null>();
  const visit = (node: FilterNode): void => {
    if (found.length >= WARNINGS_MAX) return;
    if (node.kind === 'not') visit(node.term);
    else if (node.kind !== 'compare') node.terms.forEach(visit);
    else for (const value of node.values) found.push(...ofValue(node, value, ranges));
  };
  visit(filter.root);
  if (neverHolds(filter.root, context)) {
    found.push('it never holds: no record type has this tag together with these fields');
  }
  return found.slice(0, WARNINGS_MAX);
}

/** Is it `false` for every tag, before a field is looked at? */
function neverHolds(root: FilterNode, context: FilterContext): boolean {
  const tree = categoriesAsTags(root, context);
  const { others, tags } = tagsToldApart(tree);
  return [others, ...tags].every((tag) => resolve(tree, tag) === false);
}

/** `ranges`: of subjects met before. */
function ofValue(
  { subject, operator }: FilterCompare,
  value: FilterValue,
  ranges: Map<string, Range | null>,
): string[] {
  if (value.kind === 'text' && operator === '~') return ofPattern(subject, value.text);
  if (value.kind !== 'number') return [];
  if (!ranges.has(subject)) ranges.set(subject, rangeOf(subject));
  const range = ranges.get(subject)!;
  if (range === null || (value.number >= range[0] && value.number <= range[1])) return [];
  return [`${subject} is ${range[0]} to ${range[1]}: ${value.number} is out of its range`];
}

/** Signs of a regular expression that stand for themselves here. */
function ofPattern(subject: string, text: string): string[] {
  const shown = `${subject} ~ ${quoted(text)}`;
  // Behind a digit it is likely part of an address, '10.*'.
  if (/(?<!\d)\.\*/.test(text)) {
    return [
      `${shown}: a dot is a dot in a pattern, and * alone is any bytes: .* begins with a dot`,
    ];
  }
  const sign = /\.\+|[^|]\|[^|]/.exec(text)?.[0];
  if (sign === undefined) return [];
  const remedy = sign.includes('|') ? `join two ${subject} ~ by or` : '* is any bytes, ? is one';
  return [`${shown}: a pattern is no regular expression: ${remedy}`];
}

type Range = readonly [min: number, max: number];

const RANGES: ReadonlyMap<number, Range> = new Map<number, Range>([
  [FIELD_TYPE.INT8, [-0x80, 0x7f]],
  [FIELD_TYPE.INT16, [-0x8000, 0x7fff]],
  [FIELD_TYPE.INT32, [-0x80000000, 0x7fffffff]],
  [FIELD_TYPE.UINT8, [0, 0xff]],
  [FIELD_TYPE.UINT16, [0, 0xffff]],
  [FIELD_TYPE.UINT32, [0, 0xffffffff]],
]);

/** What the catalogue lets a subject be; null where it does not know. */
function rangeOf(subject: string): Range | null {
  const item = HEADER_ITEMS.get(subject);
  if (item !== undefined) return [0, 256 ** item.bytes - 1];
  const ranges = fieldPlaces(subject).map(({ type }) => RANGES.get(type) ?? null);
  let range: Range | null = ranges[0] ?? null;
  for (const one of ranges) {
    if (one === null || range === null) return null;
    range = [Math.min(range[0], one[0]), Math.max(range[1], one[1])];
  }
  return range;
}

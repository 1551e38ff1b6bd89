/**
 * Resolve: what is left of a filter once a record's tag is known.
 *
 * WHY      The tag decides most: which fields there are, where they stand, what every comparison of
 *          tag and category says. What remains is a smaller test, often `true` or `false` alone,
 *          and only tags that the filter can tell apart need one of their own.
 * RULES    A field that the record type does not have: the comparison is false. Constants are taken
 *          out of `and`, `or` and `not`; nothing else is rearranged.
 */
import type {
  FilterCompare,
  FilterContext,
  FilterNode,
  FilterOperator,
  FilterValue,
} from './ast.ts';
import { FIELD_PLACES, HEADER_ITEMS, type HeaderItem } from './subject.ts';

/** Which field of a record, from 0, and the type byte that the catalogue expects (0: unknown). */
export interface FieldIndex {
  readonly index: number;
  readonly type: number;
}

/** A comparison that needs the record's bytes. */
export type Leaf =
  | { readonly kind: 'field'; readonly place: FieldIndex; readonly compare: FilterCompare }
  | { readonly kind: 'header'; readonly item: HeaderItem; readonly compare: FilterCompare }
  | { readonly kind: 'exporter'; readonly compare: FilterCompare };

export type Test =
  | boolean
  | { readonly kind: 'and' | 'or'; readonly terms: readonly Test[] }
  | { readonly kind: 'not'; readonly term: Test }
  | Leaf;

/** A tag, or null: any tag that the filter cannot tell from others. */
export function resolve(node: FilterNode, tag: number | null, context: FilterContext): Test {
  if (node.kind === 'compare') return resolveCompare(node, tag, context);
  if (node.kind === 'not') {
    const term = resolve(node.term, tag, context);
    return typeof term === 'boolean' ? !term : { kind: 'not', term };
  }
  const absorbing = node.kind === 'or';
  const terms: Test[] = [];
  for (const part of node.terms) {
    const term = resolve(part, tag, context);
    if (term === absorbing) return absorbing;
    if (typeof term !== 'boolean') terms.push(term);
  }
  if (terms.length === 0) return !absorbing;
  return terms.length === 1 ? terms[0]! : { kind: node.kind, terms };
}

function resolveCompare(compare: FilterCompare, tag: number | null, context: FilterContext): Test {
  const { operator, subject, values } = compare;
  if (subject === 'exporter') return { kind: 'exporter', compare };
  if (subject === 'category') {
    const isIn = tag !== null && values.some((value) => tagsOf(value, context).includes(tag));
    return isIn === (operator === '=' || operator === 'in');
  }
  const item = HEADER_ITEMS.get(subject === 'tag' ? 'header_tag' : subject);
  if (item !== undefined) {
    if (subject !== 'tag') return { kind: 'header', item, compare };
    if (tag !== null) return isTagChosen(operator, values, tag);
    // Tags that are named have tests of their own; only an order says something of the others.
    if (operator === '=' || operator === 'in') return false;
    if (operator === '!=' || operator === 'not in') return true;
    return { kind: 'header', item, compare };
  }
  const place = FIELD_PLACES.get(subject)!.find((one) => one.tag === tag);
  if (place === undefined) return false;
  return { kind: 'field', place: { index: place.index, type: place.type }, compare };
}

function tagsOf(value: FilterValue, context: FilterContext): readonly number[] {
  return value.kind === 'category' ? context.categories![value.name]! : [];
}

function isTagChosen(
  operator: FilterOperator,
  values: readonly FilterValue[],
  tag: number,
): boolean {
  const numbers = values.map((value) => (value.kind === 'tag' ? value.tag : -1));
  switch (operator) {
    case '<':
      return tag < numbers[0]!;
    case '<=':
      return tag <= numbers[0]!;
    case '>':
      return tag > numbers[0]!;
    case '>=':
      return tag >= numbers[0]!;
    default:
      return numbers.includes(tag) === (operator === '=' || operator === 'in');
  }
}

/** Every tag that the filter may treat otherwise than a tag that nobody knows; ascending. */
export function tagsToldApart(node: FilterNode, context: FilterContext): number[] {
  const tags = new Set<number>();
  const visit = (inner: FilterNode): void => {
    if (inner.kind === 'not') visit(inner.term);
    else if (inner.kind !== 'compare') inner.terms.forEach(visit);
    else {
      for (const place of FIELD_PLACES.get(inner.subject) ?? []) tags.add(place.tag);
      for (const value of inner.values) {
        if (value.kind === 'tag') tags.add(value.tag);
        for (const tag of tagsOf(value, context)) tags.add(tag);
      }
    }
  };
  visit(node);
  return [...tags].sort((a, b) => a - b);
}

/**
 * Resolve: what is left of a filter once a record's tag is known.
 *
 * WHY      The tag decides most: which fields there are, where they stand, what every comparison of
 *          tag and category says. What remains is a smaller test, often `true` or `false` alone,
 *          and only tags that the filter can tell apart need one of their own. Where those are
 *          many, as each test costs code, the tags without any of its fields share one that
 *          compares the tag itself.
 * RULES    A field that the record type does not have: the comparison is false. Constants are taken
 *          out of `and`, `or` and `not`; nothing else is rearranged. Categories have become tags
 *          before (categories.ts).
 */
import type { FilterCompare, FilterNode, FilterOperator, FilterValue } from './ast.ts';
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

const ORDER: readonly FilterOperator[] = ['<', '<=', '>', '>='];
/** Tags without fields of the filter's that may have tests of their own. */
export const NAMED_TAGS_MAX = 64;

/**
 * Whose test: a tag's, all tags' that the filter does not name, or all tags' without its fields.
 */
export type TagOf = number | 'unnamed' | 'fieldless';

/** What is left of `node` for such tags. */
export function resolve(node: FilterNode, tag: TagOf): Test {
  if (node.kind === 'compare') return resolveCompare(node, tag);
  if (node.kind === 'not') {
    const term = resolve(node.term, tag);
    return typeof term === 'boolean' ? !term : { kind: 'not', term };
  }
  const absorbing = node.kind === 'or';
  const terms: Test[] = [];
  for (const part of node.terms) {
    const term = resolve(part, tag);
    if (term === absorbing) return absorbing;
    if (typeof term !== 'boolean') terms.push(term);
  }
  if (terms.length === 0) return !absorbing;
  return terms.length === 1 ? terms[0]! : { kind: node.kind, terms };
}

function resolveCompare(compare: FilterCompare, tag: TagOf): Test {
  const { subject } = compare;
  if (subject === 'exporter') return { kind: 'exporter', compare };
  if (subject === 'tag') return resolveTag(compare, tag);
  const item = HEADER_ITEMS.get(subject);
  if (item !== undefined) return { kind: 'header', item, compare };
  const place = typeof tag === 'number' ? FIELD_PLACES.get(subject)!.get(tag) : undefined;
  if (place === undefined) return false;
  return { kind: 'field', place: { index: place.index, type: place.type }, compare };
}

function resolveTag(compare: FilterCompare, tag: TagOf): Test {
  const { operator, values } = compare;
  if (typeof tag === 'number') return isTagChosen(operator, values, tag);
  // Tags that are named have tests of their own; only an order says something of the others.
  const isOrder = ORDER.includes(operator);
  if (tag === 'unnamed' && !isOrder) return operator === '!=' || operator === 'not in';
  return { kind: 'header', item: HEADER_ITEMS.get('header_tag')!, compare };
}

function isTagChosen(
  operator: FilterOperator,
  values: readonly FilterValue[],
  tag: number,
): boolean {
  const first = values[0]?.kind === 'tag' ? values[0].tag : -1;
  switch (operator) {
    case '<':
      return tag < first;
    case '<=':
      return tag <= first;
    case '>':
      return tag > first;
    case '>=':
      return tag >= first;
    default: {
      const isNamed = values.some((value) => value.kind === 'tag' && value.tag === tag);
      return isNamed === (operator === '=' || operator === 'in');
    }
  }
}

/** Who has a test of their own, and what the others have. */
export interface TagsToldApart {
  /** Ascending. */
  readonly tags: readonly number[];
  readonly others: TagOf;
}

/** Every tag that has one of the filter's fields, and those that it names, if they are few. */
export function tagsToldApart(root: FilterNode): TagsToldApart {
  const withFields = new Set<number>();
  const named = new Set<number>();
  const visit = (inner: FilterNode): void => {
    if (inner.kind === 'not') visit(inner.term);
    else if (inner.kind !== 'compare') inner.terms.forEach(visit);
    else {
      for (const tag of FIELD_PLACES.get(inner.subject)?.keys() ?? []) withFields.add(tag);
      for (const value of inner.values) if (value.kind === 'tag') named.add(value.tag);
    }
  };
  visit(root);
  const isFew = named.size <= NAMED_TAGS_MAX;
  const tags = isFew ? [...withFields, ...named] : [...withFields];
  return {
    tags: [...new Set(tags)].sort((a, b) => a - b),
    others: isFew ? 'unnamed' : 'fieldless',
  };
}

/**
 * Categories: are those that a filter names among those of its context, and which tags are they?
 */
import type { Filter, FilterCompare, FilterContext, FilterNode, FilterValue } from './ast.ts';
import { FilterError, quoted } from './filter-error.ts';
import { suggestion } from './near-names.ts';

/** Throws MR_FILTER, with the place, for the first category that the context does not have. */
export function checkCategories(filter: Filter, context: FilterContext): void {
  const known = context.categories ?? {};
  const check = (value: FilterValue): void => {
    if (value.kind !== 'category' || Object.hasOwn(known, value.name)) return;
    const names = Object.keys(known);
    const all = names.length > 0 ? `known are ${names.join(', ')}` : 'no categories are given here';
    const found = `no category is called ${quoted(value.name)}`;
    throw new FilterError(filter.text, value.at, found, suggestion(value.name, names, all));
  };
  const visit = (node: FilterNode): void => {
    if (node.kind === 'compare') node.values.forEach(check);
    else if (node.kind === 'not') visit(node.term);
    else node.terms.forEach(visit);
  };
  visit(filter.root);
}

/** The tree with each category replaced by its tags; the same node where nothing names one. */
export function categoriesAsTags(node: FilterNode, context: FilterContext): FilterNode {
  if (node.kind === 'not') {
    const term = categoriesAsTags(node.term, context);
    return term === node.term ? node : { ...node, term };
  }
  if (node.kind === 'compare') return node.subject === 'category' ? asTags(node, context) : node;
  const terms = node.terms.map((term) => categoriesAsTags(term, context));
  return terms.every((term, index) => term === node.terms[index]) ? node : { ...node, terms };
}

function asTags({ at, operator, values }: FilterCompare, context: FilterContext): FilterCompare {
  const isIn = operator === '=' || operator === 'in';
  const tags = values.flatMap((value) =>
    value.kind === 'category' ? (context.categories?.[value.name] ?? []) : [],
  );
  return {
    kind: 'compare',
    subject: 'tag',
    operator: isIn ? 'in' : 'not in',
    values: [...new Set(tags)].map((tag) => ({ kind: 'tag', tag, at })),
    at,
  };
}

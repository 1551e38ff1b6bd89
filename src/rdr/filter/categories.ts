/**
 * Categories: are those that a filter names among those of its context?
 */
import type { Filter, FilterContext, FilterNode, FilterValue } from './ast.ts';
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

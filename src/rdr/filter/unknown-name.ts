/**
 * Unknown name: the error for a field that does not exist, with what may have been meant.
 *
 * WHY      Where the filter fixes the tag (`tag = TUR and subscriberid = 'x'`), the fields of that
 *          record type are the ones to choose from.
 */
import { recordByTag } from '../catalog.ts';
import type { FilterNode } from './ast.ts';
import { FilterError, quoted } from './filter-error.ts';
import type { Token } from './lexer.ts';
import { nearNames } from './near-names.ts';
import { OUTSIDE_NAMES, subjectNames } from './subject.ts';
import { tagText } from './tag-names.ts';

const ALL_NAMES = 'docs/reference/rdrv1.md lists the fields of each record type';

/** The error for the unknown name at `token`; `root` is the tree around it. */
export function unknownName(text: string, token: Token, root: FilterNode): FilterError {
  const found = `no field is called ${quoted(token.text)}`;
  const name = token.text.toLowerCase();
  if (OUTSIDE_NAMES.includes(name)) {
    const remedy = `${name} is not part of a record; a filter sees its bytes and its exporter`;
    return new FilterError(text, token.at, found, remedy);
  }
  const tags = tagsAround(root, token.at) ?? [];
  const fields = tags.flatMap((tag) => recordByTag(tag)?.fields ?? []).map(({ column }) => column);
  const own = [...new Set(fields)];
  const near = own.length > 0 ? nearNames(name, own) : [];
  const any = near.length > 0 ? near : nearNames(name, subjectNames());
  const hint = any.length > 0 ? `do you mean ${any.join(' or ')}?` : null;
  if (own.length === 0) return new FilterError(text, token.at, found, hint ?? ALL_NAMES);
  const list = `${tags.map(tagText).join(', ')}: ${own.join(', ')}`;
  return new FilterError(text, token.at, found, hint === null ? list : `${hint}\n  ${list}`);
}

/** The tags that the `and`s around the place at `at` leave; null when they do not say. */
function tagsAround(node: FilterNode, at: number): number[] | null {
  if (node.kind === 'compare') return null;
  if (node.kind === 'not') return tagsAround(node.term, at);
  const within = node.terms.find((term) => holds(term, at));
  const inner = within === undefined ? null : tagsAround(within, at);
  if (inner !== null || node.kind === 'or') return inner;
  for (const term of node.terms) {
    if (term.kind !== 'compare' || term.subject !== 'tag') continue;
    if (term.operator !== '=' && term.operator !== 'in') continue;
    return term.values.flatMap((value) => (value.kind === 'tag' ? [value.tag] : []));
  }
  return null;
}

function holds(node: FilterNode, at: number): boolean {
  if (node.kind === 'compare') return node.at === at;
  if (node.kind === 'not') return holds(node.term, at);
  return node.terms.some((term) => holds(term, at));
}

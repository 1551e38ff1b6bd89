/**
 * Print: a filter's tree as text again, in one form: what the parser reads back to the same tree.
 */
import type { Filter, FilterNode, FilterValue } from './ast.ts';
import { tagText } from './tag-names.ts';

/** One line, names in lower case, texts in '...'. Empty for the filter of every record. */
export function formatFilter(filter: Filter): string {
  return nodeText(filter.root);
}

function nodeText(node: FilterNode): string {
  if (node.kind === 'not') return `not ${inner(node.term)}`;
  if (node.kind !== 'compare') return node.terms.map(inner).join(` ${node.kind} `);
  const { operator, subject, values } = node;
  const isOrder = operator.startsWith('<') || operator.startsWith('>');
  const texts = values.map((value) => valueText(value, isOrder));
  const isList = operator === 'in' || operator === 'not in';
  return `${subject} ${operator} ${isList ? `(${texts.join(', ')})` : texts[0]}`;
}

/** As a part of something else: chains in parentheses. */
function inner(node: FilterNode): string {
  const isPlain = node.kind === 'compare' || node.kind === 'not';
  return isPlain ? nodeText(node) : `(${nodeText(node)})`;
}

function valueText(value: FilterValue, isOrder: boolean): string {
  switch (value.kind) {
    case 'number':
      return String(value.number);
    case 'tag':
      return isOrder ? String(value.tag) : tagText(value.tag);
    case 'category':
      return quote(value.name);
    case 'address':
      return value.text;
    case 'text':
      return quote(value.text);
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "\\'")}'`;
}

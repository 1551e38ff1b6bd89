/**
 * Interpreter: a filter's tree walked for each record, as plainly as its meaning can be written.
 *
 * WHY      It is the reference that the compiler is compared with, and what runs a filter where
 *          code may not be made (a page whose security policy forbids it). It shares no step with
 *          the compiler but the reading of one value.
 * COST     It walks the record once for each comparison.
 */
import { recordByTag } from '../catalog.ts';
import {
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  FIXED_LENGTH,
  HEADER_BYTES,
  PREFIX_BYTES,
  TAG_OFFSET,
} from '../constants.ts';
import { encodeText } from '../text.ts';
import { ipv4Mask, ipv4Network, isInBlock, isKnownAddress, parseBlock } from './address.ts';
import type {
  Filter,
  FilterCompare,
  FilterContext,
  FilterNode,
  FilterOperator,
  FilterValue,
  RecordPredicate,
} from './ast.ts';
import { checkCategories } from './categories.ts';
import { compareText, numberAt } from './field-walk.ts';
import { makePattern, matches } from './pattern.ts';
import { HEADER_ITEMS } from './subject.ts';

/** One record, as RecordPredicate gets it. */
interface Place {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly offset: number;
  readonly length: number;
  readonly exporter: Uint8Array;
}

/** The filter as a predicate that needs no compiled code. Throws MR_FILTER for a category. */
export function interpretFilter(filter: Filter, context: FilterContext = {}): RecordPredicate {
  checkCategories(filter, context);
  return (bytes, view, offset, length, exporter) =>
    isChosen(filter.root, { bytes, view, offset, length, exporter }, context);
}

function isChosen(node: FilterNode, place: Place, context: FilterContext): boolean {
  switch (node.kind) {
    case 'and':
      return node.terms.every((term) => isChosen(term, place, context));
    case 'or':
      return node.terms.some((term) => isChosen(term, place, context));
    case 'not':
      return !isChosen(node.term, place, context);
    case 'compare':
      return node.operator === 'not in'
        ? node.values.every((value) => holds(node, '!=', value, place, context))
        : node.values.some((value) => holds(node, node.operator, value, place, context));
  }
}

function holds(
  node: FilterCompare,
  operator: FilterOperator,
  value: FilterValue,
  place: Place,
  context: FilterContext,
): boolean {
  const tag = place.view.getUint32(place.offset + TAG_OFFSET);
  switch (value.kind) {
    case 'tag':
      return compareNumbers(operator, tag, value.tag);
    case 'category':
      return context.categories![value.name]!.includes(tag) !== (operator === '!=');
    case 'address':
      return node.subject === 'exporter'
        ? isKnownAddress(place.exporter) &&
            isInBlock(parseBlock(value.text)!, place.exporter) !== (operator === '!=')
        : fieldIsInBlock(node.subject, operator, value.text, place);
    case 'text':
      return fieldHoldsText(node.subject, operator, value.text, place);
    case 'number':
      return HEADER_ITEMS.has(node.subject)
        ? compareNumbers(operator, headerNumber(node.subject, place), value.number)
        : fieldHoldsNumber(node.subject, operator, value.number, place);
  }
}

function compareNumbers(operator: FilterOperator, a: number, b: number): boolean {
  switch (operator) {
    case '!=':
      return a !== b;
    case '<':
      return a < b;
    case '<=':
      return a <= b;
    case '>':
      return a > b;
    case '>=':
      return a >= b;
    default:
      return a === b;
  }
}

function headerNumber(name: string, place: Place): number {
  if (name === 'header_length') return place.length - PREFIX_BYTES;
  const item = HEADER_ITEMS.get(name)!;
  let number = 0;
  for (let i = 0; i < item.bytes; i++) {
    number = number * 256 + place.bytes[place.offset + item.offset + i]!;
  }
  return number;
}

/** Where the header of the field of this name stands, or -1. */
function headerOf(name: string, place: Place): number {
  const { bytes, length, offset, view } = place;
  const entry = recordByTag(view.getUint32(offset + TAG_OFFSET));
  const index = entry?.fields.find((field) => field.column === name)?.index ?? -1;
  const end = offset + length;
  let at = offset + HEADER_BYTES;
  for (let i = 0; i < bytes[offset + FIELD_COUNT_OFFSET]!; i++) {
    if (at + FIELD_HEADER_BYTES > end) return -1;
    const valueBytes = view.getUint32(at + 1);
    const fixed = FIXED_LENGTH[bytes[at]!]!;
    if (fixed !== 0 && valueBytes !== fixed) return -1;
    if (at + FIELD_HEADER_BYTES + valueBytes > end) return -1;
    if (i === index) return at;
    at += FIELD_HEADER_BYTES + valueBytes;
  }
  return -1;
}

function fieldHoldsNumber(
  name: string,
  operator: FilterOperator,
  wanted: number,
  place: Place,
): boolean {
  const at = headerOf(name, place);
  if (at < 0) return false;
  const type = place.bytes[at]!;
  const number = numberAt(place.view, type, at + FIELD_HEADER_BYTES);
  if (Number.isNaN(number)) return false;
  return compareNumbers(operator, number, type === FIELD_TYPE.FLOAT ? Math.fround(wanted) : wanted);
}

function fieldIsInBlock(
  name: string,
  operator: FilterOperator,
  text: string,
  place: Place,
): boolean {
  const at = headerOf(name, place);
  if (at < 0) return false;
  const type = place.bytes[at]!;
  if (type !== FIELD_TYPE.UINT32 && type !== FIELD_TYPE.INT32) return false;
  const block = parseBlock(text)!;
  const address = place.view.getInt32(at + FIELD_HEADER_BYTES);
  return ((address & ipv4Mask(block)) === ipv4Network(block)) !== (operator === '!=');
}

function fieldHoldsText(
  name: string,
  operator: FilterOperator,
  text: string,
  place: Place,
): boolean {
  const { bytes, view } = place;
  const at = headerOf(name, place);
  if (at < 0 || bytes[at] !== FIELD_TYPE.STRING) return false;
  const from = at + FIELD_HEADER_BYTES;
  const length = view.getInt32(at + 1);
  if (operator === '~') return matches(makePattern(text), bytes, from, length);
  return compareNumbers(operator, compareText(bytes, from, length, encodeText(text)), 0);
}

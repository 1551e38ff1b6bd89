/**
 * Compare: what was written as SUBJECT OPERATOR VALUES becomes one node, or an error that helps.
 *
 * RULES    `tag` takes names and numbers, `category` names, `exporter` addresses, header items
 *          numbers, fields numbers, texts and IPv4 addresses. What can never hold is an error where
 *          the catalogue is sure of a field's type; where it is not, the wire decides.
 */

import { isIpv4Block, parseBlock } from './address.ts';
import type { FilterCompare, FilterOperator, FilterValue } from './ast.ts';
import { FILTER_PATTERN_BYTES_MAX } from './ast.ts';
import { FilterError, quoted } from './filter-error.ts';
import type { Token } from './lexer.ts';
import { patternError } from './pattern.ts';
import { fieldHolds, HEADER_ITEMS } from './subject.ts';
import { nearTagNames, tagByName, tagNames } from './tag-names.ts';
import { addressHint, noNumberHint } from './value-hints.ts';

const NUMBER = /^[+-]?(?:\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|0[xX][0-9a-fA-F]{1,8})$/;
const ORDER: readonly FilterOperator[] = ['<', '<=', '>', '>='];

/** What stands on the left and between, and the text that all of it is part of. */
interface Written {
  readonly text: string;
  readonly subject: Token;
  readonly operator: FilterOperator;
  readonly operatorAt: number;
}

/** Throws MR_FILTER. `name` is the subject in lower case, and exists. */
export function makeCompare(
  text: string,
  subject: Token,
  operator: FilterOperator,
  operatorAt: number,
  values: readonly Token[],
): FilterCompare {
  const written = { text, subject, operator, operatorAt };
  const lower = subject.text.toLowerCase();
  const name = lower === 'header_tag' ? 'tag' : lower;
  const make = valueMaker(name);
  return {
    kind: 'compare',
    subject: name,
    operator,
    values: values.map((value) => make(written, value)),
    at: subject.at,
  };
}

type ValueMaker = (written: Written, value: Token) => FilterValue;

function valueMaker(name: string): ValueMaker {
  if (name === 'tag') return tagValue;
  if (name === 'category') return categoryValue;
  if (name === 'exporter') return exporterValue;
  return HEADER_ITEMS.has(name) ? headerValue : fieldValue;
}

function numberOf(value: Token): number | null {
  if (value.kind !== 'word' || !NUMBER.test(value.text)) return null;
  const sign = value.text.startsWith('-') ? -1 : 1;
  const number = sign * Number(value.text.replace(/^[+-]/, ''));
  // -0 is 0 here, too.
  return Number.isFinite(number) ? number + 0 : null;
}

/** An operator that the subject does not take. */
function refuse(written: Written, remedy: string): never {
  const found = `${written.subject.text.toLowerCase()} cannot be compared by ${written.operator}`;
  throw new FilterError(written.text, written.operatorAt, found, remedy);
}

function tagValue(written: Written, value: Token): FilterValue {
  const { operator, text } = written;
  if (operator === '~') refuse(written, 'write tag = NAME, or tag in (NAME, NAME)');
  const number = numberOf(value);
  const isOrder = ORDER.includes(operator);
  const tag = number === null && !isOrder ? tagByName(value.text) : number;
  if (tag !== null && Number.isInteger(tag) && tag >= 0 && tag <= 0xffffffff) {
    return { kind: 'tag', tag, at: value.at };
  }
  if (isOrder || number !== null) {
    const found = `${quoted(value.text)} is no number of a tag`;
    throw new FilterError(text, value.at, found, 'tags are 0 to 0xffffffff');
  }
  const near = nearTagNames(value.text);
  throw new FilterError(
    text,
    value.at,
    `no record type is called ${quoted(value.text)}`,
    near.length > 0
      ? `do you mean ${near.join(', ')}?`
      : `known are ${tagNames().join(', ')}; or give the tag as a number`,
  );
}

function categoryValue(written: Written, value: Token): FilterValue {
  if (written.operator === '~' || ORDER.includes(written.operator)) {
    refuse(written, 'write category = NAME, or category in (NAME, NAME)');
  }
  return { kind: 'category', name: value.text, at: value.at };
}

function addressOf(written: Written, value: Token): FilterValue | null {
  const block = parseBlock(value.text);
  if (block === null) return null;
  const { operator, text } = written;
  if (operator === '~' || ORDER.includes(operator)) {
    refuse(written, 'addresses are compared by =, != and in');
  }
  if (value.text.includes('/') && operator !== 'in' && operator !== 'not in') {
    const subject = written.subject.text;
    const remedy = `write ${subject} ${operator === '=' ? 'in' : 'not in'} ${value.text}`;
    throw new FilterError(text, value.at, 'a block of addresses is no single address', remedy);
  }
  return { kind: 'address', text: value.text.toLowerCase(), at: value.at };
}

function exporterValue(written: Written, value: Token): FilterValue {
  if (written.operator === '~' || ORDER.includes(written.operator)) {
    refuse(written, 'write exporter = 10.1.2.3, or exporter in 10.0.0.0/8');
  }
  const address = addressOf(written, value);
  if (address !== null) return address;
  const hint = addressHint(value.text);
  if (hint !== null) throw new FilterError(written.text, value.at, hint.found, hint.remedy);
  const found = `${quoted(value.text)} is no address`;
  const remedy = 'an exporter is an address, 10.1.2.3 or 2001:db8::1, or in a block, 10.0.0.0/8';
  throw new FilterError(written.text, value.at, found, remedy);
}

function headerValue(written: Written, value: Token): FilterValue {
  if (written.operator === '~') refuse(written, 'items of the header are numbers');
  const number = numberOf(value);
  if (number !== null) return { kind: 'number', number, at: value.at };
  const found = `${quoted(value.text)} is no number`;
  throw new FilterError(written.text, value.at, found, 'items of the header are numbers');
}

function fieldValue(written: Written, value: Token): FilterValue {
  const { operator, subject } = written;
  const name = subject.text.toLowerCase();
  const holds = fieldHolds(name);
  if (holds === 'number') return numericValue(written, name, value);
  if (value.kind === 'text') {
    if (operator === '~') checkPattern(written.text, value);
    return { kind: 'text', text: value.text, at: value.at };
  }
  if (operator === '~') {
    const remedy = `write ${name} ~ '${value.text}'`;
    throw new FilterError(written.text, value.at, 'a pattern stands in quotes', remedy);
  }
  if (holds === null) {
    const made = numberOrAddress(written, value);
    if (made !== null) return made;
  }
  const found = holds === 'text' ? `${name} holds text` : notAValue(value);
  const remedy = `texts stand in quotes: '${value.text}'`;
  throw new FilterError(written.text, value.at, found, remedy);
}

/** Of a field that the catalogue knows to hold numbers. */
function numericValue(written: Written, name: string, value: Token): FilterValue {
  if (written.operator === '~') refuse(written, `~ is for texts; ${name} is a number: use = or in`);
  const word: Token = { ...value, kind: 'word' };
  const made = numberOrAddress(written, word);
  if (made !== null && value.kind === 'word') return made;
  if (made !== null) {
    const remedy = `write ${value.text} without quotes`;
    throw new FilterError(written.text, value.at, `${name} holds numbers, not text`, remedy);
  }
  const { found, remedy } = noNumberHint(name, value.text);
  throw new FilterError(written.text, value.at, found, remedy);
}

function notAValue(value: Token): string {
  return (
    addressHint(value.text)?.found ?? `${quoted(value.text)} is neither a number nor an address`
  );
}

function numberOrAddress(written: Written, value: Token): FilterValue | null {
  const number = numberOf(value);
  if (number !== null) return { kind: 'number', number, at: value.at };
  const block = parseBlock(value.text);
  if (block !== null && !isIpv4Block(block)) {
    const remedy = 'addresses in fields are IPv4; of an exporter IPv6 can be compared';
    const found = `no field holds an address like ${quoted(value.text)}`;
    throw new FilterError(written.text, value.at, found, remedy);
  }
  return block === null ? null : addressOf(written, value);
}

function checkPattern(text: string, value: Token): void {
  const error = patternError(value.text);
  if (error === null) return;
  const forms = '^ and $ tie it to start and end, * is any bytes, ? any one, [a-z] one of a set';
  const remedy = `at most ${FILTER_PATTERN_BYTES_MAX} bytes; ${forms}`;
  throw new FilterError(text, value.at, error, remedy);
}

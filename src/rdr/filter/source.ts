/**
 * Source: JavaScript of a filter, one function for each group of tags that it treats alike.
 *
 * WHY        A tree that is walked for each record finds out what it knew from the last one. Here
 *            the tag picks a function (by a few comparisons), and that function reads only the
 *            fields it needs, in wire order, and stops as soon as the answer is known.
 * SHAPE      Terms of the outermost `and` (or `or`) stand in the order of the last field that each
 *            needs. In front of each the walk goes on to that field; behind each the function may
 *            return. A field is three locals: type t (0: absent), value offset a, value length n;
 *            and v, its number (NaN: none).
 * INVARIANTS 1. Nothing of a filter's text gets into the source: it is made of our own words and of
 *            numbers; texts, patterns, blocks and long lists are constants handed over.  2. No call
 *            allocates.
 */
import {
  FIELD_COUNT_OFFSET,
  FIELD_HEADER_BYTES,
  FIELD_TYPE,
  HEADER_BYTES,
  PREFIX_BYTES,
  TAG_OFFSET,
} from '../constants.ts';
import { encodeText } from '../text.ts';
import { type AddressBlock, ipv4Mask, ipv4Network, parseBlock } from './address.ts';
import {
  type FilterCompare,
  type FilterOperator,
  type FilterValue,
  INLINE_VALUES_MAX,
} from './ast.ts';
import { makePattern } from './pattern.ts';
import type { FilterPlan, KeyedTest } from './plan.ts';
import type { Leaf, Test } from './resolve.ts';
import { networkList, numberList, textList } from './value-lists.ts';

/** A list of so many numbers is searched by halves. */
const HALVES_MIN = 6;

const JS_OPERATOR: Readonly<Record<FilterOperator, string>> = {
  '=': '===',
  '!=': '!==',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
  '~': '===',
  in: '===',
  'not in': '!==',
};

export class FilterSource {
  /** What the source calls `constants`. */
  readonly constants: unknown[] = [];
  readonly #functions: string[] = [];
  /** Key of a test -> the expression that answers it. */
  readonly #answers = new Map<string, string>();
  /** What is compared with -> what the source says of it, by what is made of it. */
  readonly #names = new Map<object, Map<string, string>>();

  /** Body of a factory that returns the predicate. */
  make({ tests, others }: FilterPlan): string {
    const rest = this.#answer(others);
    const cases = tests
      .map((test) => ({ tag: test.tag | 0, answer: this.#answer(test) }))
      .filter(({ answer }) => answer !== rest)
      .sort((a, b) => a.tag - b.tag);
    const names = this.constants.map((_, index) => `k${index} = constants[${index}]`);
    return [
      "'use strict';",
      names.length > 0 ? `const ${names.join(', ')};` : '',
      ...this.#functions,
      'return function predicate(bytes, view, offset, length, exporter) {',
      `  const tag = view.getInt32(offset + ${TAG_OFFSET});`,
      ...dispatch(cases, rest).map((line) => `  ${line}`),
      '};',
    ].join('\n');
  }

  /** An expression; equal tests share one function. */
  #answer({ key, test }: KeyedTest): string {
    if (typeof test === 'boolean') return String(test);
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const name = `test${this.#answers.size}`;
    const answer = `${name}(bytes, view, offset, length, exporter)`;
    this.#answers.set(key, answer);
    this.#functions.push(this.#program(name, test));
    return answer;
  }

  #program(name: string, test: Exclude<Test, boolean>): string {
    const isOr = test.kind === 'or';
    const terms = isOr || test.kind === 'and' ? test.terms : [test];
    const order = terms.map((term) => ({ term, last: lastField(term) }));
    order.sort((a, b) => a.last - b.last);
    const lines: string[] = [];
    let next = 0;
    let read = 0;
    const fields = fieldsOf(test);
    const numeric = new Set(fields.filter(isNumeric).map((leaf) => leaf.place.index));
    for (const { last, term } of order) {
      // Also those that only later terms need: the walk does not come back.
      for (; read < fields.length && fields[read]!.place.index <= last; read++) {
        const { place } = fields[read]!;
        if (place.index < next) continue;
        lines.push(...readField(place.index, place.index - next));
        if (numeric.has(place.index)) lines.push(readNumber(place.index, place.type));
        next = place.index + 1;
      }
      const text = this.#expression(term);
      lines.push(isOr ? `if (${text}) return true;` : `if (!(${text})) return false;`);
    }
    lines.push(`return ${!isOr};`);
    return [
      `function ${name}(bytes, view, offset, length, exporter) {`,
      `  const end = offset + length, count = bytes[offset + ${FIELD_COUNT_OFFSET}];`,
      `  let at = offset + ${HEADER_BYTES};`,
      ...lines.map((line) => `  ${line}`),
      '}',
    ].join('\n');
  }

  #expression(test: Test): string {
    if (typeof test === 'boolean') return String(test);
    switch (test.kind) {
      case 'not':
        return `!(${this.#expression(test.term)})`;
      case 'and':
        return test.terms.map((term) => `(${this.#expression(term)})`).join(' && ');
      case 'or':
        return test.terms.map((term) => `(${this.#expression(term)})`).join(' || ');
      default:
        return this.#leaf(test);
    }
  }

  /** Made once for all groups of tags: it depends on the tag by the field's place alone. */
  #leaf(leaf: Leaf): string {
    const what = leaf.kind === 'field' ? `field ${leaf.place.index}` : leaf.kind;
    return this.#named(leaf.compare, what, () => {
      if (leaf.kind === 'field') return this.#field(leaf);
      return leaf.kind === 'header' ? this.#header(leaf) : this.#exporter(leaf.compare);
    });
  }

  #header({ compare, item }: Leaf & { kind: 'header' }): string {
    const isLength = compare.subject === 'header_length';
    const read = `view.getUint${8 * item.bytes}(offset + ${item.offset})`;
    return this.#numbers(compare, isLength ? `(length - ${PREFIX_BYTES})` : read, '');
  }

  /** Name of a constant, which is made once for all tests that compare with `of`. */
  #constant(of: object, what: string, make: () => unknown): string {
    return this.#named(of, what, () => `k${this.constants.push(make()) - 1}`);
  }

  /** What the source says for a part (`what`) of `of`; made once. */
  #named(of: object, what: string, make: () => string): string {
    const names = this.#names.get(of) ?? new Map<string, string>();
    this.#names.set(of, names);
    const known = names.get(what);
    if (known !== undefined) return known;
    const made = make();
    names.set(what, made);
    return made;
  }

  #exporter(compare: FilterCompare): string {
    const inside = isLong(compare.values)
      ? `isInBlocks(${this.#constant(compare, 'blocks', () => blocksOf(compare))}, exporter)`
      : compare.values
          .map((value) => this.#constant(value, 'block', () => blocksOf({ values: [value] })[0]))
          .map((name) => `isInBlock(${name}, exporter)`)
          .join(' || ');
    return isNegated(compare.operator) ? `isKnownAddress(exporter) && !(${inside})` : inside;
  }

  #field(leaf: Leaf & { kind: 'field' }): string {
    const { compare, place } = leaf;
    const { operator } = compare;
    const k = place.index;
    const parts: string[] = [];
    if (isNumeric(leaf)) parts.push(this.#numbers(compare, `v${k}`, `t${k}`));
    if (compare.values.some(({ kind }) => kind === 'text')) {
      const isString = `t${k} === ${FIELD_TYPE.STRING}`;
      parts.push(`${isString} && (${this.#texts(compare, `bytes, a${k}, n${k}`)})`);
    }
    const blocks = blocksOf(compare);
    if (blocks.length > 0) {
      const isWord = `t${k} === ${FIELD_TYPE.UINT32} || t${k} === ${FIELD_TYPE.INT32}`;
      const word = `view.getInt32(a${k})`;
      const inside = isLong(blocks)
        ? `isInNetworks(${this.#constant(compare, 'networks', () => networkList(blocks))}, ${word})`
        : inBlocks(word, blocks);
      parts.push(`(${isWord}) && ${isNegated(operator) ? '!' : ''}(${inside})`);
    }
    return parts.map((part) => `(${part})`).join(isNegated(operator) ? ' && ' : ' || ');
  }

  /**
   * The number `value` (NaN: none) against those of a comparison. `type` is the local that holds
   * the type byte, or empty: what is compared with a FLOAT is made a single first.
   */
  #numbers(compare: FilterCompare, value: string, type: string): string {
    const wanted = numbersOf(compare.values);
    const exact = this.#comparison(compare, value, wanted, 'numbers');
    const singles = wanted.map(Math.fround);
    if (type === '' || singles.every((single, i) => single === wanted[i])) return exact;
    const rounded = this.#comparison(compare, value, singles, 'singles');
    return `${type} === ${FIELD_TYPE.FLOAT} ? (${rounded}) : (${exact})`;
  }

  #comparison(
    compare: FilterCompare,
    value: string,
    wanted: readonly number[],
    what: string,
  ): string {
    const { operator } = compare;
    const isEqual = operator === '=' || operator === 'in';
    if (!isEqual && !isNegated(operator)) {
      return `${value} ${JS_OPERATOR[operator]} ${literal(wanted[0]!)}`;
    }
    const within = isLong(wanted)
      ? `isOneOf(${this.#constant(compare, what, () => numberList(wanted))}, ${value})`
      : oneOf(value, wanted);
    return isEqual ? within : `${value} === ${value} && !(${within})`;
  }

  #texts(compare: FilterCompare, where: string): string {
    const { operator } = compare;
    const values = compare.values.filter((value) => value.kind === 'text');
    if (operator === '~') {
      const { text } = values[0]!;
      return `matches(${this.#constant(compare, 'pattern', () => makePattern(text))}, ${where})`;
    }
    const isEqual = operator === '=' || operator === 'in';
    const not = isNegated(operator) ? '!' : '';
    if (isLong(values)) {
      const make = (): unknown => textList(values.map(({ text }) => encodeText(text)));
      return `${not}isOneText(${where}, ${this.#constant(compare, 'texts', make)})`;
    }
    const parts = values.map((value) => {
      const constant = this.#constant(value, 'text', () => encodeText(value.text));
      if (isEqual || not !== '') return `${not}isText(${where}, ${constant})`;
      return `compareText(${where}, ${constant}) ${JS_OPERATOR[operator]} 0`;
    });
    return parts.join(isEqual ? ' || ' : ' && ');
  }
}

/** Too many to stand in the code. */
function isLong(values: readonly unknown[]): boolean {
  return values.length > INLINE_VALUES_MAX;
}

function isNegated(operator: FilterOperator): boolean {
  return operator === '!=' || operator === 'not in';
}

function numbersOf(values: readonly FilterValue[]): number[] {
  return values.flatMap((value) => {
    if (value.kind === 'number') return [value.number];
    return value.kind === 'tag' ? [value.tag] : [];
  });
}

function blocksOf({ values }: Pick<FilterCompare, 'values'>): AddressBlock[] {
  return values.flatMap((value) => (value.kind === 'address' ? [parseBlock(value.text)!] : []));
}

/** Fields that a test needs, in wire order. */
function fieldsOf(test: Test): (Leaf & { kind: 'field' })[] {
  const found: (Leaf & { kind: 'field' })[] = [];
  const visit = (inner: Test): void => {
    if (typeof inner === 'boolean') return;
    if (inner.kind === 'field') found.push(inner);
    else if (inner.kind === 'not') visit(inner.term);
    else if (inner.kind === 'and' || inner.kind === 'or') inner.terms.forEach(visit);
  };
  visit(test);
  return found.sort((a, b) => a.place.index - b.place.index);
}

/** -1: needs no field. */
function lastField(test: Test): number {
  return fieldsOf(test).at(-1)?.place.index ?? -1;
}

/** Locals of field `k`, `gap` fields behind where the walk stands. */
function readField(k: number, gap: number): string[] {
  return [
    `let t${k} = 0, a${k} = 0, n${k} = 0;`,
    `if (count > ${k} && at >= 0 && (at = fieldAt(bytes, view, at, end, ${gap})) >= 0) {`,
    `  t${k} = bytes[at]; n${k} = view.getInt32(at + 1); a${k} = at + ${FIELD_HEADER_BYTES};`,
    `  at = a${k} + n${k};`,
    '}',
  ];
}

/** Local with the number of field `k`; the type that the catalogue expects is tried first. */
function readNumber(k: number, type: number): string {
  const guess = READERS[type];
  const any = `numberAt(view, t${k}, a${k})`;
  if (guess === undefined) return `const v${k} = ${any};`;
  return `const v${k} = t${k} === ${type} ? view.${guess}(a${k}) : ${any};`;
}

function isNumeric(leaf: Leaf): boolean {
  return leaf.compare.values.some((value) => value.kind === 'number');
}

/** Type byte -> how its number is read. */
const READERS: Readonly<Record<number, string | undefined>> = {
  [FIELD_TYPE.INT8]: 'getInt8',
  [FIELD_TYPE.INT16]: 'getInt16',
  [FIELD_TYPE.INT32]: 'getInt32',
  [FIELD_TYPE.UINT8]: 'getUint8',
  [FIELD_TYPE.UINT16]: 'getUint16',
  [FIELD_TYPE.UINT32]: 'getUint32',
};

/** Is `value` one of these? Long lists by halves; NaN is none of any. */
function oneOf(value: string, wanted: readonly number[]): string {
  const sorted = [...new Set(wanted)].sort((a, b) => a - b);
  if (sorted.length < HALVES_MIN) {
    return sorted.map((number) => `${value} === ${literal(number)}`).join(' || ');
  }
  const middle = sorted.length >>> 1;
  const low = oneOf(value, sorted.slice(0, middle));
  const high = oneOf(value, sorted.slice(middle));
  return `(${value} < ${literal(sorted[middle]!)} ? (${low}) : (${high}))`;
}

/** A number as source: digits, point, sign and exponent, in parentheses when negative. */
function literal(number: number): string {
  const text = String(number);
  if (text === 'Infinity') return '(1 / 0)';
  if (text === '-Infinity') return '(-1 / 0)';
  return number < 0 ? `(${text})` : text;
}

/** Is the 4-byte `word` in one of the blocks? */
function inBlocks(word: string, blocks: readonly AddressBlock[]): string {
  const parts = blocks.map((block) => {
    const mask = literal(ipv4Mask(block));
    return `(${word} & ${mask}) === ${literal(ipv4Network(block))}`;
  });
  return parts.join(' || ');
}

/** Finds the tag by halves. `cases` ascend. */
function dispatch(
  cases: readonly { readonly tag: number; readonly answer: string }[],
  rest: string,
): string[] {
  if (cases.length <= 3) {
    const lines = cases.map(({ answer, tag }) => `if (tag === ${literal(tag)}) return ${answer};`);
    return [...lines, `return ${rest};`];
  }
  const middle = cases.length >>> 1;
  return [
    `if (tag < ${literal(cases[middle]!.tag)}) {`,
    ...dispatch(cases.slice(0, middle), rest).map((line) => `  ${line}`),
    '}',
    ...dispatch(cases.slice(middle), rest),
  ];
}

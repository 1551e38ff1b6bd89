import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../../toolkit/base/prng.ts';
import { parseBlock } from './address.ts';
import type { Filter } from './ast.ts';
import { compileFilter } from './compile.ts';
import { FilterError } from './filter-error.ts';
import { interpretFilter } from './interpret.ts';
import { parseFilter } from './parser.ts';
import { formatFilter } from './print.ts';
import {
  ADDRESSES,
  CATEGORIES,
  pick,
  randomFilter,
  randomFrame,
} from './random-filter.test-data.ts';

const SEED = Number(process.env.MILLRACE_TEST_SEED ?? Date.now() % 2 ** 31);
const CONTEXT = { categories: CATEGORIES };
const EXPORTERS = [...ADDRESSES.map((text) => parseBlock(text)!.bytes), new Uint8Array(16)];

/** The tree without the places in the text. */
function shape(filter: Filter): unknown {
  return JSON.parse(
    JSON.stringify(filter.root, (name, value: unknown) => (name === 'at' ? undefined : value)),
  );
}

/** The frame at some place of a buffer that ends with it, among bytes that are all `filling`. */
function placed(frame: Buffer, offset: number, filling: number, behind: number) {
  const bytes = new Uint8Array(offset + frame.length + behind).fill(filling);
  bytes.set(frame, offset);
  return { bytes, view: new DataView(bytes.buffer) };
}

test('what is compiled is what is meant, on whole and on broken records', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED);
  const held = [0, 0];
  for (let round = 0; round < 400; round++) {
    const text = randomFilter(random);
    const filter = parseFilter(text);
    const compiled = compileFilter(filter, CONTEXT);
    const meant = interpretFilter(filter, CONTEXT);
    for (let i = 0; i < 25; i++) {
      const frame = randomFrame(random);
      const exporter = pick(random, EXPORTERS);
      const offset = random.below(9);
      const exact = placed(frame, offset, 0, 0);
      const said = compiled(exact.bytes, exact.view, offset, frame.length, exporter);
      const where = () => `seed ${SEED}: ${text}\n${frame.toString('hex')}`;
      const due = meant(exact.bytes, exact.view, offset, frame.length, exporter);
      assert.ok(said === due, `compiled ${said}, meant ${due}: ${where()}`);
      held[said ? 1 : 0]!++;
      // Neither what stands in front of the frame nor what stands behind it may matter.
      for (const filling of [0x29, 0x10]) {
        const other = placed(frame, offset, filling, 300);
        const again = compiled(other.bytes, other.view, offset, frame.length, exporter);
        assert.ok(again === said, `bytes outside of the frame were read: ${where()}`);
      }
    }
  }
  assert.ok(Math.min(...held) > 1000, `both answers are met: ${held.join(', ')}`);
});

test('a printed filter is read back as the same tree', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED + 1);
  for (let round = 0; round < 1500; round++) {
    const text = randomFilter(random);
    const filter = parseFilter(text);
    const printed = formatFilter(filter);
    const again = parseFilter(printed);
    assert.deepEqual(shape(again), shape(filter), `seed ${SEED}: ${text}\n${printed}`);
    assert.equal(formatFilter(again), printed, `seed ${SEED}: ${text}`);
  }
});

const PIECES = [
  ...'()=<>~,\'"\\! \n&|/:.-+*[]{}#;$0a\u0000\u00e9\ud800'.split(''),
  ...['and', 'or', 'not', 'in', 'cidr', 'tag', 'TUR', 'exporter', 'category', 'client_ip', '1e9'],
  ...[
    'subscriber_id',
    '10.0.0.0/8',
    "'a'",
    '"b',
    '0xff',
    '::1',
    '!=',
    '<=',
    '\\x4',
    '((((',
    '\u{1f600}',
  ],
];

test('any text is a filter or MR_FILTER, in no time', (t) => {
  t.diagnostic(`seed ${SEED}`);
  const random = new Prng(SEED + 2);
  let errors = 0;
  for (let round = 0; round < 6000; round++) {
    let text = random.chance(0.5) ? randomFilter(random) : '';
    const at = random.below(text.length + 1);
    const piece = Array.from({ length: random.below(12) }, () => pick(random, PIECES));
    text =
      text.slice(0, at) + piece.join(pick(random, ['', ' '])) + text.slice(at + random.below(4));
    try {
      compileFilter(parseFilter(text), CONTEXT);
    } catch (error) {
      assert.ok(
        error instanceof FilterError,
        `seed ${SEED}: ${JSON.stringify(text)}: ${String(error)}`,
      );
      assert.ok(error.line >= 1 && error.column >= 1);
      errors++;
    }
  }
  assert.ok(errors > 3000);
});

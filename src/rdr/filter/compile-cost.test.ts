/**
 * What the most expensive filters cost to compile, counted: code, constants, groups of tags.
 *
 * A filter compiles on threads that have other work (a reload, a search), so that its cost must
 * not be a product of its terms and its tags.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { recordByTag } from '../catalog.ts';
import { FILTER_CODE_MAX, FILTER_PATTERNS_BYTES_MAX, FILTER_TERMS_MAX } from './ast.ts';
import { compileFilter, filterSource } from './compile.ts';
import { FilterError } from './filter-error.ts';
import { interpretFilter } from './interpret.ts';
import { parseFilter } from './parser.ts';
import { planFilter } from './plan.ts';
import { NAMED_TAGS_MAX } from './resolve.ts';
import { fieldPlaces, subjectNames } from './subject.ts';

const NOBODY = new Uint8Array(16);
const TAG_OFFSET = 15;
/** Characters of code that a comparison may cost, and those of the rest of a filter. */
const CHARACTERS_EACH = 120;
const CHARACTERS_MORE = 20_000;

function join(count: number, term: (index: number) => string, by: string): string {
  return Array.from({ length: count }, (_, index) => term(index)).join(by);
}

/** A frame without fields. */
function frameOf(tag: number, sourcePort: number): { bytes: Uint8Array; view: DataView } {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint32(TAG_OFFSET, tag);
  view.setUint16(7, sourcePort);
  return { bytes, view };
}

/** Fields that most record types have; texts and numbers. */
const COMMON = subjectNames()
  .filter((name) => fieldPlaces(name).length > 5)
  .slice(0, 12);

const CATEGORIES = { big: Array.from({ length: 20_000 }, (_, tag) => tag) };

const BLOCKS = join(FILTER_TERMS_MAX, (i) => `10.${i >> 8}.${i & 255}.0/24`, ',');

const EXPENSIVE: Readonly<Record<string, string>> = {
  'each tag leaves out another term': join(
    FILTER_TERMS_MAX / 2,
    (i) => `(tag = ${i} or header_source_port > ${i})`,
    ' and ',
  ),
  'a big category': 'category = big and header_source_port = 1 or category != big',
  'patterns of many pieces': join(70, (i) => `subscriber_id ~ '${'a*'.repeat(110)}${i}'`, ' or '),
  'a long list of texts': `subscriber_id in (${join(FILTER_TERMS_MAX, (i) => `'${i}'`, ',')})`,
  'a long list of numbers': `package_id in (${join(FILTER_TERMS_MAX, (i) => `${i / 10}`, ',')})`,
  'a long list of blocks': `exporter in (${BLOCKS})`,
  'a long list of networks': `client_ip in (${BLOCKS})`,
  'each term its own field': join(900, (i) => `package_id > ${i}`, ' or '),
};

test('code and constants of a filter grow with its terms, not with terms times tags', () => {
  for (const [what, text] of Object.entries(EXPENSIVE)) {
    const filter = parseFilter(text);
    const context = { categories: CATEGORIES };
    const plan = planFilter(filter, context);
    const known = new Set(COMMON.flatMap((name) => fieldPlaces(name).map(({ tag }) => tag)));
    assert.ok(plan.tests.length <= known.size + NAMED_TAGS_MAX, `${what}: ${plan.tests.length}`);
    const source = filterSource(filter, context);
    const most = CHARACTERS_EACH * plan.values + CHARACTERS_MORE;
    assert.ok(source.length <= most, `${what}: ${source.length} characters of ${most}`);
    const constants = source.match(/k\d+ = constants\[/g)?.length ?? 0;
    assert.ok(constants <= 70, `${what}: ${constants} constants`);
  }
});

test('what would be more code than a filter may be is refused before it is made', () => {
  const tags = COMMON.flatMap((name) => fieldPlaces(name).map(({ tag }) => tag));
  const known = [...new Set(tags)].filter((tag) => recordByTag(tag) !== null);
  // Each of these tags has a test of its own, with all the ports in it.
  const each = join(60, (i) => `(tag = ${known[i % known.length]} or package_id = ${i})`, ' and ');
  const ports = join(850, (i) => `header_source_port != ${i}`, ' and ');
  const text = `${each} and ${ports}`;
  assert.throws(
    () => compileFilter(parseFilter(text)),
    (error) => error instanceof FilterError && error.remedy.includes(`most ${FILTER_CODE_MAX}`),
  );
  const most = FILTER_PATTERNS_BYTES_MAX / 256;
  const patterns = (count: number) =>
    join(count, () => `subscriber_id ~ '${'?'.repeat(256)}'`, ' or ');
  compileFilter(parseFilter(patterns(most)));
  assert.throws(() => parseFilter(patterns(most + 1)), /too many patterns/);
});

test('with many tags named the answers are the same', () => {
  const texts = [
    EXPENSIVE['each tag leaves out another term']!,
    EXPENSIVE['a big category']!,
    `tag in (${join(200, (i) => `${2 * i}`, ',')})`,
    `tag not in (${join(200, (i) => `${2 * i}`, ',')}) and tag < 300`,
    `not (${join(200, (i) => `tag = ${3 * i}`, ' or ')})`,
    `category = big and tag not in (${join(100, (i) => `${5 * i}`, ',')})`,
    `subscriber_id = 'a' or tag in (${join(200, (i) => `${4_042_322_944 + i}`, ',')})`,
  ];
  const context = { categories: CATEGORIES };
  for (const text of texts) {
    const filter = parseFilter(text);
    const compiled = compileFilter(filter, context);
    const meant = interpretFilter(filter, context);
    for (const tag of [...Array(420).keys(), 19_999, 20_000, 4_042_323_000, 0xffffffff]) {
      const { bytes, view } = frameOf(tag, tag + 1);
      const said = compiled(bytes, view, 0, 20, NOBODY);
      assert.equal(said, meant(bytes, view, 0, 20, NOBODY), `${text.slice(0, 60)}: tag ${tag}`);
    }
  }
});

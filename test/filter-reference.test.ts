import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseBlock } from '../src/rdr/filter/address.ts';
import * as rdr from '../src/rdr/index.ts';
import { addressBytes, parseCidr } from '../src/server/address.ts';
import { VECTOR } from './support/records.ts';
import { ROOT } from './tidy/sources.ts';

const PAGE = readFileSync(join(ROOT, 'docs/reference/filter.md'), 'utf8');
const CONTEXT = { categories: { usage: [0xf0f0f438] } };
const EXPORTER = addressBytes('10.13.7.36')!;

function holds(make: typeof rdr.compileFilter, text: string): boolean {
  const view = new DataView(VECTOR.buffer, VECTOR.byteOffset, VECTOR.length);
  const predicate = make(rdr.parseFilter(text), CONTEXT);
  return predicate(VECTOR, view, 0, VECTOR.length, EXPORTER);
}

test('every example of the page holds as it says', () => {
  const rows = [...PAGE.matchAll(/^\| `(.+)` \| (yes|no) \|/gm)];
  assert.ok(rows.length > 35, `${rows.length} examples`);
  for (const [, example, answer] of rows) {
    assert.equal(holds(rdr.compileFilter, example!), answer === 'yes', example);
    assert.equal(holds(rdr.interpretFilter, example!), answer === 'yes', example);
  }
});

test('the page has an example of each operator', () => {
  const examples = [...PAGE.matchAll(/^\| `(.+)` \| (?:yes|no) \|/gm)]
    .map((row) => row[1])
    .join('\n');
  for (const operator of [
    'and',
    'or',
    'not',
    'in',
    'not in',
    'cidr',
    '=',
    '!=',
    '<',
    '<=',
    '>',
    '>=',
    '~',
  ]) {
    assert.ok(examples.includes(` ${operator} `) || examples.includes(`${operator} `), operator);
  }
});

test('the page names the limits and what the door exports', () => {
  for (const [name, value] of Object.entries(rdr)) {
    if (!/filter|field(?:Finder|BytesAt)|run_?s|tag(?:Text|Names|ByName)/i.test(name)) continue;
    assert.match(PAGE, new RegExp(`\\b${name}\\b`), name);
    if (typeof value === 'number' && name.startsWith('FILTER_')) {
      assert.ok(PAGE.includes(`| ${value.toLocaleString('en')} |`), name);
    }
  }
});

test('addresses of filters are those of the server', () => {
  const texts = [
    '10.1.2.3',
    '10.1.2.3/8',
    '0.0.0.0/0',
    '255.255.255.255/32',
    '10.1.2',
    '10.1.2.256',
    '01.2.3.4',
    '10.1.2.3/33',
    '10.1.2.3/',
    '10.1.2.3/08',
    '::',
    '::1',
    '::/0',
    '2001:db8::/32',
    '1::2::3',
    '1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7::',
    '::1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::ffff:10.1.2.3',
    '::ffff:10.1.2.3/104',
    '1.2.3.4::',
    '12345::',
    ':',
    ':::',
    '1:2',
    'fe80::1%lo',
    '1:2:3:4:5:6:1.2.3.4',
    '::1.2.3',
    'g::',
    '1:2:3:4:5:6:7:1.2.3.4',
  ];
  for (const text of texts) {
    const own = parseBlock(text);
    const theirs = text === '10.1.2.3/08' ? null : parseCidr(text);
    assert.deepEqual(own, theirs, text);
    if (!text.includes('/'))
      assert.equal(own !== null, isIP(text) !== 0 && !text.includes('%'), text);
  }
});

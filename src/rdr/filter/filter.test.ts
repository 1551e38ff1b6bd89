import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { makeFrameHeader, RecordEncoder } from '../encoder.ts';
import { compileFilter, filterSource } from './compile.ts';
import { FilterError } from './filter-error.ts';
import { parseFilter } from './parser.ts';
import { formatFilter } from './print.ts';

function failure(text: string): FilterError {
  try {
    compileFilter(parseFilter(text), { categories: { usage: [1] } });
  } catch (error) {
    assert.ok(error instanceof FilterError && error instanceof MillraceError, String(error));
    assert.equal(error.code, 'MR_FILTER');
    return error;
  }
  assert.fail(`no error for ${text}`);
}

test('errors say where, what and what else', () => {
  const cases: readonly [text: string, column: number, found: RegExp, remedy: RegExp][] = [
    ['subscribr_id = 1', 1, /no field is called "subscribr_id"/, /do you mean subscriber_id/],
    ["tag = TUR and hos = 'x'", 15, /no field/, /transaction_usage: subscriber_id, .*info_string/],
    ["hos = 'x' and tag in (LUR)", 1, /no field/, /link_usage: link_id/],
    ['(tag = LUR or sid = 1) and tag = TUR', 15, /no field/, /transaction_usage: sub/],
    ['tag = TRANSACTION_USGE', 7, /no record type/, /transaction_usage/],
    ['tag = 0x1f0f0f438', 7, /no record type|no number of a tag/, /./],
    ['tag = -1', 7, /no number of a tag/, /0xffffffff/],
    ['tag < TUR', 7, /no number of a tag/, /./],
    ['tag ~ TUR', 5, /tag cannot be compared by ~/, /tag = NAME/],
    ['category = usge', 12, /no category is called "usge"/, /do you mean usage/],
    ['category < usage', 10, /cannot be compared by </, /category = NAME/],
    ['category = __proto__', 12, /no category/, /known are usage/],
    ['exporter = host', 12, /"host" is no address/, /10\.0\.0\.0\/8/],
    ['exporter = 10.0.0.0/8', 12, /no single address/, /write exporter in 10.0.0.0\/8/],
    ['exporter != 10.0.0.0/8', 13, /no single address/, /not in/],
    ['exporter > 10.0.0.1', 10, /cannot be compared by >/, /exporter in/],
    ['client_ip < 10.0.0.1', 11, /cannot be compared by </, /=, != and in/],
    ['client_ip in ::1', 14, /no field holds/, /IPv4/],
    ["client_ip = '10.1.1.1'", 13, /holds numbers/, /write 10.1.1.1 without quotes/],
    ['subscriber_id = bob', 17, /holds text/, /'bob'/],
    ['subscriber_id = 5', 17, /holds text/, /'5'/],
    ['subscriber_id ~ abc', 17, /pattern stands in quotes/, /~ 'abc'/],
    ["subscriber_id ~ '[a'", 17, /has no \]/, /\[a-z\]/],
    ["subscriber_id ~ '[z-a]'", 17, /ends before it begins/, /\[a-z\]/],
    [`subscriber_id ~ '${'a'.repeat(257)}'`, 17, /257 bytes/, /at most 256/],
    [`subscriber_id = '${'é'.repeat(513)}'`, 17, /1026 bytes/, /1024/],
    ['header_length = x', 17, /no number/, /numbers/],
    ["header_length ~ '1'", 15, /cannot be compared by ~/, /numbers/],
    ['arrival_time > 1', 1, /no field/, /not part of a record/],
    ['server_port', 12, /found the end, expected =/, /^$/],
    ['server_port 80', 13, /found "80", expected =/, /^$/],
    ['server_port not 80', 17, /expected in/, /^$/],
    ['server_port = ', 15, /found the end, expected a value/, /^$/],
    ['server_port in ()', 17, /found "\)", expected a value/, /^$/],
    ['server_port in (80', 19, /expected and, or, a comma/, /^$/],
    ['server_port = 80)', 17, /found "\)"/, /^$/],
    ['server_port == 80', 13, /"==" is no operator/, /write =/],
    ['server_port = 80 && tag = 1', 18, /"&&"/, /write and/],
    ['!server_port = 80', 1, /"!"/, /write not/],
    ["subscriber_id = 'a", 17, /has no end/, /^$/],
    ["subscriber_id = 'a\\q'", 19, /backslash/, /\\\\/],
    ['server_port = 80\n and sever_port = 1', 6, /line 2, column 6/, /server_port/],
    ["subscriber_id = 'é😀' and é", 26, /"é" belongs to nothing/, /quotes/],
    ['and', 1, /found "and"/, /^$/],
    ['server_port = 1e999', 15, /"1e999" is no number/, /./],
    ['unknown_26 = 1e999', 14, /neither a number/, /./],
  ];
  for (const [text, column, found, remedy] of cases) {
    const error = failure(text);
    assert.equal(error.column, column, `${text}: ${error.message}`);
    assert.match(error.message, found, text);
    assert.match(error.remedy, remedy, text);
  }
});

test('the caret stands under what is meant, also in a long line', () => {
  assert.match(failure('tag = TUR and x = 1').message, /\n {2}tag = TUR and x = 1\n {16}\^$/);
  const long = failure(`${'tag = 1 or '.repeat(40)}oops = 1${' or tag = 2'.repeat(40)}`);
  const [, line, caret] = long.message.split('\n');
  assert.ok(line!.length < 90);
  assert.equal(line!.slice(caret!.indexOf('^')).slice(0, 4), 'oops');
  const odd = failure("x = '\u0007\u202e\t' and (");
  for (const character of '\u0007\u202e\t') assert.ok(!odd.message.includes(character));
});

test('limits are errors, not crashes', () => {
  assert.match(failure('('.repeat(60_000)).message, /too deep/);
  assert.match(failure('not '.repeat(15_000)).message, /too deep/);
  assert.match(failure('('.repeat(100_000)).message, /100000 characters/);
  assert.match(failure(`tag in (${'1,'.repeat(1001)}1)`).message, /too many values/);
  parseFilter(`${'('.repeat(64)}tag = 1${')'.repeat(64)}`);
  const most = parseFilter(`tag in (${Array.from({ length: 1000 }, (_, i) => i).join(', ')})`);
  const { bytes, view } = frame(999);
  assert.equal(compileFilter(most)(bytes, view, 0, 20, NOBODY), true);
  const many = Array.from({ length: 1000 }, (_, i) => `client_port = ${i}`).join(' or ');
  assert.equal(compileFilter(parseFilter(many))(bytes, view, 0, 20, NOBODY), false);
});

const NOBODY = new Uint8Array(16);

function frame(tag: number) {
  const bytes = new Uint8Array(64);
  const encoder = new RecordEncoder(bytes);
  encoder.begin({
    processorId: 0,
    sourceIpSample: 0,
    destinationIpSample: 0,
    sourcePort: 0,
    destinationPort: 0,
    flowContextId: 0,
    tag,
  });
  encoder.end();
  return { bytes, view: new DataView(bytes.buffer) };
}

test('one form for each filter', () => {
  const cases: readonly [text: string, form: string][] = [
    ['', ''],
    ['TAG = TRANSACTION_USAGE_RDR', 'tag = transaction_usage'],
    ['header_tag in 4042323000', 'tag in (transaction_usage)'],
    ['tag = 0xDEADBEEF', 'tag = 0xdeadbeef'],
    ['Client_IP cidr 10.0.0.0/8', 'client_ip in (10.0.0.0/8)'],
    ['exporter = 2001:DB8::1', 'exporter = 2001:db8::1'],
    [`subscriber_id = "it's \\"\\xFF\\\\"`, `subscriber_id = 'it\\'s "\\xff\\\\'`],
    ["subscriber_id = '\\x41'", "subscriber_id = 'A'"],
    ['category not in (a, b)', "category not in ('a', 'b')"],
    ['seconds = -0', 'seconds = 0'],
    ['seconds = +0x10', 'seconds = 16'],
    [
      'not (seconds = 1 and (sessions = 2 or tag = 1))',
      'not (seconds = 1 and (sessions = 2 or tag = 0x00000001))',
    ],
    ['((seconds = 1)) and not not tag = 1', 'seconds = 1 and not not tag = 0x00000001'],
  ];
  for (const [text, form] of cases) {
    assert.equal(formatFilter(parseFilter(text)), form);
    assert.equal(formatFilter(parseFilter(form)), form);
  }
});

test('the tag alone answers where it can', () => {
  const source = filterSource(parseFilter("tag = TUR and subscriber_id ~ 'x'"));
  const last = source.slice(source.indexOf('return function'));
  assert.equal(last.match(/test\d/g)?.length, 1);
  assert.match(last, /return false;/);
  const usage = filterSource(parseFilter('tag = TUR or category = usage'), {
    categories: { usage: [1, 2] },
  });
  assert.ok(!usage.includes('fieldAt'));
});

test('nothing of the text gets into the code', () => {
  const evil = "');process.exit(1);//";
  const text = `subscriber_id = "${evil}" or subscriber_id ~ "${evil}" or category = "${evil}"`;
  const context = { categories: { [evil]: [1] } };
  const source = filterSource(parseFilter(text), context);
  assert.ok(!source.includes('process'));
});

test('the type on the wire decides how a value is read', () => {
  const cases: readonly [write: (encoder: RecordEncoder) => void, yes: string, no: string][] = [
    [(e) => e.float(0.1), 'duration = 0.1', 'duration > 0.1'],
    [(e) => e.float(0.1), 'duration in (1, 0.1)', 'duration != 0.1'],
    [(e) => e.float(Number.NaN), 'not duration = 0', 'duration != 0 or duration not in (1)'],
    [(e) => e.boolean(true), 'duration = 1', "duration ~ ''"],
    [(e) => e.int8(-1), 'duration < 0', 'duration = 255'],
    [(e) => e.uint8(255), 'duration = 255', 'duration < 0'],
    [(e) => e.int16(-1), 'duration = -1', 'duration = 65535'],
    [(e) => e.uint32(0xffffffff), 'duration = 0xffffffff', 'duration < 0'],
    [(e) => e.int32(-1), 'duration in 255.255.255.255', 'duration = 0xffffffff'],
    [(e) => e.uint16(0x0a01), 'duration = 0x0a01', 'duration in 0.0.0.0/0'],
    [(e) => e.string('80'), "duration = '80'", 'duration = 80 or duration != 80'],
    [(e) => e.raw(99, Uint8Array.of(80)), 'not duration = 80', "duration != 80 or duration ~ ''"],
  ];
  for (const [write, yes, no] of cases) {
    const { bytes, view, length } = seventhField(write);
    const ask = (text: string): boolean =>
      compileFilter(parseFilter(text))(bytes, view, 0, length, NOBODY);
    assert.equal(ask(yes), true, yes);
    assert.equal(ask(no), false, no);
    // What the frame does not count is not there, though its bytes are.
    bytes[19] = 6;
    assert.equal(
      ask(`${yes} or ${no} or duration != 0`),
      yes.startsWith('not'),
      `${yes}, 6 fields`,
    );
  }
});

/** Subscriber Usage up to DURATION, its seventh field. */
function seventhField(write: (encoder: RecordEncoder) => void) {
  const bytes = new Uint8Array(200);
  const encoder = new RecordEncoder(bytes);
  encoder.begin({ ...makeFrameHeader(0xf0f0f000) });
  encoder.string('bob');
  for (let i = 0; i < 5; i++) encoder.int16(i);
  write(encoder);
  const length = encoder.end();
  return { bytes, view: new DataView(bytes.buffer), length };
}

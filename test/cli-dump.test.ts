import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { SegmentBuilder, temporaryFolder } from './support/journal-files.ts';
import { int16, record, text, uint32, VECTOR } from './support/records.ts';
import { runCli } from './support/run-cli.ts';

const UNKNOWN = record(0xdeadbeef, [uint32(4294967295), text('a\\b')]);
/** A fixed type with the wrong length. */
const MALFORMED = record(0xf0f0f438, [[16, Buffer.from([1, 2, 3])]]);

function lines(stdout: Buffer): string[] {
  const all = stdout.toString('latin1').split('\n');
  assert.equal(all.pop(), '');
  return all;
}

test('dump of raw bytes: JSON with names, extra and reasons', async (t) => {
  const path = join(temporaryFolder(t), 'a.rdr');
  const half = VECTOR.subarray(0, 60);
  const garbage = Buffer.from('garbage!');
  writeFileSync(path, Buffer.concat([VECTOR, UNKNOWN, MALFORMED, garbage, VECTOR, half]));
  const { code, stdout, stderr } = await runCli(['dump', path]);
  assert.equal(code, 0);
  const [first, second, third, fourth] = lines(stdout).map((line) => JSON.parse(line));
  assert.equal(first.name, 'TRANSACTION_USAGE_RDR');
  assert.equal(first.tag, '0xf0f0f438');
  assert.equal(first.fields.subscriber_id, '10.134.213.202@inet');
  assert.equal(first.fields.server_ip, 3562662062);
  assert.equal(first.header.flow_context_id, 0x01020304);
  assert.equal(first.exporter, undefined);
  assert.deepEqual(second, {
    ...second,
    tag: '0xdeadbeef',
    name: null,
    position: 247,
    fields: {},
    extra: [
      [0, 16, 4294967295],
      [1, 41, 'a\\\\b'],
    ],
  });
  assert.equal(third.malformed, 'fixed_length');
  assert.equal(third.bytes, MALFORMED.toString('hex'));
  assert.equal(fourth.position, 247 + UNKNOWN.length + MALFORMED.length + garbage.length);
  assert.match(stderr, /8 bytes of garbage in 1 runs/);
  assert.match(stderr, /60 bytes of a half record/);
  assert.match(stderr, /1 malformed/);
});

test('dump of a segment: the line of the Collection Manager', async (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  const arrivalUs = 1_385_925_478_190_000;
  const payload = Buffer.concat([VECTOR, MALFORMED]);
  segment.add(payload, { recordCount: 2, exporter: '10.13.7.36', arrivalUs });
  const path = segment.writeTo(folder);
  const expected =
    '1385925478190,4042323000,10.13.7.36,10.134.213.202@inet,1,16,2,1,3562662062,80,' +
    'www.example.net,/a.gif,176608714,43261,0,1385925477,920,0,1140,341,1,9,1,6,50397184,0,0,0';
  for (const where of [path, folder]) {
    const { code, stdout, stderr } = await runCli(['dump', where, '--format', 'csv']);
    assert.equal(code, 0);
    assert.deepEqual(lines(stdout), [expected]);
    assert.match(stderr, /1 malformed/);
  }
  const piped = await runCli(['dump', '-', '--format', 'csv'], { input: readFileSync(path) });
  assert.deepEqual(lines(piped.stdout), [expected]);
  const { stdout } = await runCli(['dump', path, '--limit', '1']);
  const [line] = lines(stdout).map((text_) => JSON.parse(text_));
  assert.equal(line.exporter, '10.13.7.36');
  assert.equal(line.arrival, '2013-12-01T19:17:58.190Z');
  assert.equal(line.ordinal, 0);
  assert.equal(line.position, 256);
});

test('CSV quotes only where needed, and keeps every byte', async () => {
  const odd = Buffer.from([0x61, 0xff, 0x0a, 0x00, 0x22]);
  const input = record(0xdeadbeef, [text('a,b'), text('c d'), text(''), text(odd), int16(-1)]);
  const { stdout } = await runCli(['dump', '-', '--format', 'csv'], { input });
  const expected = `,3735928559,,"a,b",c d,,"a\u00ff\n\u0000""",-1\n`;
  assert.deepEqual(stdout, Buffer.from(expected, 'latin1'));
});

test('hex, --tag by name, hex and number, --limit', async () => {
  const input = Buffer.concat([VECTOR, UNKNOWN, VECTOR]);
  const hex = await runCli(['dump', '-', '--format', 'hex', '--tag', '0xDEADBEEF'], { input });
  assert.deepEqual(lines(hex.stdout), [`247 0xdeadbeef - ${UNKNOWN.toString('hex')}`]);
  for (const tag of ['TRANSACTION_USAGE', 'transaction_usage_rdr', '4042323000']) {
    const named = await runCli(['dump', '-', '--format', 'hex', '--tag', tag], { input });
    assert.equal(lines(named.stdout).length, 2, tag);
  }
  const limited = await runCli(['dump', '-', '--limit', '2'], { input });
  assert.equal(lines(limited.stdout).length, 2);
  const none = await runCli(['dump', '-', '--limit', '0'], { input });
  assert.equal(none.stdout.length, 0);
});

test('wrong usage ends with 2 and a hint, an unreadable file with 1', async () => {
  const cases: [string[], number, RegExp][] = [
    [[], 2, /Usage/],
    [['dmup'], 2, /MR_USAGE.*dmup[\s\S]*dump/],
    [['dump'], 2, /missing required argument/],
    [['dump', 'x', '--limt', '1'], 2, /--limit/],
    [['dump', 'x', '--limit', 'many'], 2, /whole number/],
    [['dump', 'x', '--format', 'xml'], 2, /json, csv, hex/],
    [['dump', 'x', '--tag', 'TRANSACTION_USAG'], 2, /transaction_usage/],
    [['dump', '/nonexistent'], 1, /MR_INPUT/],
    [['replay', 'x'], 2, /HOST:PORT/],
    [['replay', '/dev/null', 'nowhere'], 2, /MR_ADDRESS/],
    [['replay', '/dev/null', '127.0.0.1:1'], 1, /MR_CONNECT/],
    [['status', '--http', '127.0.0.1:1'], 1, /MR_CONNECT/],
    [['journal', 'ls', '/nonexistent'], 1, /MR_INPUT/],
  ];
  for (const [parameters, expected, message] of cases) {
    const { code, stderr, stdout } = await runCli(parameters);
    assert.equal(code, expected, parameters.join(' '));
    assert.match(stderr, message);
    assert.equal(stdout.length, 0);
    assert.doesNotMatch(stderr, /\n\s+at /);
  }
});

test('every command has help with examples, and the version is that of the package', async () => {
  const help = await runCli(['--help']);
  assert.equal(help.code, 0);
  const commands = [...help.stdout.toString().matchAll(/^ {2}([a-z]+) .*$/gm)].map(
    (match) => match[1]!,
  );
  assert.ok(commands.length >= 5);
  for (const command of commands.filter((name) => name !== 'help')) {
    const { code, stdout } = await runCli([command, '--help']);
    assert.equal(code, 0, command);
    if (command !== 'journal') assert.match(stdout.toString(), /Examples?:/, command);
  }
  const { stdout } = await runCli(['--version']);
  assert.match(stdout.toString(), /^\d+\.\d+\.\d+\n$/);
});

test('--filter shows the records for which it holds, with --tag both', async (t) => {
  const folder = temporaryFolder(t);
  const segment = new SegmentBuilder(0);
  segment.add(Buffer.concat([VECTOR, UNKNOWN, VECTOR]), { recordCount: 3, exporter: '10.13.7.36' });
  segment.add(Buffer.concat([UNKNOWN, VECTOR]), { recordCount: 2, exporter: '10.13.7.37' });
  const path = segment.writeTo(folder);
  const count = async (...words: string[]): Promise<number> => {
    const { code, stdout } = await runCli(['dump', path, ...words]);
    assert.equal(code, 0);
    return lines(stdout).length;
  };
  assert.equal(await count(), 5);
  assert.equal(await count('--filter', 'client_ip in 10.0.0.0/8'), 3);
  assert.equal(await count('--filter', 'exporter = 10.13.7.37'), 2);
  assert.equal(await count('--filter', 'exporter = 10.13.7.37', '--tag', 'TUR'), 1);
  assert.equal(await count('--filter', 'tag = 0xdeadbeef', '--tag', 'TUR'), 0);
  const raw = await runCli(['dump', '-', '--filter', 'exporter != 10.13.7.37'], { input: VECTOR });
  assert.equal(raw.stdout.length, 0);
  const wrong = await runCli(['dump', path, '--filter', 'tag = TUR and subscribr_id = 1']);
  assert.equal(wrong.code, 2);
  assert.match(
    wrong.stderr,
    /MR_FILTER: filter, line 1, column 15.*\n.*\n {16}\^\n {2}do you mean/,
  );
});

test('a filter that shows nothing and is hardly meant so is warned about', async () => {
  const dump = (filter: string) => runCli(['dump', '-', '--filter', filter], { input: VECTOR });
  const none = await dump('tag = TUR and link_id = 1');
  assert.equal(none.code, 0);
  assert.match(none.stderr, /^millrace dump: warning: filter: it never holds/);
  assert.match((await dump("access_string ~ 'wwww.*'")).stderr, /a dot is a dot/);
  const some = await dump("access_string ~ '^www.*.net$'");
  assert.equal(lines(some.stdout).length, 1);
  assert.equal(some.stderr, '');
});

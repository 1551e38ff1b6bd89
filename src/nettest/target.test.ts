import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addressBytes, formatTarget, parseTarget, resolveTarget } from './target.ts';

test('[HOST] PORT and unix:PATH', () => {
  const parse = (...words: string[]): unknown => parseTarget(words, '127.0.0.1', 1);
  assert.deepEqual(parse('5500'), { kind: 'ip', host: '127.0.0.1', port: 5500 });
  assert.deepEqual(parse('::1', '5500'), { kind: 'ip', host: '::1', port: 5500 });
  assert.deepEqual(parse('[::1]', '5500'), { kind: 'ip', host: '::1', port: 5500 });
  assert.deepEqual(parse('unix:/tmp/a'), { kind: 'unix', path: '/tmp/a' });
});

for (const words of [
  ['0'],
  ['65536'],
  ['-1'],
  ['5500x'],
  ['', '5500', 'more'],
  [''],
  ['localhost'],
  ['1e3'],
  ['unix:'],
  ['unix:@'],
  ['unix:/tmp/a', '5500'],
]) {
  test(`refused: ${JSON.stringify(words)}`, () => {
    assert.throws(() => parseTarget(words, '127.0.0.1', 1), { code: 'MR_USAGE' });
  });
}

test('port 0 is for listening only', () => {
  assert.deepEqual(parseTarget(['0'], '0.0.0.0', 0), { kind: 'ip', host: '0.0.0.0', port: 0 });
});

test('targets are printed as the old programs did', () => {
  assert.equal(formatTarget({ kind: 'ip', host: '127.0.0.1', port: 5500 }), '127.0.0.1/5500');
  assert.equal(formatTarget({ kind: 'unix', path: '/tmp/a' }), 'unix:/tmp/a');
});

test('bytes of addresses', () => {
  const hex = (text: string): string => Buffer.from(addressBytes(text)).toString('hex');
  assert.equal(hex('127.0.0.1'), '00000000000000000000ffff7f000001');
  assert.equal(hex('::1'), '00000000000000000000000000000001');
  assert.equal(hex('::'), '00000000000000000000000000000000');
  assert.equal(hex('2001:db8::8:800:200c:417a'), '20010db80000000000080800200c417a');
  assert.equal(hex('fe80::'), 'fe800000000000000000000000000000');
  assert.equal(hex('::ffff:10.1.2.3'), '00000000000000000000ffff0a010203');
  assert.equal(hex('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008');
});

test('families, and what cannot be resolved', async () => {
  assert.equal((await resolveTarget({ kind: 'ip', host: '::1', port: 1 })).family, 6);
  assert.equal((await resolveTarget({ kind: 'ip', host: '127.0.0.1', port: 1 })).family, 4);
  assert.equal((await resolveTarget({ kind: 'unix', path: '@x' })).family, 'unix');
  const long = { kind: 'unix', path: 'x'.repeat(200) } as const;
  await assert.rejects(resolveTarget(long), { code: 'MR_ADDRESS' });
  const nowhere = { kind: 'ip', host: 'no such host.invalid', port: 1 } as const;
  await assert.rejects(resolveTarget(nowhere), { code: 'MR_ADDRESS' });
});

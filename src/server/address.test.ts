import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  addressBytes,
  cidrContains,
  formatAddress,
  formatEndpoint,
  isLoopback,
  parseCidr,
  parseEndpoint,
} from './address.ts';

test('HOST:PORT of both families, and back', () => {
  const cases: readonly [text: string, host: string, port: number, back: string][] = [
    ['127.0.0.1:33000', '127.0.0.1', 33_000, '127.0.0.1:33000'],
    ['[::1]:8033', '::1', 8_033, '[::1]:8033'],
    ['[2001:db8::5]:0', '2001:db8::5', 0, '[2001:db8::5]:0'],
    [':33000', '0.0.0.0', 33_000, '0.0.0.0:33000'],
    ['localhost:65535', 'localhost', 65_535, 'localhost:65535'],
  ];
  for (const [text, host, port, back] of cases) {
    const endpoint = parseEndpoint(text);
    assert.deepEqual(endpoint, { host, port });
    assert.equal(formatEndpoint(endpoint), back);
  }
});

test('what is not HOST:PORT is refused with what was found', () => {
  for (const text of [
    '',
    '33000',
    'host',
    'host:',
    '::1:33000',
    '[::1]',
    'a:65536',
    'a:-1',
    'a:1 ',
  ]) {
    assert.throws(
      () => parseEndpoint(text),
      (error: Error & { code?: string }) =>
        error.code === 'MR_ADDRESS' && error.message.includes(`"${text}"`),
    );
  }
});

/** Text, its 32 hex digits, and the text of RFC 5952 (or dotted for IPv4). */
const ADDRESSES: readonly [text: string, hex: string, back: string][] = [
  ['10.1.2.255', '00000000000000000000ffff0a0102ff', '10.1.2.255'],
  ['::ffff:10.1.2.255', '00000000000000000000ffff0a0102ff', '10.1.2.255'],
  ['::', '00000000000000000000000000000000', '::'],
  ['::1', '00000000000000000000000000000001', '::1'],
  ['1::', '00010000000000000000000000000000', '1::'],
  ['2001:DB8:0:0:1:0:0:1', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
  ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
  ['1:0:0:2:0:0:0:3', '00010000000000020000000000000003', '1:0:0:2::3'],
  ['0:0:1:0:0:1:0:0', '00000000000100000000000100000000', '::1:0:0:1:0:0'],
  ['64:ff9b::192.0.2.33', '0064ff9b0000000000000000c0000221', '64:ff9b::c000:221'],
  ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
];

for (const [text, hex, back] of ADDRESSES) {
  test(`address ${text}`, () => {
    const bytes = addressBytes(text);
    assert.ok(bytes !== null);
    assert.equal(Buffer.from(bytes).toString('hex'), hex);
    assert.equal(formatAddress(bytes), back);
    assert.deepEqual(addressBytes(back), bytes);
  });
}

test('names, zones and half addresses are no addresses', () => {
  for (const text of [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    'fe80::1%eth0',
    ':::',
    '1::2::3',
  ]) {
    assert.equal(addressBytes(text), null, text);
  }
});

test('blocks hold what their bits say', () => {
  const cases: readonly [cidr: string, inside: string[], outside: string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.1.1'], ['11.0.0.0', '::10.0.0.1']],
    ['192.0.2.129/25', ['192.0.2.128', '192.0.2.255'], ['192.0.2.127']],
    ['192.0.2.7', ['192.0.2.7'], ['192.0.2.6']],
    ['0.0.0.0/0', ['1.2.3.4'], ['::1', '2001:db8::1']],
    ['::/0', ['1.2.3.4', '::1', 'ffff::'], []],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::']],
    ['::1', ['::1'], ['::2', '127.0.0.1']],
  ];
  for (const [text, inside, outside] of cases) {
    const cidr = parseCidr(text)!;
    for (const one of inside) assert.ok(cidrContains(cidr, addressBytes(one)!), `${text} ${one}`);
    for (const one of outside) assert.ok(!cidrContains(cidr, addressBytes(one)!), `${text} ${one}`);
  }
});

test('what is no block is null', () => {
  for (const text of [
    '',
    '/8',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    '::/-1',
    'x/8',
  ]) {
    assert.equal(parseCidr(text), null, text);
  }
});

test('loopback is 127/8, ::1 and localhost', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) assert.ok(isLoopback(host));
  for (const host of ['0.0.0.0', '::', '10.0.0.1', 'sce-1']) assert.ok(!isLoopback(host), host);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostProblem } from './host-problem.ts';

test('names and addresses are hosts', () => {
  const hosts = [
    'a',
    'cm.example.net',
    'cm.example.net.',
    'old_cm-2',
    '10.0.0.1',
    '::1',
    '0.0.0.0',
  ];
  const more = [
    '2001:db8::1',
    '::ffff:10.0.0.1',
    'fd00::1',
    'fe00.example',
    '3com.example',
    'b\u00fccher.example',
  ];
  for (const host of [...hosts, ...more]) assert.equal(hostProblem(host), null, host);
});

test('what is neither says what it is, and what to write', () => {
  const cases: readonly [host: string, problem: RegExp][] = [
    ['10.0.0.1:33000', /write host: 10\.0\.0\.1, port: 33000/],
    ['cm.example:33000', /write host: cm\.example, port: 33000/],
    ['[::1]:33000', /write host: ::1, port: 33000/],
    ['[::1]', /brackets .* write ::1/],
    ['10.0.0.300', /not an IPv4 address/],
    ['10.0.0.', /not an IPv4 address/],
    ['10.0.0.1.1', /not an IPv4 address/],
    ['2001:db8:::1', /not an IPv6 address/],
    ['fe80::1%eth0', /link-local .* write a global/],
    ['fe80::1', /link-local/],
    ['FEBF::1', /link-local/],
    ['2001:db8::1%eth0', /write 2001:db8::1$/],
    ['tcp://cm.example:33000', /not a URL/],
    ['a b', /not a name of a host/],
    [' a', /not a name of a host/],
    ['10.0.0.0/8', /not a name of a host/],
  ];
  for (const [host, problem] of cases) assert.match(hostProblem(host) ?? 'null', problem, host);
});

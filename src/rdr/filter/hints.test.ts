import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterError } from './filter-error.ts';
import { parseFilter } from './parser.ts';

type Case = readonly [text: string, column: number, found: RegExp, remedy: RegExp];

function hints(cases: readonly Case[]): void {
  for (const [text, column, found, remedy] of cases) {
    assert.throws(
      () => parseFilter(text),
      (error: unknown) => {
        assert.ok(error instanceof FilterError, String(error));
        assert.equal(error.column, column, `${text}: ${error.message}`);
        assert.match(error.message, found, text);
        assert.match(error.remedy, remedy, text);
        return true;
      },
    );
  }
}

test('a value that the field does not take: the hint leads on, not in a circle', () => {
  hints([
    ["server_port ~ '80'", 13, /cannot be compared by ~/, /server_port is a number: use = or in/],
    ['server_port ~ 80', 13, /cannot be compared by ~/, /server_port is a number: use = or in/],
    ["server_port = '80'", 15, /holds numbers/, /write 80 without quotes/],
    ["server_port = 'http'", 15, /"http" is no number/, /server_port is a number, for example/],
    ['ip_protocol = tcp', 15, /"tcp" is no number/, /ip_protocol is a number, for example 6/],
    ['client_ip = 10.0.0.300', 13, /not an IPv4 address: "10\.0\.0\.300"/, /0 to 255/],
    ["client_ip = '10.0.0.300'", 13, /not an IPv4 address: "10\.0\.0\.300"/, /0 to 255/],
    ['client_ip = 10.0.0', 13, /not an IPv4 address/, /four numbers/],
    ['client_ip = host', 13, /"host" is no number/, /the address 10\.1\.2\.3/],
    ['client_ip in 10.0.0.0/33', 14, /not a block of IPv4/, /prefix is 0 to 32/],
    ['exporter in 10.0.0.0/33', 13, /not a block of IPv4/, /prefix is 0 to 32/],
    ['exporter in 2001:db8::/129', 13, /not a block of IPv6/, /prefix is 0 to 128/],
    ['exporter = 10.0.0.300', 12, /not an IPv4 address/, /0 to 255/],
    ['exporter = 2001:db8:::1', 12, /not an IPv6 address/, /hexadecimal/],
    ['unknown_26 = 10.0.0.300', 14, /not an IPv4 address/, /in quotes: '10\.0\.0\.300'/],
  ]);
});

test('what other languages write is told in the words of this one', () => {
  hints([
    ['server_port in 80, 443', 18, /found ","/, /server_port in \(80, 443\)/],
    ["(subscriber_id = 'a', 'b')", 21, /found ","/, /subscriber_id in \('a', 'b'\)/],
    ['tag = TUR, LUR', 10, /found ","/, /tag in \(NAME, NAME\)/],
    ["subscriber_id like 'x%'", 15, /found "like"/, /write subscriber_id ~ 'TEXT'/],
    ["server_port like '8%'", 13, /found "like"/, /server_port is a number/],
    ['subscriber_id is null', 15, /found "is"/, /not subscriber_id ~ ''/],
    ['Server_Port IS NOT NULL', 13, /found "IS"/, /server_port >= 0/],
    ['server_port between 1 and 2', 13, /found "between"/, /server_port >= 1024 and/],
    ['server_port => 80', 13, /"=>" is no operator/, /write >=/],
    ['server_port =< 80', 13, /"=<" is no operator/, /write <=/],
    ['server_port = 80 # http', 18, /"#" is no operator/, /no comments/],
    ['server_port = 80;', 17, /";" is no operator/, /and, or/],
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { callerOf, labelText, sizeText } from './label.ts';

test('sizes in units of 1024', () => {
  assert.deepEqual([0, 100, 1023, 1024, 4096, 1536, 1 << 20, 3 * 2 ** 29, 2 ** 41].map(sizeText), [
    '0 bytes',
    '100 bytes',
    '1023 bytes',
    '1 KiB',
    '4 KiB',
    '1.5 KiB',
    '1 MiB',
    '1.5 GiB',
    '2048 GiB',
  ]);
});

test('labels are cut between characters, and are one line', () => {
  assert.equal(labelText('x'.repeat(63)), 'x'.repeat(63));
  assert.equal(labelText('x'.repeat(64)), `${'x'.repeat(60)}…`);
  assert.equal(labelText('ß'.repeat(32)), `${'ß'.repeat(30)}…`);
  assert.equal(labelText('a\r\n\0b\u009f'), 'a   b ');
});

function outer(): ReturnType<typeof callerOf> {
  return inner();
}

function inner(): ReturnType<typeof callerOf> {
  return callerOf(inner);
}

test('the place of a caller is that of the frame above, whoever prepares stacks', () => {
  const place = outer();
  assert.match(place.text, /^label\.test\.js:\d+$/);
  assert.ok(place.path.endsWith(`/guard/label.test.js`), place.path);
  const prepare = (): string => 'prepared';
  const before: unknown = Reflect.get(Error, 'prepareStackTrace');
  Error.prepareStackTrace = prepare;
  try {
    assert.deepEqual(outer(), place);
    assert.equal(Reflect.get(Error, 'prepareStackTrace'), prepare);
  } finally {
    Reflect.set(Error, 'prepareStackTrace', before);
  }
});

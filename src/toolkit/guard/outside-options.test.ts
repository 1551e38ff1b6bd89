import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import { outsideOptions } from './outside-options.ts';

test('without variables: what a foreign program bears', () => {
  assert.deepEqual(outsideOptions({}), {
    minBytes: 65_536,
    label: '',
    mode: 'continue',
    allow: [],
    only: '',
    isEvery: false,
    syscalls: false,
    summaryFile: '',
  });
});

test('each variable', () => {
  const options = outsideOptions({
    MILLRACE_GUARD_MIN_BYTES: '4096',
    MILLRACE_GUARD_LABEL: 'mine',
    MILLRACE_GUARD_MODE: 'divert',
    MILLRACE_GUARD_ALLOW: 'fill|pool.js',
    MILLRACE_GUARD_ONLY: 'arena.js:',
    MILLRACE_GUARD_ALL: '1',
    MILLRACE_GUARD_SYSCALLS: '1',
    MILLRACE_GUARD_SUMMARY: '/tmp/summary',
  });
  assert.deepEqual(options, {
    minBytes: 4096,
    label: 'mine',
    mode: 'divert',
    allow: ['fill', 'pool.js'],
    only: 'arena.js:',
    isEvery: true,
    syscalls: true,
    summaryFile: '/tmp/summary',
  });
});

test('what cannot be understood names its variable', () => {
  const bad = [
    ['MILLRACE_GUARD_MIN_BYTES', '0'],
    ['MILLRACE_GUARD_MIN_BYTES', '64k'],
    ['MILLRACE_GUARD_MODE', 'toString'],
  ] as const;
  for (const [name, value] of bad) {
    assert.throws(
      () => outsideOptions({ [name]: value }),
      (error) =>
        error instanceof MillraceError &&
        error.code === 'MR_USAGE' &&
        error.message.startsWith(`${name}=${value} `),
    );
  }
});

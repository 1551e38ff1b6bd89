import assert from 'node:assert/strict';
import { constants } from 'node:os';
import { test } from 'node:test';
import { GuardError, guardError } from './guard-error.ts';

test('an errno of the core becomes a code, with its sentence and a remedy', () => {
  const error = guardError('protect', -constants.errno.EEXIST, 'page 7 belongs to region 3');
  assert.ok(error instanceof GuardError);
  assert.equal(error.code, 'MR_GUARD_OVERLAP');
  assert.equal(error.message, 'protect: page 7 belongs to region 3 (EEXIST)');
  assert.notEqual(error.remedy, '');
});

test('an errno that nobody expected is named as it is', () => {
  const error = guardError('protect', -constants.errno.EIO, '');
  assert.equal(error.code, 'MR_GUARD_KERNEL');
  assert.equal(error.message, 'protect: EIO');
  assert.match(guardError('protect', -999, '').message, /errno 999/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import { checked, ENOSPC, errnoName, SyscallError } from './errno.ts';

test('a value passes, a negative result becomes MR_SYSCALL with the names', () => {
  assert.equal(checked('pwrite', 0), 0);
  assert.equal(checked('pwrite', 42), 42);
  assert.throws(
    () => checked('pwrite', -ENOSPC, 'journal/1.seg'),
    (error) =>
      error instanceof SyscallError &&
      error instanceof MillraceError &&
      error.code === 'MR_SYSCALL' &&
      error.errnoName === 'ENOSPC' &&
      error.errno === ENOSPC &&
      error.syscall === 'pwrite' &&
      error.message === 'pwrite on journal/1.seg failed: ENOSPC, no space left on device' &&
      error.remedy.includes('free some space'),
  );
});

test('a number that is no errno still makes a readable error', () => {
  assert.match(new SyscallError('recv', -99999).message, /recv failed: errno 99999/);
  assert.equal(errnoName(-99999), 'errno 99999');
  assert.equal(errnoName(-ENOSPC), 'ENOSPC');
});

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { EBADF, EMFILE, ENOMEM, ENOSPC } from './errno.ts';
import { failCall, type SetFault } from './faults.ts';
import { closeFd } from './file.ts';
import { addonSkipReason } from './load.ts';
import { pipeCreate, splice } from './pipe.ts';

const needsAddon = { skip: addonSkipReason() };
const NO_FD = 4_194_303;
const faults: SetFault[] = [];
afterEach(() => {
  while (faults.length > 0) faults.pop()!.restore();
});

function set(fault: Parameters<typeof failCall>[0]): SetFault {
  const made = failCall(fault);
  faults.push(made);
  return made;
}

test('the n-th call fails, the kernel is not asked, the others go on', needsAddon, () => {
  const fault = set({ call: 'closeFd', nth: 2, errno: ENOSPC });
  assert.deepEqual(
    [1, 2, 3].map(() => closeFd(NO_FD)),
    [-EBADF, -ENOSPC, -EBADF],
  );
  assert.equal(fault.calls, 3);
  fault.restore();
  assert.equal(closeFd(NO_FD), -EBADF);
});

test('several calls in a row fail', needsAddon, () => {
  set({ call: 'splice', nth: 1, errno: ENOMEM, count: 2 });
  assert.deepEqual(
    [1, 2, 3].map(() => splice(NO_FD, NO_FD, 1)),
    [-ENOMEM, -ENOMEM, -EBADF],
  );
});

test('two faults stand beside each other', needsAddon, () => {
  set({ call: 'closeFd', nth: 1, errno: ENOSPC });
  set({ call: 'pipeCreate', nth: 1, errno: EMFILE });
  assert.equal(pipeCreate(new Int32Array(2)), -EMFILE);
  assert.equal(closeFd(NO_FD), -ENOSPC);
});

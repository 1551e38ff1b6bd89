import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/index.ts';
import { Guard, protect } from './guard.ts';
import { GuardError } from './guard-error.ts';
import { allocGuarded } from './guarded-buffer.ts';
import { watch } from './watch.ts';

const needsAddon = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64',
};
const DOOR = new URL('./index.js', import.meta.url).href;

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof GuardError, String(error));
    return `${error.code} ${error.message}; ${error.remedy}`;
  }
  return assert.fail('it was taken');
}

test('options that are none: the name, what was found, what is needed', needsAddon, () => {
  const memory = new SharedArrayBuffer(65_536);
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ lable: 'x' }, /^MR_GUARD_MODE protect has no option 'lable'; its options are label, mode/],
    [{ edges: 'no' }, /edges: 'no'.*'ignore' or 'refuse'/],
    [{ allow: 'abc' }, /option allow is 'abc'; allow is an array of strings/],
    [{ label: 5 }, /option label is 5; label is a string/],
    [{ alias: 1 }, /option alias is 1; alias is a boolean/],
  ];
  for (const [options, said] of wrong)
    assert.match(
      refusal(() => protect(memory, options)),
      said,
    );
  protect(memory).end();
  const bytes = new Uint8Array(64);
  assert.match(
    refusal(() => watch(bytes, 0, 8, { read: true } as object)),
    /no option 'read'/,
  );
  assert.match(
    refusal(() => allocGuarded(8, { canary: 'yes' } as object)),
    /canary is 'yes'/,
  );
});

test('slices and generations that are no integers, handles that are none', needsAddon, () => {
  const memory = new SharedArrayBuffer(65_536, { maxByteLength: 65_536 });
  using guard = protect(memory, { label: 'table' });
  for (const [offset, bytes] of [
    [0.5, 8192],
    [0, 8192.5],
    [-1, 8192],
    [Number.NaN, 8192],
  ] as const) {
    assert.match(
      refusal(() => guard.protectSlice(offset, bytes)),
      /^MR_GUARD_RANGE/,
    );
    assert.match(
      refusal(() => guard.unprotectSlice(offset, bytes)),
      /^MR_GUARD_RANGE/,
    );
  }
  for (const generation of [-1, 1.5, 2 ** 32]) {
    const said = refusal(() => guard.protectSlice(0, 8192, generation));
    assert.match(said, /^MR_GUARD_RANGE .*generation is an integer from 0 to 4294967295/);
  }
  for (const handle of [{}, null, 5]) {
    assert.match(
      refusal(() => Guard.attach(handle as never)),
      /no handle of a guard/,
    );
  }
});

test('what was allowed is counted, also after the end', needsAddon, () => {
  const memory = new Uint8Array(new SharedArrayBuffer(65_536));
  const guard = protect(memory, { allow: ['wrong-input'], label: 'allowed' });
  for (let i = 0; i < 3; i++) memory[guard.offset + i] = i;
  assert.equal(guard.allowed, 3);
  guard.end();
  assert.equal(guard.allowed, 3);
});

test('a damaged canary stays damaged until release()', needsAddon, () => {
  const buffer = allocGuarded(16, { canary: true, label: 'damaged' });
  const whole = new Uint8Array(buffer.view.buffer);
  assert.equal(buffer.check(), true);
  whole[buffer.view.byteOffset - 1] = 1;
  assert.deepEqual([buffer.check(), buffer.check(), buffer.release()], [false, false, false]);
});

for (const after of ['', "process.off('SIGSEGV', listener);"]) {
  const name = after === '' ? 'a listener of SIGSEGV' : 'one that was taken away';
  test(`${name}: a write is reported, and ends the process`, needsAddon, () => {
    const text = `import { protect } from ${JSON.stringify(DOOR)};
      const bytes = new Uint8Array(new SharedArrayBuffer(65536));
      const guard = protect(bytes, { label: 'table' });
      const listener = () => {};
      process.on('SIGSEGV', listener);
      ${after}
      bytes[guard.offset] = 1;`;
    const node = [process.execPath, '--input-type=module', '-e', text];
    const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...node];
    const { signal, stderr } = spawnSync('sh', shell, { encoding: 'utf8', timeout: 60_000 });
    assert.match(stderr, /^segmentation fault at .* of 'table'/);
    assert.equal(signal, 'SIGSEGV');
  });
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { MillraceError } from '../base/errors.ts';
import { addonSkipReason } from '../sys/load.ts';
import { GUARD_FUNCTION_NAMES, guardNative, loadGuard } from './native.ts';

const needsAddon = { skip: addonSkipReason() };
const URL_OF_NATIVE = new URL('./native.js', import.meta.url).href;

/** Runs a module's text in a child that cannot dump core; `guard` is guardNative(). */
function runChild(code: string) {
  const text = `import { guardNative } from ${JSON.stringify(URL_OF_NATIVE)};
    const guard = guardNative();\n${code}`;
  const node = [process.execPath, '--input-type=module', '-e', text];
  const shell = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...node];
  return spawnSync('sh', shell, { encoding: 'utf8', timeout: 60_000 });
}

test('the list of functions and the addon name the same, both ways', needsAddon, () => {
  const exported = Object.keys(guardNative());
  assert.deepEqual([...exported].sort(), [...GUARD_FUNCTION_NAMES].sort());
});

test('another processor: MR_GUARD_CPU says what is needed', () => {
  assert.throws(
    () => loadGuard({ arch: 'arm64' }),
    (error) =>
      error instanceof MillraceError &&
      error.code === 'MR_GUARD_CPU' &&
      /arm64/.test(error.message),
  );
});

test('MILLRACE_NO_ADDON=1 and a missing file: MR_ADDON', () => {
  for (const options of [{ env: { MILLRACE_NO_ADDON: '1' } }, { root: '/nonexistent', env: {} }]) {
    assert.throws(
      () => loadGuard(options),
      (error) => error instanceof MillraceError && error.code === 'MR_ADDON',
    );
  }
});

test(
  'a write into a protected page is reported, and ends the process by SIGSEGV',
  needsAddon,
  () => {
    const { signal, stderr } = runChild(`
    const bytes = new Uint8Array(new SharedArrayBuffer(65536));
    const extent = new Float64Array(2);
    const id = guard.region(bytes, 0, bytes.length, 'session table', 0, 0, '', extent);
    if (id < 0) throw new Error(guard.problem());
    guard.protect(id, 0, bytes.length, 7);
    guard.unprotect(id, 0, bytes.length);
    bytes[extent[0]] = 1;
    guard.protect(id, 0, bytes.length, 8);
    if (bytes[extent[0]] !== 1) throw new Error('reads must pass');
    bytes[extent[0] + 5] = 2;
    console.log('not reached');`);
    assert.equal(signal, 'SIGSEGV', stderr);
    assert.match(stderr, /segmentation fault at 0x[0-9a-f]+/);
    assert.match(stderr, /session table/);
  },
);

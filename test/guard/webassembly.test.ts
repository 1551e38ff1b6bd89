import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guardSkipReason, type Reported, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };

/**
 * (module (import "env" "memory" (memory 2 2 shared))
 *   (func (export "plain") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
 *   (func (export "atomic") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1))))
 */
const MODULE = [
  '0061736d01000000',
  '010601 60027f7f00',
  '021001 03656e76 066d656d6f7279 02030202',
  '03030200 00',
  '071202 05706c61696e 0000 0661746f6d6963 0001',
  '0a1602 09 002000200136 0200 0b 0a 0020002001fe17 0200 0b',
]
  .join('')
  .replaceAll(' ', '');

const SETUP = `
  const memory = new WebAssembly.Memory({ initial: 2, maximum: 2, shared: true });
  const code = Buffer.from('${MODULE}', 'hex');
  const { instance } = await WebAssembly.instantiate(code, { env: { memory } });
  const { plain, atomic } = instance.exports;
  const words = new Int32Array(memory.buffer);
  const protect = (mode) => guard.protect(memory, { label: 'heap', mode });
  const answer = (value) => console.log(JSON.stringify(value));`;

function answerOf({ status, stdout, stderr }: Reported): unknown {
  assert.equal(status, 0, stderr.slice(-3000));
  return JSON.parse(stdout);
}

test('throw: a plain store is a RuntimeError with a stack, again and again', options, () => {
  const child = runReported(`${SETUP}
    protect('throw');
    let thrown = 0;
    for (let i = 0; i < 100; i++) {
      try {
        plain(4096, 42);
      } catch (error) {
        if (error instanceof WebAssembly.RuntimeError && /wasm/.test(error.stack)) thrown++;
      }
    }
    answer({ thrown, value: words[1024] });`);
  assert.deepEqual(answerOf(child), { thrown: 100, value: 0 });
  assert.equal(child.reports.length, 100);
  for (const { kind, label, offset, width, end, isFatal, isAtomic } of child.reports) {
    assert.deepEqual(
      [kind, label, offset, width, end, isFatal, isAtomic],
      ['write', 'heap', 4096, 4, 'throws', false, false],
    );
  }
});

test('throw: an atomic store cannot throw, so it is reported and the process dies', options, () => {
  const { signal, reports, stdout } = runReported(`${SETUP}
    protect('throw');
    try { atomic(4096, 42); } catch { answer('caught'); }`);
  assert.equal(stdout, '');
  assert.equal(signal, 'SIGSEGV');
  assert.equal(reports.length, 1);
  assert.deepEqual(
    [reports[0]!.isAtomic, reports[0]!.isFatal, reports[0]!.end],
    [true, true, 'dies'],
  );
});

for (const name of ['plain', 'atomic']) {
  test(`continue: the ${name} store is reported and happens`, options, () => {
    const child = runReported(`${SETUP}
      protect('continue');
      for (let i = 0; i < 10; i++) ${name}(4096 + 4 * i, i + 1);
      answer([...words.subarray(1024, 1035)]);`);
    assert.deepEqual(answerOf(child), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0]);
    assert.deepEqual(
      child.reports.map(({ offset, new: bytes }) => [offset, bytes]),
      Array.from({ length: 10 }, (_, i) => [4096 + 4 * i, `0${(i + 1).toString(16)}000000`]),
    );
  });

  test(`divert: the ${name} store is reported, and the data stay`, options, () => {
    const child = runReported(`${SETUP}
      protect('divert');
      ${name}(4096, 42);
      answer(words[1024]);`);
    assert.equal(answerOf(child), 0);
    assert.deepEqual(
      child.reports.map(({ offset, end }) => [offset, end]),
      [[4096, 'diverted']],
    );
  });
}

test('out of bounds is still what it was, and no report', options, () => {
  const child = runReported(`${SETUP}
    protect('report');
    try { plain(131072, 1); } catch (error) { answer(String(error)); }`);
  assert.match(String(answerOf(child)), /^RuntimeError: memory access out of bounds$/);
  assert.deepEqual(child.reports, []);
});

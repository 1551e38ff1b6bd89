import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WasmModule } from '../../base/webassembly.ts';
import { assemble, signedLeb, unsignedLeb } from './assembler.ts';
import { createMemory, loadKernel, MEMORY_IMPORT } from './kernels.ts';

function hex(bytes: Iterable<number>): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Behind magic and version. */
function body(text: string): string {
  const bytes = assemble(text);
  assert.equal(hex(bytes.subarray(0, 8)), '00 61 73 6d 01 00 00 00');
  new WasmModule(bytes);
  return hex(bytes.subarray(8));
}

type Functions = Readonly<Record<string, (...args: (number | bigint)[]) => number | bigint>>;

function load(functions: string, bytes = 65_536) {
  const memory = createMemory(bytes);
  const text = `(module ${MEMORY_IMPORT} ${functions})`;
  return { memory, functions: loadKernel<Functions>(text, memory) };
}

test('LEB128, with the examples of the specification of DWARF', () => {
  const unsigned: [number, string][] = [
    [0, '00'],
    [127, '7f'],
    [128, '80 01'],
    [129, '81 01'],
    [12857, 'b9 64'],
    [65536, '80 80 04'],
  ];
  for (const [value, bytes] of unsigned) assert.equal(hex(unsignedLeb(value)), bytes);
  const signed: [number, string][] = [
    [2, '02'],
    [-2, '7e'],
    [63, '3f'],
    [64, 'c0 00'],
    [127, 'ff 00'],
    [-127, '81 7f'],
    [128, '80 01'],
    [-128, '80 7f'],
    [-(2 ** 31), '80 80 80 80 78'],
  ];
  for (const [value, bytes] of signed) assert.equal(hex(signedLeb(BigInt(value))), bytes);
});

test('a module, byte for byte', () => {
  const text = `(module
    (import "env" "memory" (memory 1 65536 shared))
    (func $get (export "get") (param $at i32) (result i32)
      (i32.atomic.load offset=128 (local.get $at)))) ;; the end`;
  const expected = [
    '01 06 01 60 01 7f 01 7f', // types: one, (i32) -> i32
    '02 12 01 03 65 6e 76 06 6d 65 6d 6f 72 79 02 03 01 80 80 04', // env.memory, 1..65536 shared
    '03 02 01 00', // functions: one, of type 0
    '07 07 01 03 67 65 74 00 00', // exports: get = function 0
    '0a 0b 01 09 00 20 00 fe 10 02 80 01 0b', // no locals; get, load align 4 offset 128, end
  ];
  assert.equal(body(text), expected.join(' '));
});

test('locals, blocks and branches, byte for byte', () => {
  const text = `(module
    (func $f (param i32) (local $n i32) (local i64 f64)
      (block $out
        (loop $again
          (br_if $out (i32.eqz (local.get 0)))
          (local.set $n (i32.sub (local.get 0) (i32.const -1)))
          (br $again)))))`;
  const expected = [
    '01 05 01 60 01 7f 00',
    '02 01 00',
    '03 02 01 00',
    '07 01 00',
    '0a 1e 01 1c 03 01 7f 01 7e 01 7c',
    '02 40 03 40 20 00 45 0d 01 20 00 41 7f 6b 21 01 0c 00 0b 0b 0b',
  ];
  assert.equal(body(text), expected.join(' '));
});

test('flat words mean the same as folded ones', () => {
  const folded =
    '(module (func (param $a i32) (result i32) (i32.add (local.get $a) (i32.const 7))))';
  const flat = '(module (func (param $a i32) (result i32) local.get $a i32.const 7 i32.add))';
  assert.equal(body(flat), body(folded));
});

test('an if with a result, with and without else; a call; a loop', () => {
  const { functions } = load(`
    (func $larger (export "larger") (param $a i32) (param $b i32) (result i32)
      (if (result i32) (i32.gt_s (local.get $a) (local.get $b))
        (then (local.get $a))
        (else (local.get $b))))
    (func (export "largest") (param $a i32) (param $b i32) (param $c i32) (result i32)
      (call $larger (local.get $a) (call $larger (local.get $b) (local.get $c))))
    (func (export "sum") (param $n i32) (result i32) (local $sum i32)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $n)))
          (local.set $sum (i32.add (local.get $sum) (local.get $n)))
          (local.set $n (i32.sub (local.get $n) (i32.const 1)))
          (br $next)))
      (if (i32.eq (local.get $sum) (i32.const 0x0f)) (then (return (i32.const -15))))
      (local.get $sum))`);
  assert.equal(functions.largest!(3, -9, 5), 5);
  assert.equal(functions.sum!(100), 5050);
  assert.equal(functions.sum!(5), -15);
});

test('every binary operator computes what JavaScript computes', () => {
  const operators: Readonly<Record<string, (a: number, b: number) => number>> = {
    'i32.add': (a, b) => (a + b) | 0,
    'i32.sub': (a, b) => (a - b) | 0,
    'i32.mul': Math.imul,
    'i32.div_s': (a, b) => (a / b) | 0,
    'i32.rem_u': (a, b) => ((a >>> 0) % (b >>> 0)) | 0,
    'i32.and': (a, b) => a & b,
    'i32.or': (a, b) => a | b,
    'i32.xor': (a, b) => a ^ b,
    'i32.shl': (a, b) => a << b,
    'i32.shr_s': (a, b) => a >> b,
    'i32.shr_u': (a, b) => (a >>> b) | 0,
    'i32.eq': (a, b) => Number(a === b),
    'i32.ne': (a, b) => Number(a !== b),
    'i32.lt_s': (a, b) => Number(a < b),
    'i32.lt_u': (a, b) => Number(a >>> 0 < b >>> 0),
    'i32.gt_s': (a, b) => Number(a > b),
    'i32.gt_u': (a, b) => Number(a >>> 0 > b >>> 0),
    'i32.le_s': (a, b) => Number(a <= b),
    'i32.le_u': (a, b) => Number(a >>> 0 <= b >>> 0),
    'i32.ge_s': (a, b) => Number(a >= b),
    'i32.ge_u': (a, b) => Number(a >>> 0 >= b >>> 0),
  };
  const i64 = Object.keys(operators).map((name) => name.replace('i32', 'i64'));
  const one = (name: string): string => {
    const type = name.slice(0, 3);
    const result = /(eq|ne|[lg][te](_[su])?)$/.test(name) ? 'i32' : type;
    return `(func (export "${name}") (param $a ${type}) (param $b ${type}) (result ${result})
      (${name} (local.get $a) (local.get $b)))`;
  };
  const floats = ['add', 'sub', 'mul', 'div', 'min', 'max'].map((name) => `f64.${name}`);
  const { functions } = load([...Object.keys(operators), ...i64, ...floats].map(one).join('\n'));
  for (const [a, b] of [
    [7, 3],
    [-7, 3],
    [0x7fff_ffff, 2],
    [-1, 1],
    [5, 5],
  ] as const) {
    for (const [name, compute] of Object.entries(operators)) {
      assert.equal(functions[name]!(a, b), compute(a, b), `${name} ${a} ${b}`);
    }
  }
  for (const name of i64) {
    const expected = operators[name.replace('i64', 'i32')]!(1000, 3);
    assert.equal(Number(functions[name]!(1000n, 3n)), expected, name);
  }
  assert.deepEqual(
    floats.map((name) => functions[name]!(6, 1.5)),
    [7.5, 4.5, 9, 4, 1.5, 6],
  );
});

test('loads, stores and atomics touch the bytes that they say', () => {
  const { memory, functions } = load(`
    (func (export "store") (param $at i32) (param $v i32)
      (i32.store8 (local.get $at) (local.get $v))
      (i32.store16 offset=2 (local.get $at) (local.get $v))
      (i32.store offset=4 (local.get $at) (local.get $v))
      (i64.store offset=8 (local.get $at) (i64.extend_i32_s (local.get $v)))
      (f64.store offset=16 (local.get $at) (f64.convert_i32_s (local.get $v)))
      (i32.atomic.store offset=24 (local.get $at) (local.get $v))
      (i64.atomic.store offset=32 (local.get $at) (i64.const -0x2)))
    (func (export "load") (param $at i32) (result f64)
      (f64.add (f64.load offset=16 (local.get $at))
        (f64.convert_i32_u (i32.add (i32.load8_u (local.get $at))
          (i32.load16_u offset=2 (local.get $at))))))
    (func (export "constant") (result f64) f64.const -1.5e3)
    (func (export "cas") (param $at i32) (param $a i32) (param $b i32) (result i32)
      (i32.atomic.rmw.cmpxchg offset=64 (local.get $at) (local.get $a) (local.get $b)))
    (func (export "add") (param $at i32) (param $a i32) (result i32)
      (i32.atomic.rmw.add offset=64 (local.get $at) (local.get $a)))
    (func (export "copy") (memory.copy (i32.const 256) (i32.const 128) (i32.const 64)))`);
  const view = new DataView(memory.buffer);
  functions.store!(128, -3);
  assert.equal(view.getUint8(128), 0xfd);
  assert.equal(view.getUint8(129), 0);
  assert.equal(view.getUint16(130, true), 0xfffd);
  assert.equal(view.getInt32(132, true), -3);
  assert.equal(view.getBigInt64(136, true), -3n);
  assert.equal(view.getFloat64(144, true), -3);
  assert.equal(view.getInt32(152, true), -3);
  assert.equal(view.getBigInt64(160, true), -2n);
  assert.equal(functions.load!(128), 0xfd + 0xfffd - 3);
  assert.equal(functions.constant!(), -1500);
  assert.equal(functions.cas!(0, 0, 9), 0);
  assert.equal(functions.cas!(0, 0, 5), 9);
  assert.equal(functions.add!(0, 4), 9);
  assert.equal(view.getInt32(64, true), 13);
  functions.copy!();
  assert.equal(view.getFloat64(256 + 16, true), -3);
});

test('one module a text, one instance a memory', () => {
  const text = `(module ${MEMORY_IMPORT} 
    (func (export "f") (i32.store (i32.const 0) (i32.const 1))))`;
  const [one, other] = [createMemory(1), createMemory(1)];
  assert.equal(one.buffer.byteLength, 65_536);
  const kernel = loadKernel<Functions>(text, one);
  assert.equal(loadKernel<Functions>(text, one), kernel);
  loadKernel<Functions>(text, other).f!();
  assert.equal(new Int32Array(one.buffer)[0], 0);
  assert.equal(new Int32Array(other.buffer)[0], 1);
});

test('a text that is wrong is refused, with the word', () => {
  const inFunction = (text: string): string => `(module (func $f (param $a i32) ${text}))`;
  const wrong: [string, RegExp][] = [
    ['(module', /not closed/],
    ['(module))', /too many/],
    ['(func)', /not a module/],
    ['(module (table 1))', /field not known/],
    ['(module (func "x', /nothing starts/],
    ['(module (import "a" "b" (memory 1 2)))', /shared/],
    [inFunction('(i32.plus)'), /i32\.plus/],
    [inFunction('plus'), /plus/],
    [inFunction('(local.get $b)'), /\$b/],
    [inFunction('(local.get)'), /a word is missing/],
    [inFunction('(br $nowhere)'), /\$nowhere/],
    [inFunction('(call $g)'), /\$g/],
    [inFunction('(drop (i32.const 4294967296))'), /too large/],
    [inFunction('(drop (i32.const 1e3))'), /not an integer/],
    [inFunction('(drop (f64.const x))'), /not a number/],
    [inFunction('(if (local.get $a))'), /without then/],
    [inFunction('(local $a i32)'), /there already/],
    ['(module (func (param f32)))', /f32/],
  ];
  for (const [text, message] of wrong) {
    assert.throws(() => assemble(text), { code: 'MR_ASSERT', message }, text);
  }
});

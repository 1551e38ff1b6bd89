/**
 * Opcodes of the WebAssembly instructions that kernels use: name, bytes, and what follows them.
 *
 * Source: WebAssembly Core Specification 5.4 (binary instructions), the threads proposal (prefix
 * 0xFE) and bulk memory (prefix 0xFC).
 */

/** What stands behind an opcode in the binary; a number is a memory access of that many bytes. */
export type Immediate = 'none' | 'local' | 'label' | 'func' | 'i32' | 'i64' | 'f64' | number;

export interface Opcode {
  readonly bytes: readonly number[];
  readonly immediate: Immediate;
}

const PLAIN: Readonly<Record<string, number>> = {
  unreachable: 0x00,
  nop: 0x01,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  'i32.wrap_i64': 0xa7,
  'i32.trunc_f64_s': 0xaa,
  'i32.trunc_f64_u': 0xab,
  'i64.extend_i32_s': 0xac,
  'i64.extend_i32_u': 0xad,
  'f64.convert_i32_s': 0xb7,
  'f64.convert_i32_u': 0xb8,
  'i64.reinterpret_f64': 0xbd,
  'f64.reinterpret_i64': 0xbf,
};

/** Instructions whose opcodes stand in a row, with the opcode of the first. */
const ROWS: readonly (readonly [first: number, type: string, names: string])[] = [
  [0x45, 'i32', 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0x50, 'i64', 'eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u'],
  [0x61, 'f64', 'eq ne lt gt le ge'],
  [0x67, 'i32', 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u'],
  [0x79, 'i64', 'clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u'],
  [0x99, 'f64', 'abs neg ceil floor trunc nearest sqrt add sub mul div min max'],
];

/** Memory accesses: name, opcode bytes, bytes of memory that it touches. */
const ACCESSES: readonly (readonly [name: string, bytes: readonly number[], access: number])[] = [
  ['i32.load', [0x28], 4],
  ['i64.load', [0x29], 8],
  ['f64.load', [0x2b], 8],
  ['i32.load8_u', [0x2d], 1],
  ['i32.load16_u', [0x2f], 2],
  ['i32.store', [0x36], 4],
  ['i64.store', [0x37], 8],
  ['f64.store', [0x39], 8],
  ['i32.store8', [0x3a], 1],
  ['i32.store16', [0x3b], 2],
  ['memory.atomic.notify', [0xfe, 0x00], 4],
  ['memory.atomic.wait32', [0xfe, 0x01], 4],
  ['i32.atomic.load', [0xfe, 0x10], 4],
  ['i64.atomic.load', [0xfe, 0x11], 8],
  ['i32.atomic.store', [0xfe, 0x17], 4],
  ['i64.atomic.store', [0xfe, 0x18], 8],
];

/** Read-modify-write operations: the i32 form, and the i64 form one behind it. */
const RMW_FIRST: Readonly<Record<string, number>> = {
  add: 0x1e,
  sub: 0x25,
  and: 0x2c,
  or: 0x33,
  xor: 0x3a,
  xchg: 0x41,
  cmpxchg: 0x48,
};

const WITH_INDEX: readonly (readonly [name: string, byte: number, immediate: Immediate])[] = [
  ['br', 0x0c, 'label'],
  ['br_if', 0x0d, 'label'],
  ['call', 0x10, 'func'],
  ['local.get', 0x20, 'local'],
  ['local.set', 0x21, 'local'],
  ['local.tee', 0x22, 'local'],
  ['i32.const', 0x41, 'i32'],
  ['i64.const', 0x42, 'i64'],
  ['f64.const', 0x44, 'f64'],
];

function makeOpcodes(): ReadonlyMap<string, Opcode> {
  const table = new Map<string, Opcode>();
  const add = (name: string, bytes: readonly number[], immediate: Immediate): void => {
    table.set(name, { bytes, immediate });
  };
  for (const [name, byte] of Object.entries(PLAIN)) add(name, [byte], 'none');
  for (const [first, type, names] of ROWS) {
    for (const [index, name] of names.split(' ').entries()) {
      add(`${type}.${name}`, [first + index], 'none');
    }
  }
  for (const [name, bytes, access] of ACCESSES) add(name, bytes, access);
  for (const [name, first] of Object.entries(RMW_FIRST)) {
    add(`i32.atomic.rmw.${name}`, [0xfe, first], 4);
    add(`i64.atomic.rmw.${name}`, [0xfe, first + 1], 8);
  }
  for (const [name, byte, immediate] of WITH_INDEX) add(name, [byte], immediate);
  add('atomic.fence', [0xfe, 0x03, 0x00], 'none');
  add('memory.copy', [0xfc, 0x0a, 0x00, 0x00], 'none');
  add('memory.fill', [0xfc, 0x0b, 0x00], 'none');
  return table;
}

export const OPCODES: ReadonlyMap<string, Opcode> = makeOpcodes();

export const VALUE_TYPES: Readonly<Record<string, number>> = { i32: 0x7f, i64: 0x7e, f64: 0x7c };

/**
 * A program of Node.js that works on a buffer and then writes where it must not, once.
 *
 *     node corrupting.js ROUNDS [guard]
 *
 * A round is that of bench/peers/corrupt.c: all of a buffer of 64 KiB, byte by byte.
 */
import { SharedWasmMemory } from '../../src/toolkit/base/webassembly.ts';

const WORK_BYTES = 65_536;
const WASM_PAGES = 2;

function work(bytes: Uint8Array, from: number): number {
  let sum = from;
  for (let i = 0; i < WORK_BYTES; i++) {
    sum = (Math.imul(sum, 31) + bytes[i]!) | 0;
    bytes[i] = sum;
  }
  return sum;
}

function writeBehind(bytes: Uint8Array): void {
  bytes[WORK_BYTES] = 1; // the bug
}

const [rounds, guard] = process.argv.slice(2);
const descriptor = { initial: WASM_PAGES, maximum: WASM_PAGES, shared: true } as const;
const all = new Uint8Array(new SharedWasmMemory(descriptor).buffer);
if (guard !== undefined) {
  const { GUARD_MODES, guardNative } = await import('../../src/toolkit/guard/native.ts');
  const native = guardNative();
  const extent = new Float64Array(2);
  const { report } = GUARD_MODES;
  const id = native.region(all, WORK_BYTES, WORK_BYTES, 'data', report, 0, '', extent);
  native.protect(id, 0, WORK_BYTES, 1);
}
let sum = 1;
for (let round = 0; round < Number(rounds); round++) sum = work(all, sum);
process.stdout.write(`${sum}\n`);
writeBehind(all);

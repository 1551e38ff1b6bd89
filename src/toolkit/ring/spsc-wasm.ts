/**
 * Kernels of SpscRing in WebAssembly: one call pushes or pops one item.
 *
 * WHY          An item that is published by itself costs one atomic store. V8 calls a function for
 *              each one of JavaScript and inlines those of WebAssembly.
 * LAYOUT       spsc-layout.ts, over the same memory; `ring` is the byte where it begins.
 * OWNERSHIP    as spsc-kernel.ts, of which these are the sum: room, write, commit; and available,
 *              read, release.
 * INVARIANTS   those of spsc-kernel.ts; the tests of SpscRing run over both.
 * MEMORY ORDER i32.atomic is sequentially consistent as Atomics is, and both are one memory model.
 * PROGRESS     wait-free.
 * REFUSED      loops inside of WebAssembly (payload of callers is not in its memory).
 */
import {
  SPSC_CACHED_READ_WORD,
  SPSC_CACHED_WRITE_WORD,
  SPSC_CONTROL_BYTES,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_READ_WORD,
  SPSC_WRITE_WORD,
} from './spsc-layout.ts';
import { MEMORY_IMPORT } from './wasm/kernels.ts';

const writeSeq = `offset=${SPSC_WRITE_WORD * 4}`;
const nextWriteSeq = `offset=${SPSC_NEXT_WRITE_WORD * 4}`;
const cachedReadSeq = `offset=${SPSC_CACHED_READ_WORD * 4}`;
const readSeq = `offset=${SPSC_READ_WORD * 4}`;
const nextReadSeq = `offset=${SPSC_NEXT_READ_WORD * 4}`;
const cachedWriteSeq = `offset=${SPSC_CACHED_WRITE_WORD * 4}`;
const slots = `offset=${SPSC_CONTROL_BYTES}`;

/** Where the slot of `seq` is, as an address to which the offset of the slots is added. */
function slotAt(bytesLog2: number): string {
  return `(i32.add (local.get $ring) (i32.shl
    (i32.and (local.get $seq) (i32.sub (local.get $capacity) (i32.const 1)))
    (i32.const ${bytesLog2})))`;
}

function pushText(name: string, type: 'i32' | 'f64', bytesLog2: number): string {
  return `(func (export "${name}")
    (param $ring i32) (param $capacity i32) (param $every i32) (param $value ${type}) (result i32)
    (local $seq i32) (local $read i32)
    (local.set $seq (i32.load ${nextWriteSeq} (local.get $ring)))
    (if (i32.ge_s
          (i32.sub (local.get $seq) (i32.load ${cachedReadSeq} (local.get $ring)))
          (local.get $capacity))
      (then
        (local.set $read (i32.atomic.load ${readSeq} (local.get $ring)))
        (i32.store ${cachedReadSeq} (local.get $ring) (local.get $read))
        (if (i32.ge_s (i32.sub (local.get $seq) (local.get $read)) (local.get $capacity))
          (then
            ;; Full: publish what is not.
            (if (i32.ne (local.get $seq) (i32.load ${writeSeq} (local.get $ring)))
              (then (i32.atomic.store ${writeSeq} (local.get $ring) (local.get $seq))))
            (return (i32.const 0))))))
    (${type}.store ${slots} ${slotAt(bytesLog2)} (local.get $value))
    (local.set $seq (i32.add (local.get $seq) (i32.const 1)))
    (i32.store ${nextWriteSeq} (local.get $ring) (local.get $seq))
    (if (i32.ge_s
          (i32.sub (local.get $seq) (i32.load ${writeSeq} (local.get $ring)))
          (local.get $every))
      (then (i32.atomic.store ${writeSeq} (local.get $ring) (local.get $seq))))
    (i32.const 1))`;
}

function popText(name: string, loaded: (at: string) => string, bytesLog2: number): string {
  return `(func (export "${name}")
    (param $ring i32) (param $capacity i32) (param $every i32) (param $empty f64) (result f64)
    (local $seq i32) (local $write i32)
    (local.set $seq (i32.load ${nextReadSeq} (local.get $ring)))
    (if (i32.eq (local.get $seq) (i32.load ${cachedWriteSeq} (local.get $ring)))
      (then
        (local.set $write (i32.atomic.load ${writeSeq} (local.get $ring)))
        (i32.store ${cachedWriteSeq} (local.get $ring) (local.get $write))
        (if (i32.eq (local.get $seq) (local.get $write))
          (then
            ;; Empty: give back what is not.
            (if (i32.ne (local.get $seq) (i32.load ${readSeq} (local.get $ring)))
              (then (i32.atomic.store ${readSeq} (local.get $ring) (local.get $seq))))
            (return (local.get $empty))))))
    (local.set $empty ${loaded(slotAt(bytesLog2))})
    (local.set $seq (i32.add (local.get $seq) (i32.const 1)))
    (i32.store ${nextReadSeq} (local.get $ring) (local.get $seq))
    (if (i32.ge_s
          (i32.sub (local.get $seq) (i32.load ${readSeq} (local.get $ring)))
          (local.get $every))
      (then (i32.atomic.store ${readSeq} (local.get $ring) (local.get $seq))))
    (local.get $empty))`;
}

export const SPSC_WAT = `(module ${MEMORY_IMPORT}
  ${pushText('pushInt32', 'i32', 2)}
  ${pushText('pushFloat64', 'f64', 3)}
  ${popText('popInt32', (at) => `(f64.convert_i32_s (i32.load ${slots} ${at}))`, 2)}
  ${popText('popFloat64', (at) => `(f64.load ${slots} ${at})`, 3)})`;

type Push = (ring: number, capacity: number, publishEvery: number, value: number) => number;
type Pop = (ring: number, capacity: number, creditEvery: number, whenEmpty: number) => number;

/** What SPSC_WAT exports. A push answers 1, or 0 when the ring is full. */
export interface SpscKernel {
  readonly pushInt32: Push;
  readonly pushFloat64: Push;
  readonly popInt32: Pop;
  readonly popFloat64: Pop;
}

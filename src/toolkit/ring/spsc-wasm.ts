/**
 * Kernels of SpscRing in WebAssembly: one call pushes, pops or commits. SpscByteRing commits by it.
 *
 * WHY          An item that is published by itself costs one atomic store. V8 calls a function for
 *              each one of JavaScript and inlines those of WebAssembly.
 * LAYOUT       spsc-layout.ts, over the same memory, which begins with the ring.
 * OWNERSHIP    as spsc-kernel.ts: these are spscPush, spscPop and spscCommit of it.
 * INVARIANTS   those of spsc-kernel.ts; the tests of SpscRing run over both.
 * MEMORY ORDER i32.atomic is sequentially consistent as Atomics is, and both are one memory model.
 * PROGRESS     wait-free.
 * REFUSED      loops inside of WebAssembly (payload of callers is not in its memory); the address
 *              of the ring as a parameter (one more conversion for each call).
 */
import {
  SPSC_CONTROL_BYTES,
  SPSC_CREDIT_AT_WORD,
  SPSC_CREDIT_EVERY_WORD,
  SPSC_NEXT_READ_WORD,
  SPSC_NEXT_WRITE_WORD,
  SPSC_PUBLISH_AT_WORD,
  SPSC_PUBLISH_EVERY_WORD,
  SPSC_READ_LIMIT_WORD,
  SPSC_READ_WORD,
  SPSC_READER_CAPACITY_WORD,
  SPSC_WRITE_LIMIT_WORD,
  SPSC_WRITE_WORD,
  SPSC_WRITER_CAPACITY_WORD,
} from './spsc-layout.ts';
import { MEMORY_IMPORT } from './wasm/kernels.ts';

/** The word as the operand of a load or of a store. */
function at(word: number): string {
  return `offset=${word * 4} (i32.const 0)`;
}

/** Where the slot of $seq is, as an address to which the offset of the slots is added. */
function slotAt(capacityWord: number, bytesLog2: number, seq = '(local.get $seq)'): string {
  return `offset=${SPSC_CONTROL_BYTES} (i32.shl
    (i32.and ${seq} (i32.sub (i32.load ${at(capacityWord)}) (i32.const 1)))
    (i32.const ${bytesLog2}))`;
}

/** Publishes, or gives back, all before $seq. */
function tell(told: number, tellAt: number, every: number): string {
  return `
    (i32.store ${at(tellAt)} (i32.add (local.get $seq) (i32.load ${at(every)})))
    (i32.atomic.store ${at(told)} (local.get $seq))`;
}

const PUBLISH = tell(SPSC_WRITE_WORD, SPSC_PUBLISH_AT_WORD, SPSC_PUBLISH_EVERY_WORD);
const CREDIT = tell(SPSC_READ_WORD, SPSC_CREDIT_AT_WORD, SPSC_CREDIT_EVERY_WORD);

/** Items of a cache line. */
const LINE_BYTES = 64;
/** How many lines are asked for at a time. */
const TOUCH_LINES = 4;

/**
 * Asks for cache lines before they are needed: writes to slots that are the writer's own and hold
 * nothing yet. A published item waits for the lines that were written before it; so they come
 * together, and not one by one.
 */
function touchAhead(type: 'i32' | 'f64', bytesLog2: number): string {
  const lineItems = LINE_BYTES >> bytesLog2;
  const items = TOUCH_LINES * lineItems;
  const touch = Array.from({ length: TOUCH_LINES }, (_, line) => {
    const seq = `(i32.add (local.get $seq) (i32.const ${items + line * lineItems}))`;
    return `(${type}.store ${slotAt(SPSC_WRITER_CAPACITY_WORD, bytesLog2, seq)} (${type}.const 0))`;
  });
  return `
    (if (i32.eqz (i32.and (local.get $seq) (i32.const ${items - 1}))) (then
      (if (i32.ge_u
          (i32.sub (i32.load ${at(SPSC_WRITE_LIMIT_WORD)}) (local.get $seq))
          (i32.const ${2 * items}))
        (then ${touch.join(' ')}))))`;
}

function pushText(name: string, type: 'i32' | 'f64', bytesLog2: number): string {
  return `(func (export "${name}") (param $value ${type}) (result i32)
    (local $seq i32) (local $limit i32)
    (local.set $seq (i32.load ${at(SPSC_NEXT_WRITE_WORD)}))
    (if (i32.eq (local.get $seq) (i32.load ${at(SPSC_WRITE_LIMIT_WORD)}))
      (then
        (local.set $limit (i32.add
          (i32.atomic.load ${at(SPSC_READ_WORD)})
          (i32.load ${at(SPSC_WRITER_CAPACITY_WORD)})))
        (i32.store ${at(SPSC_WRITE_LIMIT_WORD)} (local.get $limit))
        (if (i32.eq (local.get $seq) (local.get $limit))
          (then
            ;; Full: publish what is not.
            (if (i32.ne (local.get $seq) (i32.load ${at(SPSC_WRITE_WORD)})) (then ${PUBLISH}))
            (return (i32.const 0))))))
    ${touchAhead(type, bytesLog2)}
    (${type}.store ${slotAt(SPSC_WRITER_CAPACITY_WORD, bytesLog2)} (local.get $value))
    (local.set $seq (i32.add (local.get $seq) (i32.const 1)))
    (i32.store ${at(SPSC_NEXT_WRITE_WORD)} (local.get $seq))
    (if (i32.eq (local.get $seq) (i32.load ${at(SPSC_PUBLISH_AT_WORD)})) (then ${PUBLISH}))
    (i32.const 1))`;
}

function popText(name: string, load: (slot: string) => string, bytesLog2: number): string {
  return `(func (export "${name}") (param $value f64) (result f64)
    (local $seq i32) (local $limit i32)
    (local.set $seq (i32.load ${at(SPSC_NEXT_READ_WORD)}))
    (if (i32.eq (local.get $seq) (i32.load ${at(SPSC_READ_LIMIT_WORD)}))
      (then
        (local.set $limit (i32.atomic.load ${at(SPSC_WRITE_WORD)}))
        (i32.store ${at(SPSC_READ_LIMIT_WORD)} (local.get $limit))
        (if (i32.eq (local.get $seq) (local.get $limit))
          (then
            ;; Empty: give back what is not.
            (if (i32.ne (local.get $seq) (i32.load ${at(SPSC_READ_WORD)})) (then ${CREDIT}))
            (return (local.get $value))))))
    (local.set $value ${load(slotAt(SPSC_READER_CAPACITY_WORD, bytesLog2))})
    (local.set $seq (i32.add (local.get $seq) (i32.const 1)))
    (i32.store ${at(SPSC_NEXT_READ_WORD)} (local.get $seq))
    (if (i32.eq (local.get $seq) (i32.load ${at(SPSC_CREDIT_AT_WORD)})) (then ${CREDIT}))
    (local.get $value))`;
}

/** As spscCommit: $count more are written, and published when so many are not. */
const COMMIT = `(func (export "commit") (param $count i32) (local $seq i32)
    (local.set $seq (i32.add (i32.load ${at(SPSC_NEXT_WRITE_WORD)}) (local.get $count)))
    (i32.store ${at(SPSC_NEXT_WRITE_WORD)} (local.get $seq))
    (if (i32.ge_s
        (i32.sub (local.get $seq) (i32.load ${at(SPSC_PUBLISH_AT_WORD)}))
        (i32.const 0))
      (then ${PUBLISH})))`;

export const SPSC_WAT = `(module ${MEMORY_IMPORT}
  ${COMMIT}
  ${pushText('pushInt32', 'i32', 2)}
  ${pushText('pushFloat64', 'f64', 3)}
  ${popText('popInt32', (slot) => `(f64.convert_i32_s (i32.load ${slot}))`, 2)}
  ${popText('popFloat64', (slot) => `(f64.load ${slot})`, 3)})`;

/** Answers 1, or 0 when the ring is full. */
export type SpscPush = (value: number) => number;
/** Answers the item, or `whenEmpty`. */
export type SpscPop = (whenEmpty: number) => number;

/** `count` more are written. */
export type SpscCommit = (count: number) => void;

/** What SPSC_WAT exports. */
export interface SpscKernel {
  readonly commit: SpscCommit;
  readonly pushInt32: SpscPush;
  readonly pushFloat64: SpscPush;
  readonly popInt32: SpscPop;
  readonly popFloat64: SpscPop;
}

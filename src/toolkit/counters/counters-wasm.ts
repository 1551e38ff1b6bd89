/**
 * Kernel of Counters in WebAssembly: counterPublish of counters-kernel.ts.
 *
 * WHY          Once for each turn of a stage, and once for each block: V8 calls a function for each
 *              Atomics.store of JavaScript and inlines those of WebAssembly.
 * LAYOUT       counters-layout.ts; addresses are bytes from the start of the memory.
 * OWNERSHIP    as counters-kernel.ts.
 * INVARIANTS   those of counters-kernel.ts; the tests run over both.
 * MEMORY ORDER that of counters-kernel.ts. Two int32 stores for a counter and not one of 64 bits:
 *              atomics of different sizes on one place are a race in the memory model.
 * PROGRESS     wait-free.
 * REFUSED      the loop of the reader too (it ends in an array outside of this memory).
 */
import { MEMORY_IMPORT, SEQLOCK_RECORD } from '../ring/index.ts';

const HALF_BYTES = 4;

/** Stores the half of the counter at `offset` if it differs. */
function putHalf(offset: number): string {
  const live = `(i32.load offset=${offset} (local.get $live))`;
  return `
    (if (i32.ne ${live} (i32.load offset=${offset} (local.get $record)))
      (then (i32.atomic.store offset=${offset} (local.get $record) ${live})))`;
}

export const COUNTERS_WAT = `(module ${MEMORY_IMPORT}
  (func (export "publish") (param $live i32) (param $base i32) (param $count i32) (result i32)
    (local $version i32) (local $open i32) (local $record i32) (local $end i32)
    (local.set $version (i32.load (local.get $base)))
    (local.set $open (i32.and (local.get $version) (i32.const 1)))
    (local.set $version (i32.or (local.get $version) (i32.const 1)))
    (local.set $record (i32.add (local.get $base) (i32.const ${SEQLOCK_RECORD * 4})))
    (local.set $end (i32.add (local.get $live) (i32.shl (local.get $count) (i32.const 3))))
    (loop $next
      (if (i64.ne (i64.load (local.get $live)) (i64.load (local.get $record)))
        (then
          (if (i32.eqz (local.get $open))
            (then
              (i32.atomic.store (local.get $base) (local.get $version))
              (local.set $open (i32.const 1))))
          ${putHalf(0)}
          ${putHalf(HALF_BYTES)}))
      (local.set $record (i32.add (local.get $record) (i32.const 8)))
      (local.set $live (i32.add (local.get $live) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $live) (local.get $end))))
    (if (local.get $open)
      (then (i32.atomic.store
        (local.get $base) (i32.add (local.get $version) (i32.const 1)))))
    (local.get $open)))`;

/** What COUNTERS_WAT exports. */
export interface CountersKernel {
  /** Bytes of the live words and of the version; counters, at least one. Answers 1 or 0. */
  readonly publish: (live: number, base: number, count: number) => number;
}

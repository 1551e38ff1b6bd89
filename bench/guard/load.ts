/**
 * `--import` for the pipeline bench: the guard is loaded in every thread, and idle.
 *
 * The main thread also protects a page that nobody writes, so that all is there that a guarded
 * program has: handlers, the service thread, a stack of its own for each thread.
 */
import { isMainThread } from 'node:worker_threads';
import { SharedWasmMemory, WASM_PAGE_BYTES } from '../../src/toolkit/base/webassembly.ts';
import { guardError } from '../../src/toolkit/guard/guard-error.ts';
import { GUARD_MODES, guardNative } from '../../src/toolkit/guard/native.ts';

const native = guardNative();
if (isMainThread) {
  const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
  const bytes = new Uint8Array(memory.buffer);
  const extent = new Float64Array(2);
  const region = native.region(
    bytes,
    0,
    WASM_PAGE_BYTES,
    'idle',
    GUARD_MODES.report,
    0,
    '',
    extent,
  );
  const result = region < 0 ? region : native.protect(region, 0, WASM_PAGE_BYTES, 1);
  if (result < 0) throw guardError('protect a page', result, native.problem());
  // Held, as the region is the process's.
  process.once('exit', () => bytes.length);
}

/**
 * Kernels: assembled, compiled and joined with a memory when first used.
 */
import {
  type SharedMemory,
  SharedWasmMemory,
  WASM_PAGE_BYTES,
  WasmInstance,
  WasmModule,
} from '../../base/webassembly.ts';
import { assemble } from './assembler.ts';

/** The import that every kernel starts with: any shared memory fits. */
export const MEMORY_IMPORT = '(import "env" "memory" (memory 0 65536 shared))';

/** Per thread: one module a text, one instance a memory. */
const modules = new Map<string, WasmModule>();
const instances = new WeakMap<SharedMemory, Map<string, unknown>>();

/** A shared memory for at least `bytes`, all zero. */
export function createMemory(bytes: number): SharedMemory {
  const pages = Math.ceil(bytes / WASM_PAGE_BYTES);
  return new SharedWasmMemory({ initial: pages, maximum: pages, shared: true });
}

/** The functions that `text` exports, over `memory`. `Functions` is what the text promises. */
export function loadKernel<Functions>(text: string, memory: SharedMemory): Functions {
  let loaded = instances.get(memory);
  if (loaded === undefined) {
    loaded = new Map();
    instances.set(memory, loaded);
  }
  let functions = loaded.get(text);
  if (functions === undefined) {
    let module = modules.get(text);
    if (module === undefined) {
      module = new WasmModule(assemble(text));
      modules.set(text, module);
    }
    functions = new WasmInstance(module, { env: { memory } }).exports;
    loaded.set(text, functions);
  }
  return functions as Functions;
}

/**
 * The pieces of WebAssembly that the toolkit uses: their types come with the DOM library, which a
 * server does not load, so they are typed here. Source: WebAssembly JavaScript Interface, W3C.
 */

/** A linear memory; shared ones start on an OS page and travel to workers. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

interface MemoryConstructor {
  new (descriptor: { initial: number; maximum: number; shared: true }): SharedMemory;
}

/** Compiled code; nothing to be seen from outside. */
export type WasmModule = object;

interface ModuleConstructor {
  /** Throws a CompileError when the bytes are no valid module. */
  new (bytes: Uint8Array): WasmModule;
}

interface InstanceConstructor {
  new (
    module: WasmModule,
    imports: { readonly env: { readonly memory: SharedMemory } },
  ): { readonly exports: unknown };
}

interface Host {
  readonly Memory: MemoryConstructor;
  readonly Module: ModuleConstructor;
  readonly Instance: InstanceConstructor;
}

const host = (globalThis as unknown as { WebAssembly: Host }).WebAssembly;

/** Bytes that memories are counted in. */
export const WASM_PAGE_BYTES = 65_536;

export const SharedWasmMemory: MemoryConstructor = host.Memory;
export const WasmModule: ModuleConstructor = host.Module;
export const WasmInstance: InstanceConstructor = host.Instance;

/**
 * The one piece of WebAssembly that pages use: its types come with the DOM library, which a server
 * does not load, so the constructor is typed here. Source: WebAssembly JavaScript Interface, W3C.
 */

/** A linear memory; shared ones start on an OS page and travel to workers. */
export interface SharedMemory {
  readonly buffer: SharedArrayBuffer;
}

interface MemoryConstructor {
  new (descriptor: { initial: number; maximum: number; shared: true }): SharedMemory;
}

const host = globalThis as unknown as { WebAssembly: { Memory: MemoryConstructor } };

export const SharedWasmMemory: MemoryConstructor = host.WebAssembly.Memory;

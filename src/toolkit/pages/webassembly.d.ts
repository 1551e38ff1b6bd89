/**
 * The one piece of the WebAssembly namespace that pages use; the full types come with the DOM library,
 * which a server does not load. Source: WebAssembly JavaScript Interface, W3C.
 */
export {};

declare global {
  namespace WebAssembly {
    class Memory {
      constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
      readonly buffer: SharedArrayBuffer;
    }
  }
}

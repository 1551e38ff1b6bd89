/**
 * Shared constructors: tells of each SharedArrayBuffer and shared WebAssembly.Memory that a program
 * makes, without the program being changed.
 *
 * HOW         The global constructors become proxies of themselves. A proxy hands on everything, so
 *             `instanceof`, inheritance, static members, util.inspect, structuredClone and
 *             postMessage see what they saw before: the objects are the engine's own.
 * INVARIANTS  1. `x.constructor === SharedArrayBuffer` stays true.  2. slice() makes its copy by
 *                the
 *             original constructor and tells of it when it is filled: the copy is no write of the
 *             program.  3. a grown WebAssembly.Memory is told of again: V8 makes its pages
 *             writable when it grows.
 * REFUSED     Subclasses (their objects have another prototype: structuredClone loses it). Not
 *             covered: memory that an instance of WebAssembly exports without JavaScript having
 *             made it, other realms (node:vm), what Node.js itself makes.
 */
import { types } from 'node:util';
import { isWasmMemory, type WasmMemory } from './guarded-bytes.ts';

export type SharedMemorySource = SharedArrayBuffer | WasmMemory;

/** `below` is the function under which the program's own frames begin. */
export type SharedListener = (
  made: SharedMemorySource,
  below: (...parameters: never[]) => unknown,
) => void;

interface Host {
  SharedArrayBuffer: SharedArrayBufferConstructor;
  readonly WebAssembly: { Memory: new (descriptor: object) => WasmMemory };
}

/** Once a thread, before the program's code is loaded. Returns what puts the old ones back. */
export function watchSharedConstructors(listener: SharedListener): () => void {
  const host = globalThis as unknown as Host;
  const buffers = host.SharedArrayBuffer;
  const memories = host.WebAssembly.Memory;
  const undo = [
    replace(host, 'SharedArrayBuffer', proxyOf(buffers, listener)),
    replace(host.WebAssembly, 'Memory', proxyOf(memories, listener)),
    replace(buffers.prototype, 'constructor', host.SharedArrayBuffer),
    replace(memories.prototype, 'constructor', host.WebAssembly.Memory),
    tellAfter(buffers.prototype, 'slice', listener),
    tellAfter(memories.prototype, 'grow', listener),
  ];
  return () => {
    for (const one of undo.reverse()) one();
  };
}

type Constructor = new (...parameters: never[]) => object;

function proxyOf<T extends Constructor>(original: T, listener: SharedListener): T {
  const proxy: T = new Proxy(original, {
    construct: function construct(target, parameters, newTarget) {
      const wanted = newTarget === proxy ? target : newTarget;
      const made = Reflect.construct(target, parameters, wanted) as object;
      tell(made, listener, construct);
      return made;
    },
    get(target, key, receiver) {
      return key === Symbol.species ? target : Reflect.get(target, key, receiver);
    },
  });
  return proxy;
}

type Method = (...parameters: never[]) => unknown;

/** slice() answers a new buffer; grow() a number, and the memory itself is what is new. */
function tellAfter(holder: object, key: string, listener: SharedListener): () => void {
  const proxy = new Proxy(Reflect.get(holder, key) as Method, {
    apply: function apply(target, self, parameters) {
      const result: unknown = Reflect.apply(target, self, parameters);
      tell(typeof result === 'object' ? result : self, listener, apply);
      return result;
    },
  });
  return replace(holder, key, proxy);
}

function tell(
  made: unknown,
  listener: SharedListener,
  below: (...parameters: never[]) => unknown,
): void {
  if (types.isSharedArrayBuffer(made)) listener(made, below);
  else if (isWasmMemory(made) && types.isSharedArrayBuffer(made.buffer)) listener(made, below);
}

/** Keeps whether the property is enumerable, writable and configurable. */
function replace(holder: object, key: string, value: unknown): () => void {
  const before = Object.getOwnPropertyDescriptor(holder, key)!;
  Object.defineProperty(holder, key, { ...before, value });
  return () => {
    Object.defineProperty(holder, key, before);
  };
}

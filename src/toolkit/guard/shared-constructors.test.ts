import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { inspect, types } from 'node:util';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import type { WasmMemory } from './guarded-bytes.ts';
import { type SharedMemorySource, watchSharedConstructors } from './shared-constructors.ts';

const Original = SharedArrayBuffer;
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: { Memory: new (descriptor: object) => WasmMemory };
};

const told: SharedMemorySource[] = [];
let undo = (): void => {};

before(() => {
  undo = watchSharedConstructors((made) => told.push(made));
});

beforeEach(() => {
  told.length = 0;
});

after(() => {
  undo();
  assert.equal(SharedArrayBuffer, Original);
  assert.equal(Original.prototype.constructor, Original);
  const made = new SharedArrayBuffer(1);
  assert.ok(!told.includes(made), 'the old constructors are back');
});

test('a buffer is what it was: class, prototype, constructor, text', () => {
  const made = new SharedArrayBuffer(8);
  assert.deepEqual(told, [made]);
  assert.ok(made instanceof SharedArrayBuffer);
  assert.ok(made instanceof Original);
  assert.equal(Object.getPrototypeOf(made), Original.prototype);
  assert.equal(made.constructor, SharedArrayBuffer);
  assert.ok(types.isSharedArrayBuffer(made));
  assert.equal(inspect(made), inspect(Reflect.construct(Original, [8])));
  assert.equal(SharedArrayBuffer.name, 'SharedArrayBuffer');
  assert.equal(SharedArrayBuffer.length, 1);
  assert.match(inspect(SharedArrayBuffer), /\[Function: SharedArrayBuffer\]/);
  assert.ok(!Object.keys(globalThis).includes('SharedArrayBuffer'));
});

test('it is called by new alone, and its errors are those of before', () => {
  const call = SharedArrayBuffer as unknown as (bytes: number) => unknown;
  assert.throws(() => call(8), TypeError);
  assert.throws(() => new SharedArrayBuffer(-1), RangeError);
  assert.equal(told.length, 0);
});

test('a subclass keeps its prototype and its methods', () => {
  class Table extends SharedArrayBuffer {
    rows(): number {
      return this.byteLength / 4;
    }
  }
  const made = new Table(32);
  assert.deepEqual(told, [made]);
  assert.ok(made instanceof Table && made instanceof SharedArrayBuffer);
  assert.equal(made.rows(), 8);
});

test('growable buffers, and a slice once it is filled', () => {
  const made = new SharedArrayBuffer(8, { maxByteLength: 16 });
  new Uint8Array(made)[1] = 7;
  const slice = made.slice(1, 3);
  assert.deepEqual(told, [made, slice]);
  assert.deepEqual([...new Uint8Array(slice)], [7, 0]);
  assert.ok(slice instanceof SharedArrayBuffer);
  assert.equal(SharedArrayBuffer.prototype.slice.name, 'slice');
});

test('clones and messages share the same memory', () => {
  const made = new SharedArrayBuffer(8);
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(made);
  const { message } = receiveMessageOnPort(port2) as { message: SharedArrayBuffer };
  port1.close();
  const clone = structuredClone(made);
  new Uint8Array(made)[0] = 9;
  for (const other of [message, clone]) {
    assert.equal(new Uint8Array(other)[0], 9);
    assert.ok(other instanceof SharedArrayBuffer);
    assert.equal(other.constructor, SharedArrayBuffer);
  }
  assert.equal(new Uint8Array(made).buffer, made);
  assert.equal(Buffer.from(made).buffer, made);
});

test('shared memories of WebAssembly, made and grown; others are nobody’s business', () => {
  const shared = new WebAssembly.Memory({ initial: 1, maximum: 3, shared: true });
  assert.deepEqual(told, [shared]);
  assert.ok(shared instanceof WebAssembly.Memory);
  assert.equal(shared.constructor, WebAssembly.Memory);
  assert.equal(shared.grow(1), 1);
  assert.deepEqual(told, [shared, shared]);
  const own = new WebAssembly.Memory({ initial: 1 });
  own.grow(1);
  assert.equal(told.length, 2);
  assert.throws(() => new WebAssembly.Memory({ initial: 2, maximum: 1 }), RangeError);
});

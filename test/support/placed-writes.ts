/**
 * Writes from many places of one program into one page, each many times, through everything that V8
 * does with a function: interpreted, compiled, inlined. Prints the culprits that were counted.
 */
import { SharedWasmMemory } from '../../src/toolkit/base/webassembly.ts';
import { culprits, protect } from '../../src/toolkit/guard/index.ts';

/** Enough for V8 to compile a function with all its optimizations. */
const TIMES = 2_000;
/** Of those that take a walk of the stack each time: milliseconds. */
const FEW = 20;

const all = new Uint8Array(new SharedWasmMemory({ initial: 1, maximum: 1, shared: true }).buffer);
const bytes = all.subarray(0, 4096);
const view = new DataView(bytes.buffer, 0, bytes.length);
const buffer = Buffer.from(bytes.buffer, 0, bytes.length);
const words = new Int32Array(bytes.buffer, 0, 1024);

function store(i: number): void {
  bytes[i & 4095] = i;
}

function small(i: number): void {
  bytes[i & 4095] = i;
}

function throughInlined(i: number): void {
  small(i);
}

function throughView(i: number): void {
  view.setUint32(i & 1023, i);
}

function throughAtomics(i: number): void {
  Atomics.add(words, i & 1023, 1);
}

function twice(i: number): void {
  bytes[i & 4095] = i;
  bytes[(i + 7) & 4095] = i;
}

/** Of one line of Node.js itself: only the callers differ. */
function throughBufferHere(i: number): void {
  buffer.writeUInt8(i & 255, i & 4095);
}

function throughBufferThere(i: number): void {
  buffer.writeUInt8(i & 255, i & 4095);
}

/** Of C++ that calls the C library. */
function throughFill(i: number): void {
  bytes.fill(i, 8, 9);
}

const WRITERS = [store, throughInlined, throughView, throughAtomics, twice];
const SLOW_WRITERS = [throughBufferHere, throughBufferThere, throughFill];

const guard = protect(bytes, { label: 'places', mode: 'continue', once: true });
for (let i = 0; i < TIMES; i++) for (const write of WRITERS) write(i);
for (let i = 0; i < FEW; i++) for (const write of SLOW_WRITERS) write(i);
guard.unprotect();
const found = culprits().filter(({ label }) => label === 'places');
process.stdout.write(`${JSON.stringify({ times: TIMES, few: FEW, found })}\n`);

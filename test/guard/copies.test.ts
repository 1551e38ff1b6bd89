/**
 * Copies and moves of guarded memory: what becomes of it is what the table of the reference says;
 * nothing is written behind a guard, nothing moves from under it, nothing dies without a report.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { guardSkipReason, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };
const MAJOR = Number.parseInt(process.versions.node, 10);
const REFERENCE = join(import.meta.dirname, '../../../docs/reference/guard.md');

/** By the names of the table's rows; each a function of `view` and its `buffer`. */
const ACTS = {
  'structuredClone(view)': 'structuredClone(view)',
  'postMessage(view)': 'through((port) => port.postMessage(view))',
  'structuredClone(buffer, { transfer: [buffer] })':
    'new Uint8Array(structuredClone(buffer, { transfer: [buffer] }))',
  'postMessage(buffer, [buffer])':
    'new Uint8Array(through((port) => port.postMessage(buffer, [buffer])))',
  'console.log(view)': 'void inspect(view)',
  'JSON.stringify(view)': 'void JSON.stringify(view)',
  'Buffer.from(view)': 'Buffer.from(view)',
  'view.slice()': 'view.slice()',
  'view.subarray()': 'view.subarray()',
  'buffer.transfer()': 'new Uint8Array(buffer.transfer())',
};

/** Which column each is of, and how it is made: its view and what ends it. */
const MEMORIES = {
  Buffer: [1, 'protectedView(Buffer.alloc(65536))'],
  ArrayBuffer: [1, 'protectedView(new ArrayBuffer(65536))'],
  'resizable ArrayBuffer': [1, 'protectedView(new ArrayBuffer(65536, { maxByteLength: 65536 }))'],
  'WebAssembly.Memory': [1, 'protectedView(new WebAssembly.Memory({ initial: 1 }))'],
  SharedArrayBuffer: [2, 'protectedView(new SharedArrayBuffer(65536))'],
  'shared WebAssembly.Memory': [
    2,
    'protectedView(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }))',
  ],
  allocGuarded: [1, 'allocated({})'],
  'allocGuarded, canary': [1, 'allocated({ canary: true })'],
  'allocGuarded, shared': [2, 'allocated({ shared: true })'],
} as const;

const PROGRAM = `
  import { inspect } from 'node:util';
  import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
  function through(send) {
    const { port1, port2 } = new MessageChannel();
    try {
      send(port1);
      return receiveMessageOnPort(port2).message;
    } finally {
      port1.close();
    }
  }
  function protectedView(memory) {
    const { buffer = memory, byteOffset = 0, byteLength = buffer.byteLength } = memory;
    const view = new Uint8Array(buffer, byteOffset, byteLength);
    const held = guard.protect(memory, { label: 'memory' });
    return [view, () => held.end()];
  }
  function allocated(how) {
    const held = guard.allocGuarded(65536, { ...how, label: 'memory' });
    return [held.view, () => {}, held];
  }
  function outcomeOf(make, act) {
    const [view, end, held] = make();
    const { buffer } = view;
    const bytes = buffer.byteLength;
    let found, outcome;
    try {
      found = act(view, buffer);
    } catch (error) {
      outcome = buffer.transfer === undefined && /transfer is not/.test(error.message)
        ? 'not there' : 'refused';
    }
    if (buffer.byteLength !== bytes) outcome = 'moved';
    end();
    view[5000] = 1;
    if (found !== undefined) {
      const at = found.length === view.length ? 5000 : 5000 + view.byteOffset;
      found[at] = 77;
      outcome = view[5000] === 77 ? 'the same memory' : 'a copy';
    }
    if (held?.release() === false) outcome += ', with a broken fence';
    return outcome ?? 'it is read';
  }`;

/** What the reference promises for a column, for this version of Node.js. */
function promised(column: 1 | 2): Record<string, string> {
  const text = readFileSync(REFERENCE, 'utf8');
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  return Object.fromEntries(
    Object.keys(ACTS).map((act) => {
      const row = rows.find((cells) => cells[1] === `\`${act}\``);
      const [first, later = first] = (row?.[1 + column] ?? 'no such row').split(', later: ');
      return [act, MAJOR <= 20 ? first! : later!];
    }),
  );
}

for (const [name, [column, make]] of Object.entries(MEMORIES)) {
  test(`${name}: copies, messages and moves`, options, () => {
    const acts = Object.entries(ACTS).map(
      ([act, text]) => `${JSON.stringify(act)}: (view, buffer) => ${text}`,
    );
    const { status, stdout, stderr, reports } = runReported(`${PROGRAM}
      const acts = { ${acts.join(', ')} };
      const found = Object.entries(acts).map(([name, act]) =>
        [name, outcomeOf(() => ${make}, act)]);
      console.log(JSON.stringify(Object.fromEntries(found)));`);
    assert.equal(status, 0, stderr);
    assert.deepEqual(reports, []);
    assert.deepEqual(JSON.parse(stdout), promised(column));
  });
}

/** What is not refused is caught in the act. */
const DEADLY: readonly (readonly [string, string, RegExp])[] = [
  [
    'resize() past its own',
    `const [{ buffer }] = protectedView(new ArrayBuffer(65536, { maxByteLength: 65536 }));
     ArrayBuffer.prototype.resize.call(buffer, 4096);`,
    /wrote 61440 bytes at offset 4096 of 'memory'/,
  ],
  [
    'all of the buffer below a shared guarded view',
    'allocated({ shared: true })[0].buffer.slice(0, 100);',
    /underrun of 'memory'/,
  ],
  [
    'a message that is read after release()',
    `const [view, , held] = allocated({ shared: true });
     const other = through((port) => port.postMessage(view));
     held.release();
     other[5000] = 1;`,
    /use after free: .* wrote 1 byte at offset 5000 of 'memory'/,
  ],
];

for (const [name, text, found] of DEADLY) {
  test(`${name} dies with a report`, options, () => {
    const { signal, stderr, reports } = runReported(`${PROGRAM}\n${text}`);
    assert.equal(signal, 'SIGSEGV', stderr);
    assert.match(stderr, found);
    assert.equal(reports.length, 1);
  });
}

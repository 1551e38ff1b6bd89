/**
 * Guard demo 6: WebAssembly writes into its own memory, where nobody may; mode `throw`: the program
 * catches it, and goes on.
 */

import { SharedWasmMemory, WasmInstance, WasmModule } from '../../toolkit/base/webassembly.ts';
import { protect } from '../../toolkit/guard/index.ts';

/** (func (export "poke") (param i32 i32) local.get 0, local.get 1, i32.store) on env.memory */
const CODE =
  '0061736d01000000' +
  '01060160027f7f00' +
  '021001' +
  '03656e76066d656d6f7279' +
  '02030101' +
  '03020100' +
  '0708010470' +
  '6f6b650000' +
  '0a0b01090020002001360200' +
  '0b';

interface Exports {
  readonly poke: (address: number, value: number) => void;
}

const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
const module = new WasmModule(Buffer.from(CODE, 'hex'));
const { poke } = new WasmInstance(module, { env: { memory } }).exports as Exports;
const words = new Uint32Array(memory.buffer);

function drawFrame(): void {
  poke(0x3000, 7);
}

words[0xc00] = 5;
protect(memory.buffer, { label: 'constants of the module', mode: 'throw' });
try {
  // The bug: the picture is larger than what is in front of the constants.
  drawFrame();
} catch (error) {
  const { name, message } = error as Error;
  process.stderr.write(`caught: ${name}: ${message}; the word is still ${words[0xc00]}\n`);
}

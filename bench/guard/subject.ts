/**
 * What the guard bench measures in Node.js, in a process of its own: a loop of trapped writes, or
 * of protecting and unprotecting a page. Prints nanoseconds of one, as JSON.
 *
 *     node subject.js continue|once|alias|toggle COUNT
 */
import { SharedWasmMemory, WASM_PAGE_BYTES } from '../../src/toolkit/base/webassembly.ts';
import { guardError } from '../../src/toolkit/guard/guard-error.ts';
import {
  GUARD_ALIAS,
  GUARD_MODES,
  GUARD_ONCE,
  guardNative,
} from '../../src/toolkit/guard/native.ts';

const OS_PAGE_BYTES = 4096;
/** In the midst, as the peer has it: closing it makes three mappings of one. */
const TOGGLED = 8 * OS_PAGE_BYTES;
const WARM_UP = 2_000;

const FLAGS: Readonly<Record<string, number>> = {
  continue: 0,
  once: GUARD_ONCE,
  alias: GUARD_ONCE | GUARD_ALIAS,
  toggle: 0,
};

const native = guardNative();

function check(result: number): number {
  if (result < 0) throw guardError('measure', result, native.problem());
  return result;
}

/** What a program does that holds on to its page: one native call each. */
function toggle(region: number, count: number): void {
  for (let i = 0; i < count; i++) {
    check(native.protect(region, TOGGLED, OS_PAGE_BYTES, i));
    check(native.unprotect(region, TOGGLED, OS_PAGE_BYTES));
  }
}

function write(bytes: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) bytes[i & (OS_PAGE_BYTES - 1)] = i;
}

const [what = '', countText] = process.argv.slice(2);
const count = Number(countText);
const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
const bytes = new Uint8Array(memory.buffer);
const mode = GUARD_MODES.continue;
const extent = new Float64Array(2);
const region = check(
  native.region(bytes, 0, WASM_PAGE_BYTES, 'bench', mode, FLAGS[what]!, '', extent),
);
const run = (times: number): void =>
  what === 'toggle' ? toggle(region, times) : write(bytes, times);
// Compiled by V8, and touched by the process, before it is protected.
bytes.fill(1);
if (what !== 'toggle') {
  write(bytes, 200_000);
  check(native.protect(region, 0, OS_PAGE_BYTES, 1));
}
run(Math.min(WARM_UP, count / 10));
const started = process.hrtime.bigint();
run(count);
const ns = Number(process.hrtime.bigint() - started) / count;
const counts = new Float64Array(2);
check(native.regionCounts(region, counts));
process.stdout.write(`${JSON.stringify({ ns, faults: counts[0] })}\n`);

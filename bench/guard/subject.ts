/**
 * What the guard bench measures in Node.js, in a process of its own: a loop of trapped writes, or
 * of protecting and unprotecting a page. Prints nanoseconds of one as JSON: of the processor, so
 * that other programs on the machine do not count.
 *
 *     node subject.js continue|once|alias|toggle COUNT
 */
import { OS_PAGE_BYTES } from '../../src/toolkit/base/limits.ts';
import { SharedWasmMemory } from '../../src/toolkit/base/webassembly.ts';
import { type Guard, protect } from '../../src/toolkit/guard/index.ts';

/** In the midst, as the peer has it: closing it makes three mappings of one. */
const TOGGLED = 8 * OS_PAGE_BYTES;
/** Until V8 has compiled the loop. */
const WARM_UP = 20_000;

/** As a program does it that holds on to its page. */
function toggle(guard: Guard, count: number): void {
  for (let i = 0; i < count; i++) {
    guard.protectSlice(TOGGLED, OS_PAGE_BYTES, i);
    guard.unprotectSlice(TOGGLED, OS_PAGE_BYTES);
  }
}

function write(bytes: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) bytes[i & (OS_PAGE_BYTES - 1)] = i;
}

const [what = '', countText] = process.argv.slice(2);
const count = Number(countText);
const memory = new SharedWasmMemory({ initial: 1, maximum: 1, shared: true });
const bytes = new Uint8Array(memory.buffer);
// Compiled by V8, and touched by the process, before it is protected.
bytes.fill(1);
write(bytes, 200_000);
const alias = what === 'alias';
const once = what === 'once' || alias;
const guard = protect(bytes, { label: 'bench', mode: 'continue', alias, once });
guard.unprotect();
if (what !== 'toggle') guard.protectSlice(0, OS_PAGE_BYTES);
const run = (times: number): void =>
  what === 'toggle' ? toggle(guard, times) : write(bytes, times);
run(Math.min(WARM_UP, count));
const before = process.cpuUsage();
run(count);
const { user, system } = process.cpuUsage(before);
process.stdout.write(`${JSON.stringify({ ns: ((user + system) * 1000) / count })}\n`);

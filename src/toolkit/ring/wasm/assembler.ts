/**
 * Assembler: makes the bytes of a WebAssembly module from its text.
 *
 * WHY       V8 calls a function for each Atomics operation of JavaScript (12 to 20 ns) and inlines
 *           those of WebAssembly (4 ns). A kernel is a few lines; its text is the source that is
 *           read, tested and shipped, and no binary lies about.
 * TEXT      (module
 *             (import "env" "memory" (memory MIN MAX shared))
 *             (func $name (export "name") (param $a i32) (result i32) (local $b i32) BODY...))
 *           BODY is folded `(i32.add (local.get $a) (i32.const 1))`, or flat words. The structured
 *           ones are folded only: (block $label (result T)? BODY...), (loop ...) and
 *           (if $label? (result T)? CONDITION... (then BODY...) (else BODY...)).
 *           Names stand for locals, labels and functions. Accesses take offset=N, and are aligned.
 *           Numbers: decimal or 0x, with a sign.
 * REFUSED   wabt or binaryen as a dependency (megabytes for some 200 bytes); a binary in the
 *           repository (nobody can read it); tables, globals, data, f32, SIMD (no kernel needs
 *           them).
 * SOURCE    WebAssembly Core Specification 5 (binary format), 6 (text format); threads proposal.
 */
import { type Expression, parseExpression, refuse } from './expressions.ts';
import { OPCODES, type Opcode, VALUE_TYPES } from './opcodes.ts';

const MAGIC_AND_VERSION = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const SECTION_TYPES = 1;
const SECTION_IMPORTS = 2;
const SECTION_FUNCTIONS = 3;
const SECTION_EXPORTS = 7;
const SECTION_CODE = 10;
const KIND_FUNCTION = 0x00;
const KIND_MEMORY = 0x02;
/** Limits with a maximum, shared. */
const LIMITS_SHARED = 0x03;
const FUNCTION_TYPE = 0x60;
const NO_RESULT = 0x40;
const OP_BLOCK = 0x02;
const OP_LOOP = 0x03;
const OP_IF = 0x04;
const OP_ELSE = 0x05;
const OP_END = 0x0b;

type List = readonly Expression[];

interface FunctionText {
  readonly name: string;
  readonly exportName: string;
  readonly params: readonly number[];
  readonly results: readonly number[];
  readonly locals: readonly number[];
  readonly localNames: ReadonlyMap<string, number>;
  readonly body: List;
}

interface Scope {
  readonly functions: ReadonlyMap<string, number>;
  readonly locals: ReadonlyMap<string, number>;
  /** Innermost last. */
  readonly labels: string[];
  readonly out: number[];
}

/** LEB128, unsigned. */
export function unsignedLeb(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return bytes;
}

/** LEB128, signed. */
export function signedLeb(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    const isLast = rest === (byte & 0x40 ? -1n : 0n);
    bytes.push(isLast ? byte : byte | 0x80);
    if (isLast) return bytes;
  }
}

/** Length, then the bytes. */
function sized(bytes: readonly number[]): number[] {
  return [...unsignedLeb(bytes.length), ...bytes];
}

function vector(items: readonly (readonly number[])[]): number[] {
  return [...unsignedLeb(items.length), ...items.flat()];
}

function nameBytes(quoted: Expression | undefined): number[] {
  if (typeof quoted !== 'string' || !quoted.startsWith('"'))
    refuse('a name', JSON.stringify(quoted));
  return sized([...new TextEncoder().encode(quoted.slice(1, -1))]);
}

function parseInteger(text: string, bits: number): bigint {
  if (!/^[+-]?(0x[\da-fA-F]+|\d+)$/.test(text)) refuse('not an integer', text);
  const magnitude = BigInt(text.replace(/^[+-]/, ''));
  const value = text.startsWith('-') ? -magnitude : magnitude;
  if (value < -(1n << BigInt(bits - 1)) || value >= 1n << BigInt(bits)) refuse('too large', text);
  return BigInt.asIntN(bits, value);
}

function floatBytes(text: string): number[] {
  const value = text === 'nan' ? Number.NaN : Number(text);
  if (Number.isNaN(value) && text !== 'nan') refuse('not a number', text);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [...bytes];
}

function valueType(name: Expression | undefined): number {
  const type = typeof name === 'string' ? VALUE_TYPES[name] : undefined;
  return type ?? refuse('a type that is not known', JSON.stringify(name));
}

function indexOf(text: string, names: ReadonlyMap<string, number>): number {
  if (/^\d+$/.test(text)) return Number(text);
  return names.get(text) ?? refuse('a name that is not known', text);
}

/** Depth of a label, counted from the innermost. */
function depthOf(text: string, labels: readonly string[]): number {
  if (/^\d+$/.test(text)) return Number(text);
  const at = labels.lastIndexOf(text);
  return at < 0 ? refuse('a label that is not known', text) : labels.length - 1 - at;
}

function wordAt(list: List, at: number): string {
  const word = list[at];
  return typeof word === 'string' ? word : refuse('a word is missing', JSON.stringify(list));
}

/** What stands behind the opcode; returns how many words of the text it took. */
function immediate(scope: Scope, { immediate: kind }: Opcode, list: List, at: number): number {
  const { out } = scope;
  if (kind === 'none') return 0;
  if (typeof kind === 'number') {
    const next = list[at];
    const offset = typeof next === 'string' ? /^offset=(\d+)$/.exec(next) : null;
    out.push(Math.log2(kind), ...unsignedLeb(Number(offset?.[1] ?? 0)));
    return offset === null ? 0 : 1;
  }
  const word = wordAt(list, at);
  if (kind === 'local') out.push(...unsignedLeb(indexOf(word, scope.locals)));
  else if (kind === 'func') out.push(...unsignedLeb(indexOf(word, scope.functions)));
  else if (kind === 'label') out.push(...unsignedLeb(depthOf(word, scope.labels)));
  else if (kind === 'f64') out.push(...floatBytes(word));
  else out.push(...signedLeb(parseInteger(word, kind === 'i32' ? 32 : 64)));
  return 1;
}

/** The optional label and result of a block; returns where its body starts. */
function blockHead(list: List): { label: string; type: number; at: number } {
  let at = 1;
  let label = '';
  let type = NO_RESULT;
  const word = list[at];
  if (typeof word === 'string' && word.startsWith('$')) {
    label = word;
    at++;
  }
  const result = list[at];
  if (Array.isArray(result) && result[0] === 'result') {
    type = valueType(result[1]);
    at++;
  }
  return { label, type, at };
}

function assembleBlock(scope: Scope, list: List, opcode: number): void {
  const { label, type, at } = blockHead(list);
  scope.out.push(opcode, type);
  scope.labels.push(label);
  assembleBody(scope, list.slice(at));
  scope.labels.pop();
  scope.out.push(OP_END);
}

function branch(parts: List, name: string): List | null {
  const found = parts.find((part) => Array.isArray(part) && part[0] === name);
  return found === undefined ? null : (found as List).slice(1);
}

function assembleIf(scope: Scope, list: List): void {
  const { label, type, at } = blockHead(list);
  const parts = list.slice(at);
  const isBranch = (part: Expression): boolean => part[0] === 'then' || part[0] === 'else';
  assembleBody(
    scope,
    parts.filter((part) => !isBranch(part)),
  );
  scope.out.push(OP_IF, type);
  scope.labels.push(label);
  assembleBody(scope, branch(parts, 'then') ?? refuse('an if without then', JSON.stringify(list)));
  const otherwise = branch(parts, 'else');
  if (otherwise !== null) {
    scope.out.push(OP_ELSE);
    assembleBody(scope, otherwise);
  }
  scope.labels.pop();
  scope.out.push(OP_END);
}

function assembleFolded(scope: Scope, list: List): void {
  const name = wordAt(list, 0);
  if (name === 'block') assembleBlock(scope, list, OP_BLOCK);
  else if (name === 'loop') assembleBlock(scope, list, OP_LOOP);
  else if (name === 'if') assembleIf(scope, list);
  else assembleOperation(scope, list, name);
}

/** Operands first, then the instruction itself. */
function assembleOperation(scope: Scope, list: List, name: string): void {
  const opcode = OPCODES.get(name) ?? refuse('an instruction that is not known', name);
  const own: Scope = { ...scope, out: [] };
  const used = immediate(own, opcode, list, 1);
  assembleBody(scope, list.slice(1 + used));
  scope.out.push(...opcode.bytes, ...own.out);
}

function assembleBody(scope: Scope, list: List): void {
  for (let at = 0; at < list.length; at++) {
    const item = list[at]!;
    if (typeof item !== 'string') {
      assembleFolded(scope, item);
      continue;
    }
    const opcode = OPCODES.get(item) ?? refuse('an instruction that is not known', item);
    scope.out.push(...opcode.bytes);
    at += immediate(scope, opcode, list, at + 1);
  }
}

/** Adds `(param $a i32)` or `(param i32 i64)` to the locals. */
function declare(types: number[], names: Map<string, number>, list: List, before: number): void {
  const named = typeof list[1] === 'string' && list[1].startsWith('$');
  if (named) {
    if (names.has(wordAt(list, 1))) refuse('a local that is there already', wordAt(list, 1));
    names.set(wordAt(list, 1), before + types.length);
  }
  types.push(...list.slice(named ? 2 : 1).map(valueType));
}

function readFunction(list: List): FunctionText {
  const params: number[] = [];
  const results: number[] = [];
  const locals: number[] = [];
  const localNames = new Map<string, number>();
  let exportName = '';
  let at = 1;
  const name = typeof list[at] === 'string' ? wordAt(list, at++) : '';
  for (; at < list.length; at++) {
    const item = list[at]!;
    if (typeof item === 'string') break;
    if (item[0] === 'export') exportName = wordAt(item, 1);
    else if (item[0] === 'param') declare(params, localNames, item, 0);
    else if (item[0] === 'result') results.push(valueType(item[1]));
    else if (item[0] === 'local') declare(locals, localNames, item, params.length);
    else break;
  }
  return { name, exportName, params, results, locals, localNames, body: list.slice(at) };
}

function readImport(list: List): number[] {
  const memory = list[3];
  if (!Array.isArray(memory) || memory[0] !== 'memory' || memory[3] !== 'shared') {
    refuse('only a shared memory can be imported', JSON.stringify(list));
  }
  const limits = [1, 2].flatMap((at) => unsignedLeb(Number(parseInteger(wordAt(memory, at), 32))));
  return [...nameBytes(list[1]), ...nameBytes(list[2]), KIND_MEMORY, LIMITS_SHARED, ...limits];
}

function functionCode(text: FunctionText, functions: ReadonlyMap<string, number>): number[] {
  const out: number[] = [];
  assembleBody({ functions, locals: text.localNames, labels: [], out }, text.body);
  return sized([...vector(text.locals.map((type) => [1, type])), ...out, OP_END]);
}

/** The bytes of the module; they are validated by the WebAssembly.Module made from them. */
export function assemble(text: string): Uint8Array {
  const module = parseExpression(text);
  if (typeof module === 'string' || module[0] !== 'module') refuse('not a module', text);
  const fields = module.slice(1) as readonly List[];
  const imports = fields.filter((field) => field[0] === 'import').map(readImport);
  const functions = fields.filter((field) => field[0] === 'func').map(readFunction);
  if (imports.length + functions.length !== fields.length) refuse('a field not known', text);
  const names = new Map(functions.map((one, index) => [one.name, index]));
  const types = functions.map((one) => [
    FUNCTION_TYPE,
    ...vector(one.params.map((type) => [type])),
    ...vector(one.results.map((type) => [type])),
  ]);
  const exports = functions.flatMap((one, index) =>
    one.exportName === ''
      ? []
      : [[...nameBytes(one.exportName), KIND_FUNCTION, ...unsignedLeb(index)]],
  );
  const sections: readonly (readonly [number, number[]])[] = [
    [SECTION_TYPES, vector(types)],
    [SECTION_IMPORTS, vector(imports)],
    [SECTION_FUNCTIONS, vector(functions.map((_, index) => unsignedLeb(index)))],
    [SECTION_EXPORTS, vector(exports)],
    [SECTION_CODE, vector(functions.map((one) => functionCode(one, names)))],
  ];
  const bytes = sections.flatMap(([id, content]) => [id, ...sized(content)]);
  return Uint8Array.from([...MAGIC_AND_VERSION, ...bytes]);
}

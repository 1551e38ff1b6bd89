/**
 * Rewrite: turns the shipped, compiled kernels into generators that yield before each access of
 * shared memory.
 *
 * WHY        A proof about a copy of a kernel proves nothing of the kernel. The text that is
 *            checked is the text of dist/, with three changes: a function becomes a generator, an
 *            Atomics call or an element of a shared array becomes a yield of an Access, and a
 *            call of a kernel becomes `yield*`. Imported constants come from the real layout
 *            modules.
 * INVARIANTS What is not understood is refused, never left as it stands: a closure, an element of
 *            an array that is not declared shared, a call of something unknown, a class, a
 *            method.
 * REFUSED    Proxies around typed arrays (cannot yield); hand-written models of the kernels.
 */
import { readFileSync } from 'node:fs';
import { type Node, parse } from 'acorn';
import { ATOMICS, type Place, type Program, READ, WRITE } from './access.ts';
import { type Mutation, mutate } from './mutate.ts';

const RING = new URL('../../src/toolkit/ring/', import.meta.url);

/** A kernel by its name; the arguments are those of the shipped function. */
// biome-ignore lint/suspicious/noExplicitAny: kernels answer numbers or booleans
export type Kernels = Readonly<Record<string, (...parameters: any[]) => Program<any>>>;

export interface KernelOptions {
  /** Module names without suffix, those that are imported first: `['spsc-kernel']`. */
  readonly modules: readonly string[];
  /** Names of parameters that are shared arrays. */
  readonly shared: readonly string[];
  /** Imported functions that touch no shared memory, and are called as they are. */
  readonly pure?: readonly string[];
  /** A change of the text, to see that it is found. */
  readonly mutation?: Mutation;
  /** Instead of the files in dist/, by module name. */
  readonly texts?: Readonly<Record<string, string>>;
}

/** All functions of the modules, rewritten. */
export async function loadKernels(options: KernelOptions): Promise<Kernels> {
  const kernels: Record<string, Kernels[string]> = {};
  let isMutated = options.mutation === undefined;
  for (const module of options.modules) {
    let text = options.texts?.[module] ?? readFileSync(new URL(`${module}.js`, RING), 'utf8');
    if (options.mutation?.module === module) {
      text = mutate(text, options.mutation);
      isMutated = true;
    }
    Object.assign(kernels, await new Rewriter(module, text, options, kernels).evaluate());
  }
  if (!isMutated) throw new Error(`no module ${options.mutation?.module} to change`);
  return kernels;
}

// biome-ignore lint/suspicious/noExplicitAny: a node of any type, its fields by their names
type Any = any;

/** Node types whose children are rewritten and whose own text stays. */
const PLAIN = new Set(
  `Program ExportNamedDeclaration VariableDeclaration VariableDeclarator BlockStatement
  ExpressionStatement IfStatement WhileStatement DoWhileStatement ForStatement ReturnStatement
  BreakStatement ContinueStatement EmptyStatement SwitchStatement SwitchCase Identifier Literal
  BinaryExpression LogicalExpression ConditionalExpression`.split(/\s+/),
);

class Rewriter {
  readonly #places: Place[] = [];
  /** What the text refers to and does not declare. */
  readonly #imported: Record<string, unknown> = {};
  readonly #functions: string[] = [];
  /** Kernels by the name that the text knows them by. */
  readonly #kernels = new Set<string>();
  readonly #pure = new Set<string>();
  readonly #module: string;
  readonly #text: string;
  readonly #options: KernelOptions;
  readonly #known: Kernels;
  #function = '';

  constructor(module: string, text: string, options: KernelOptions, known: Kernels) {
    this.#module = module;
    this.#text = text;
    this.#options = options;
    this.#known = known;
  }

  async evaluate(): Promise<Kernels> {
    const program: Any = parse(this.#text, {
      ecmaVersion: 2023,
      sourceType: 'module',
      locations: true,
    });
    const rest: Any[] = [];
    for (const node of program.body) {
      if (node.type === 'ImportDeclaration') await this.#import(node);
      else rest.push(node);
      const declared = node.type === 'ExportNamedDeclaration' ? node.declaration : node;
      if (declared?.type === 'FunctionDeclaration') this.#functions.push(declared.id.name);
    }
    for (const name of this.#functions) this.#kernels.add(name);
    const body = rest.map((node) => this.#statement(node)).join('\n');
    const names = Object.keys(this.#imported);
    // Text of the repository only.
    // oxlint-disable-next-line typescript/no-implied-eval
    const make = new Function('$', ...names, `${body}\nreturn {${this.#functions.join(',')}};`);
    return make(this.#places, ...Object.values(this.#imported)) as Kernels;
  }

  async #import(node: Any): Promise<void> {
    const from = node.source.value as string;
    const own = new URL(`${this.#module}.js`, RING);
    const real = (await import(from.startsWith('.') ? new URL(from, own).href : from)) as Kernels;
    for (const { type, imported, local } of node.specifiers) {
      if (type !== 'ImportSpecifier') throw this.#refusal(node, 'an import without names');
      const kernel = this.#known[imported.name];
      const value: unknown = kernel ?? real[imported.name];
      if (value === undefined) throw this.#refusal(node, `${imported.name}, which is not there`);
      this.#imported[local.name] = value;
      if (kernel !== undefined) this.#kernels.add(local.name);
      else if (this.#options.pure?.includes(imported.name) === true) this.#pure.add(local.name);
      else if (typeof value !== 'number') throw this.#refusal(node, `the import ${local.name}`);
    }
  }

  /** At the top: functions, and constants that touch nothing. */
  #statement(node: Any): string {
    const declared = node.type === 'ExportNamedDeclaration' ? node.declaration : node;
    if (declared?.type === 'FunctionDeclaration') return this.#rewriteFunction(declared);
    if (declared?.type === 'VariableDeclaration' && declared.kind === 'const') {
      const places = this.#places.length;
      const text = this.#render(declared);
      if (this.#places.length === places && !text.includes('yield')) return text;
    }
    throw this.#refusal(node, `${declared?.type ?? node.type} at the top of a module`);
  }

  #rewriteFunction(node: Any): string {
    if (node.generator || node.async) throw this.#refusal(node, 'a generator or async function');
    for (const parameter of node.params) {
      if (parameter.type !== 'Identifier')
        throw this.#refusal(parameter, 'a parameter that is no name');
    }
    this.#function = node.id.name;
    const parameters = node.params.map((parameter: Any) => parameter.name).join(', ');
    return `function* ${node.id.name}(${parameters}) ${this.#render(node.body)}`;
  }

  /** The text of a node with what is below it rewritten. */
  #render(node: Any): string {
    if (node.type === 'CallExpression') return this.#renderCall(node);
    if (node.type === 'MemberExpression') return this.#renderMember(node);
    if (node.type === 'AssignmentExpression') return this.#renderAssignment(node);
    if (node.type === 'UpdateExpression' && node.argument.type === 'Identifier') {
      return this.#textOf(node);
    }
    const isSign = node.type === 'UnaryExpression' && '-+!~'.includes(node.operator);
    if (!isSign && !PLAIN.has(node.type)) throw this.#refusal(node, node.type);
    if (node.type === 'VariableDeclarator' && node.id.type !== 'Identifier') {
      throw this.#refusal(node, 'a pattern');
    }
    let text = '';
    let at = node.start;
    for (const child of childrenOf(node)) {
      text += this.#text.slice(at, child.start) + this.#render(child);
      at = child.end;
    }
    return text + this.#text.slice(at, node.end);
  }

  #renderCall(node: Any): string {
    const { callee } = node;
    const list: string[] = node.arguments.map((argument: Any) => this.#render(argument));
    if (callee.type === 'Identifier' && this.#kernels.has(callee.name)) {
      return `(yield* ${callee.name}(${list.join(', ')}))`;
    }
    if (callee.type === 'Identifier' && this.#pure.has(callee.name)) {
      const isLeak = node.arguments.some((argument: Any) => this.#isShared(argument));
      if (isLeak) throw this.#refusal(node, 'shared words in the hands of a pure function');
      return `${callee.name}(${list.join(', ')})`;
    }
    const isMember = callee.type === 'MemberExpression' && !callee.computed;
    const object = isMember && callee.object.type === 'Identifier' ? callee.object.name : '';
    if (object === 'Math') return `Math.${callee.property.name}(${list.join(', ')})`;
    const atomic = object === 'Atomics' ? ATOMICS[callee.property.name] : undefined;
    if (atomic === undefined) throw this.#refusal(node, 'a call of something unknown');
    const [op, most] = atomic;
    const [array, index, value = 'Infinity', replacement = 'Infinity'] = list;
    if (list.length > most || list.length < 2) throw this.#refusal(node, 'these arguments');
    this.#checkShared(node.arguments[0]);
    return this.#access(node, op, array!, index!, value, replacement);
  }

  #renderMember(node: Any): string {
    if (node.object.type !== 'Identifier') throw this.#refusal(node, 'a member of no name');
    if (!node.computed) {
      if (node.property.name === 'length') return this.#textOf(node);
      throw this.#refusal(node, 'a member other than length');
    }
    this.#checkShared(node.object);
    return this.#access(node, READ, node.object.name, this.#render(node.property), '0', '0');
  }

  #renderAssignment(node: Any): string {
    const { left, operator } = node;
    const value = this.#render(node.right);
    if (left.type === 'Identifier') return `${left.name} ${operator} ${value}`;
    const isElement = left.type === 'MemberExpression' && left.computed;
    if (!isElement) throw this.#refusal(node, 'this kind of assignment');
    if (operator !== '=') {
      // A read and a write, at an index that has no accesses of its own.
      const isArithmetic = ['+=', '-=', '|=', '&='].includes(operator);
      const isSimple = left.property.type === 'Identifier';
      if (!isArithmetic || !isSimple) throw this.#refusal(node, 'this kind of assignment');
      const sum = `${this.#renderMember(left)} ${operator.slice(0, -1)} (${value})`;
      return this.#access(node, WRITE, left.object.name, left.property.name, sum, '0');
    }
    this.#checkShared(left.object);
    return this.#access(node, WRITE, left.object.name, this.#render(left.property), value, '0');
  }

  #access(
    node: Any,
    op: number,
    array: string,
    index: string,
    value: string,
    other: string,
  ): string {
    const place = this.#places.push(this.#placeOf(node)) - 1;
    const fields = `op: ${op}, array: ${array}, index: ${index}, value: ${value}`;
    return `(yield {${fields}, replacement: ${other}, place: $[${place}]})`;
  }

  #checkShared(node: Any): void {
    if (this.#isShared(node)) return;
    throw this.#refusal(node, 'an array that is not declared shared');
  }

  #isShared(node: Any): boolean {
    return node.type === 'Identifier' && this.#options.shared.includes(node.name);
  }

  #placeOf(node: Node): Place {
    const where = `${this.#function} (${this.#module}.js:${node.loc!.start.line})`;
    return { where, text: this.#textOf(node).replace(/\s+/g, ' ') };
  }

  #textOf(node: Node): string {
    return this.#text.slice(node.start, node.end);
  }

  #refusal(node: Node, what: string): Error {
    const { where, text } = this.#placeOf(node);
    return new Error(`${where}: the checker does not understand ${what}: ${text}`);
  }
}

/** Child nodes in the order of the text. */
function childrenOf(node: Any): Any[] {
  const values = Object.values(node).flat() as Any[];
  return values
    .filter((value) => value !== null && typeof value === 'object' && 'type' in value)
    .sort((a, b) => a.start - b.start);
}

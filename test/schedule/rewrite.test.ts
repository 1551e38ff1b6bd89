import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Access, LOAD, READ, STORE, WRITE } from './access.ts';
import { mutate } from './mutate.ts';
import { type KernelOptions, loadKernels } from './rewrite.ts';

function load(text: string, options: Partial<KernelOptions> = {}) {
  return loadKernels({ modules: ['toy'], shared: ['words'], texts: { toy: text }, ...options });
}

/** What a generator yields when memory answers `answers`, and what it returns. */
function run(program: Generator<Access, unknown, unknown>, answers: readonly unknown[]) {
  const yielded: (readonly [op: number, index: number, value: number])[] = [];
  let next = program.next();
  for (let i = 0; next.done !== true; i++) {
    const { op, index, value } = next.value;
    yielded.push([op, index, value]);
    next = program.next(answers[i]);
  }
  return { yielded, returned: next.value };
}

test('accesses are yielded in the order in which the kernel makes them', async () => {
  const kernels = await load(`
    const AT = 3;
    export function take(words, wanted) {
      const noted = (words[AT] - 1) | 0;
      if (noted >= -(wanted + 1)) return more(words, words.length) ? noted : -1;
      return words[AT + 1];
    }
    function more(words, count) {
      words[AT] = Atomics.load(words, 0) + count;
      Atomics.store(words, 0, 7);
      for (let i = 0; i < 2; i++) count += i;
      return count > 4;
    }`);
  const words = new Int32Array(5);
  assert.deepEqual(run(kernels.take!(words, 2), [9, 20, undefined, undefined]), {
    yielded: [
      [READ, 3, 0],
      [LOAD, 0, Number.POSITIVE_INFINITY],
      [WRITE, 3, 25],
      [STORE, 0, 7],
    ],
    returned: 8,
  });
  assert.deepEqual(run(kernels.take!(words, 2), [-9, 4]).yielded, [
    [READ, 3, 0],
    [READ, 4, 0],
  ]);
});

test('what is added to an element is a read and a write', async () => {
  const { add } = await load('function add(words, at) { words[at] -= words[0] + 2; }');
  const { yielded } = run(add!(new Int32Array(4), 3), [10, 5]);
  assert.deepEqual(yielded, [
    [READ, 3, 0],
    [READ, 0, 0],
    [WRITE, 3, 3],
  ]);
});

test('imported constants are the real ones, imported kernels the rewritten ones', async () => {
  const kernels = await loadKernels({
    modules: ['spsc-kernel', 'toy'],
    shared: ['words'],
    texts: {
      toy: `import { spscPublish as publish } from './spsc-kernel.js';
        import { SPSC_READ_WORD } from './spsc-layout.js';
        export function both(words) { publish(words); return SPSC_READ_WORD; }`,
      'spsc-kernel': 'export function spscPublish(words) { words[1] = 2; }',
    },
  });
  const { yielded, returned } = run(kernels.both!(new Int32Array(2)), []);
  assert.deepEqual(yielded, [[WRITE, 1, 2]]);
  assert.equal(returned, 64);
});

const REFUSED: Readonly<Record<string, string>> = {
  'a closure': 'function f(words) { const g = () => words[0]; return g(); }',
  'a function in a function': 'function f(words) { function g() {} return words[0]; }',
  'an array that is not declared': 'function f(words, other) { return other[0]; }',
  'another name of the array': 'function f(words) { const w = words; return w[0]; }',
  'a member that is no element': 'function f(words) { return words.fill(0); }',
  'an element of an expression': 'function f(words) { return (words)[0] + f(words)[0]; }',
  'a compound assignment': 'function f(words, at) { words[at + 1] += 1; }',
  'an increment in memory': 'function f(words) { words[0]++; }',
  'a function that is not known': 'function f(words) { return g(words); }',
  'Atomics of something else': 'function f(words, other) { return Atomics.load(other, 0); }',
  'Atomics that is not known': 'function f(words) { return Atomics.isLockFree(words, 4); }',
  'a pattern': 'function f(words) { const [a] = words; return a; }',
  'a default': 'function f(words, a = words[0]) { return a; }',
  'an object': 'function f(words) { return { words }; }',
  'an allocation': 'function f(words) { return new Int32Array(words); }',
  'a class': 'class A {}',
  'a variable of the module': 'let count = 0; function f() { count += 1; }',
  'a constant that calls': 'const A = Date.now();',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a kernel
  'a template': 'function f(words) { return `${words}`; }',
  'an exception that is caught': 'function f(words) { try { return words[0]; } finally { } }',
  'an import of a function': "import { initSpsc } from './spsc-layout.js';",
  'an import that is not there': "import { NOTHING } from './spsc-layout.js';",
};

for (const [what, text] of Object.entries(REFUSED)) {
  test(`refused: ${what}`, async () => {
    await assert.rejects(load(text), /the checker does not understand/);
  });
}

test('a pure function is called as it is, and gets no shared words', async () => {
  const options = { pure: ['initSpsc'] };
  const head = "import { initSpsc } from './spsc-layout.js';";
  await load(`${head} function f(words) { initSpsc(1); }`, options);
  await assert.rejects(
    load(`${head} function f(words) { initSpsc(words); }`, options),
    /the checker does not understand/,
  );
});

test('a mutation hits exactly one place, or it is an error', async () => {
  const text = 'function f() {\n    a = 1;\n    b = 2;\n}\nfunction g() {\n    b = 2;\n}\n';
  const at = { name: 'bug', module: 'toy', from: 'b = 2;', to: 'b = 3;' };
  assert.equal(
    mutate(text, { ...at, inside: 'g' }),
    'function f() {\n    a = 1;\n    b = 2;\n}\nfunction g() {\n    b = 3;\n}\n',
  );
  assert.match(
    mutate(text, { ...at, from: 'a = 1; b = 2;', to: '' }),
    /^function f\(\) \{\n {4}\n\}/,
  );
  assert.throws(() => mutate(text, at), /2 places/);
  assert.throws(() => mutate(text, { ...at, from: 'none' }), /0 places/);
  assert.throws(() => mutate(text, { ...at, inside: 'h' }), /no function h/);
  await assert.rejects(load(text, { mutation: { ...at, module: 'other' } }), /no module other/);
});

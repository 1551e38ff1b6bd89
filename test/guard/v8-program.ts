/**
 * The programs of v8-frames.test.ts: JavaScript functions of every kind, each of them run by each
 * of V8's tiers, with marks where their lines and columns are expected.
 */

export const TIERS = ['interpreted', 'baseline', 'optimised', 'inlined', 'loop'] as const;
export type Tier = (typeof TIERS)[number];

export interface Kind {
  /** As the report names the function. */
  readonly name: string;
  /** Defines `leaf`, the function itself, and `outer`, its caller. ACT is what it does. */
  readonly text: string;
  /** V8 does not inline it. */
  readonly isNeverInlined?: boolean;
  /** It is optimised while it runs: its frame is still laid out as the interpreter's. */
  readonly isLoop?: boolean;
  /** Of a function made of a string. */
  readonly file?: string;
  readonly place?: { readonly line: number; readonly column: number };
}

const plainOuter = `
  function outer(x) {
    const y = x;
    return /*outer*/leaf(y);
  }`;
const holderOuter = plainOuter.replace('/*outer*/leaf', 'holder./*outer*/leaf');

export const KINDS: Readonly<Record<string, Kind>> = {
  function: { name: 'leaf', text: `function leaf(x) {\n  ACT;\n  return x;\n}${plainOuter}` },
  loop: {
    name: 'leaf',
    isLoop: true,
    text: `function leaf(x) {
      for (let i = 0; i < 40; i++) {\n  ACT;\n  x += i;
      if (i === 20 && globalThis.isOsr) %OptimizeOsr();\n}
      return x;\n}${plainOuter}`,
  },
  arrow: { name: 'leaf', text: `const leaf = (x) => {\n  ACT;\n  return x;\n};${plainOuter}` },
  'function without a name': {
    name: 'leaf',
    text: `const leaf = [(x) => {\n  ACT;\n  return x;\n}][0];${plainOuter}`,
  },
  method: {
    name: 'leaf',
    text: `const holder = { leaf(x) {\n  ACT;\n  return x;\n} };
      const { leaf } = holder;${holderOuter}`,
  },
  closure: {
    name: 'leaf',
    text: `function make(a, b) {\n  return function leaf(x) {\n  a++;
      ACT;\n  b++;\n  return a + b;\n  };\n}\nconst leaf = make(1, 2);${plainOuter}`,
  },
  'class static': {
    name: 'leaf',
    text: `class Holder {\n  static leaf(x) {\n  ACT;\n  return x;\n}\n}
      const holder = Holder;\n const { leaf } = holder;${holderOuter}`,
  },
  'private method': {
    name: '#leaf',
    text: `let leaf;\n class Holder {\n  #leaf(x) {\n  ACT;\n  return x;\n}
      static { leaf = new Holder().#leaf; }\n}${plainOuter}`,
  },
  getter: {
    name: 'get leaf',
    isNeverInlined: true,
    text: `const holder = { get leaf() {\n  const x = 8192;\n  ACT;\n  return x;\n} };
      const leaf = Object.getOwnPropertyDescriptor(holder, 'leaf').get;
      function outer(x) {\n  const y = x;\n  return holder./*outer*/leaf;\n}`,
  },
  'function of many words': {
    name: 'ünïcödé_日本語_𝒳',
    text: `const leaf = function ünïcödé_日本語_𝒳(x) {\n  ACT;\n  return x;\n};${plainOuter}`,
  },
  async: {
    name: 'leaf',
    isNeverInlined: true,
    text: `async function leaf(x) {\n  ACT;\n  return x;\n}${plainOuter}`,
  },
  generator: {
    name: 'leaf',
    isNeverInlined: true,
    text: `function* leaf(x) {\n  yield x;\n  ACT;\n  yield x;\n}
      function outer(x) {\n  const y = leaf(x);\n  y.next();\n  return y./*outer*/next();\n}`,
  },
  eval: {
    name: 'leaf',
    file: 'eval',
    place: { line: 2, column: 31 },
    text: `eval("globalThis.leaf = function leaf(x) {\\n  ACT;\\n  return x;\\n}");
      const { leaf } = globalThis;${plainOuter}`,
  },
  'eval with a name': {
    name: 'globalThis.leaf',
    file: 'evaluated.js',
    place: { line: 2, column: 31 },
    text: `eval("globalThis.leaf = (x) => {\\n  ACT;\\n  return x;\\n};" +
        "\\n//# sourceURL=evaluated.js");
      const { leaf } = globalThis;${plainOuter}`,
  },
  'new Function': {
    name: '(anonymous)',
    file: 'eval',
    place: { line: 3, column: 29 },
    text: `const leaf = new Function('x', 'ACT;\\nreturn x;');${plainOuter}`,
  },
};

/** What runs the kind in the tier, and keeps the frames that it saw as `globalThis.seen[name]`. */
export function cellText(name: string, kind: Kind, tier: Tier): string {
  const native = (call: string, f: string) => `new Function('f', '%${call}(f)')(${f});`;
  const isOptimised = tier === 'optimised' || tier === 'inlined';
  const compile = {
    interpreted: '',
    baseline: native('CompileBaseline', 'leaf') + native('CompileBaseline', 'outer'),
    optimised:
      native('NeverOptimizeFunction', 'outer') + native('OptimizeFunctionOnNextCall', 'leaf'),
    inlined: native('OptimizeFunctionOnNextCall', 'outer'),
    loop:
      native('NeverOptimizeFunction', 'outer') +
      native('PrepareFunctionForOptimization', 'leaf') +
      'globalThis.isOsr = true;',
  }[tier];
  const prepare = native('PrepareFunctionForOptimization', 'leaf');
  const text = `${kind.text}
    ${isOptimised ? prepare + native('PrepareFunctionForOptimization', 'outer') : ''}
    outer(8192);
    outer(8192);
    ${compile}
    outer(8192);
    ${tier === 'loop' ? 'globalThis.isOsr = false' : 'outer(8192)'};
    globalThis.seen[${JSON.stringify(name)}] = globalThis.frames;`;
  return text.replaceAll('ACT', 'globalThis.frames = /*leaf*/captureStack(0)');
}

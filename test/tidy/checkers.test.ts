import assert from 'node:assert/strict';
import { test } from 'node:test';
import { anchorOf, checkLinks, checkUnits, compareNames } from './documents.ts';
import { functionSpans } from './functions.ts';
import { checkImports, deadFiles, importsOf } from './imports.ts';
import { checkLock, checkVersions } from './packages.ts';
import { scanSource } from './scanner.ts';
import { makeSource, ROOT } from './sources.ts';
import * as style from './style.ts';

const HEAD = '/**\n * What and why.\n */\n';

function source(text: string, path = 'src/server/thing.ts') {
  return makeSource(path, text);
}

test('the scanner blanks comments, strings, templates and regular expressions', () => {
  const text = [
    'const a = "// {"; // real {',
    "const b = 'it\\'s {'; /* block } */",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: the text is a source to scan
    'const c = `t { ${x ? `in } ${y}` : {z}} }`;',
    'const d = /[/{]\\/{/.test(e) / 2 / f;',
  ].join('\n');
  const { code, comments, codeWithStrings } = scanSource(text);
  assert.equal(code.length, text.length);
  assert.equal(code.split('\n').length, 4);
  assert.deepEqual(
    comments.map((comment) => comment.text),
    ['// real {', '/* block } */'],
  );
  const [first, second, third, fourth] = code.split('\n') as [string, string, string, string];
  assert.doesNotMatch(first + second, /[{}]/);
  assert.equal(third.replace(/\s/g, ''), 'constc=`{x?`{y}`:{z}}`;');
  assert.match(fourth, /\.test\(e\) \/ 2 \/ f;$/);
  assert.doesNotMatch(fourth, /\{/);
  assert.match(codeWithStrings, /"\/\/ \{"/);
});

test('function spans: functions, methods, arrows, C; not blocks, types or objects', () => {
  const text = `
export function one(a: { b: number }): void {
  if (a.b > 1) {
    for (const x of [1]) { use(x); }
  }
}
class Two extends Base<{ a: 1 }> {
  #three(a = {}): string {
    return \`\${a}{\`;
  }
  get four(): number { return 4; }
}
interface Five { six(a: number): void; }
const seven = async (list) => {
  const object = { a: 1, b() { return 2; } };
  list.map((x) => { return x; });
};
`;
  const spans = functionSpans(text, scanSource(text));
  assert.deepEqual(
    spans.map((span) => [span.name, span.line, span.lines]),
    [
      ['one', 2, 5],
      ['#three', 8, 3],
      ['four', 11, 1],
      ['b', 15, 1],
      ['map', 16, 1],
      ['seven', 14, 4],
    ],
  );
  const c = 'static int a_call(int a)\n{\n  if (a) {\n    return 1;\n  }\n  return 0;\n}\n';
  assert.deepEqual(
    functionSpans(c, scanSource(c)).map((span) => span.lines),
    [7],
  );
});

test('a long function, line and file are found', () => {
  const body = '  call();\n'.repeat(style.FUNCTION_LINES_MAX - 1);
  assert.equal(style.checkFunctions(source(`function a() {\n${body}}\n`)).length, 1);
  const shorter = '  call();\n'.repeat(style.FUNCTION_LINES_MAX - 2);
  assert.equal(style.checkFunctions(source(`function a() {\n${shorter}}\n`)).length, 0);
  assert.equal(style.checkLines(source(`${'x'.repeat(101)}\n`)).length, 1);
  assert.equal(style.checkLines(source(`${'x'.repeat(100)}\n`)).length, 0);
  assert.equal(style.checkLines(source(`${HEAD}${'x\n'.repeat(501)}`)).length, 1);
  assert.equal(style.checkLines(source(`${HEAD}${'x\n'.repeat(499)}`)).length, 0);
});

test('a missing head, console.log, leftovers and commented-out code are found', () => {
  assert.equal(style.checkHead(source('const a = 1;\n')).length, 1);
  assert.equal(style.checkHead(source(`${HEAD}const a = 1;\n`)).length, 0);
  assert.equal(style.checkHead(source(`#!/usr/bin/env node\n${HEAD}`, 'scripts/a.mjs')).length, 0);
  assert.equal(style.checkHead(source(HEAD, 'src/server/journal/format.ts')).length, 4);
  assert.equal(style.checkConsole(source('console.log(1);\n')).length, 1);
  assert.equal(style.checkConsole(source('// console.log(1)\n')).length, 0);
  assert.equal(style.checkConsole(source('console.log(1);\n', 'src/cli/a.ts')).length, 0);
  assert.equal(style.checkUnfinished(source(`// ${'TO'}DO: later\n`)).length, 1);
  assert.equal(style.checkCommentedCode(source('// const a = b(1);\n')).length, 1);
  assert.equal(style.checkCommentedCode(source('// if (a) {\n')).length, 1);
  assert.equal(style.checkCommentedCode(source('// returns early; the rest follows\n')).length, 0);
});

test('enums, bare control indexes and shapeless folders are found', () => {
  assert.equal(style.checkErasable(source('export const enum A { B }\n')).length, 1);
  assert.equal(style.checkErasable(source('const text = "enum A";\n')).length, 0);
  assert.equal(style.checkControlIndex(source('Atomics.load(this.#words, 3);\n')).length, 1);
  assert.equal(style.checkControlIndex(source('Atomics.load(words, READ_SEQ);\n')).length, 0);
  assert.equal(style.checkFolder(source('', 'src/utils/a.ts')).length, 1);
});

test('imports of every form are seen, in comments and strings none', () => {
  const text = `import a from './a.ts';
import type { B,
  C } from "./b.ts";
import './c.ts';
export { d } from './d.ts';
const e = await import('./e.ts');
// import f from './f.ts';
const g = "import g from './g.ts'";
`;
  const found = importsOf(source(text)).map((entry) => entry.specifier);
  assert.deepEqual(found.filter((name) => name !== './g.ts').sort(), [
    './a.ts',
    './b.ts',
    './c.ts',
    './d.ts',
    './e.ts',
  ]);
});

test('imports that cross the storeys are found', () => {
  const bad: [string, string][] = [
    ['src/toolkit/ring/a.ts', '../../rdr/index.ts'],
    ['src/toolkit/ring/a.ts', '../sys/index.ts'],
    ['src/toolkit/base/a.ts', 'node:fs'],
    ['src/rdr/a.ts', 'node:buffer'],
    ['src/rdr/a.ts', '../toolkit/ring/index.ts'],
    ['src/server/store/a.ts', '../collect/b.ts'],
    ['src/server/store/a.ts', '../journal/writer.ts'],
    ['src/server/store/a.ts', '../supervisor.ts'],
    ['src/server/a.ts', '../cli/main.ts'],
    ['src/server/a.ts', '../simulator/index.ts'],
    ['src/simulator/a.ts', '../server/index.ts'],
    ['src/server/collect/a.ts', 'fastify'],
    ['src/server/dashboard/a.ts', '@duckdb/node-api'],
    ['src/rdr/a.ts', 'zod'],
    ['src/server/a.ts', 'left-pad'],
    ['src/server/a.ts', './b.js'],
    ['src/other/a.ts', '../rdr/index.ts'],
  ];
  for (const [path, specifier] of bad) {
    const found = checkImports(source(`import '${specifier}';\n`, path));
    assert.ok(found.length > 0, `${path} imports ${specifier}`);
  }
  const good: [string, string][] = [
    ['src/server/store/a.ts', '../journal/block-source.ts'],
    ['src/server/journal/writer.ts', './format.ts'],
    ['src/server/dashboard/a.ts', 'fastify'],
    ['src/server/supervisor.ts', './collect/index.ts'],
    ['src/cli/a.ts', '../simulator/index.ts'],
    ['src/rdr/a.test.ts', 'node:fs'],
    ['bench/a.ts', '../src/server/index.ts'],
  ];
  for (const [path, specifier] of good) {
    assert.deepEqual(checkImports(source(`import '${specifier}';\n`, path)), []);
  }
});

test('a file that only its own test imports is dead', () => {
  const files = [
    source("import './b.ts';\nnew Worker(new URL('./w.js', import.meta.url));", 'src/a.ts'),
    source('', 'src/b.ts'),
    source('', 'src/w.ts'),
    source('', 'src/dead.ts'),
    source("import './dead.ts';", 'src/dead.test.ts'),
  ];
  assert.deepEqual(deadFiles(files, ['src/a.ts']), ['src/dead.ts']);
});

test('ranges, install scripts and hosts in the lock file are found', () => {
  assert.equal(checkVersions({ dependencies: { a: '^1.0.0', b: '1.0.0-r.1' } }).length, 1);
  const packages = {
    '': { hasInstallScript: true },
    'node_modules/a': { hasInstallScript: true },
    'node_modules/b': { resolved: 'https://example.net/b.tgz' },
    'node_modules/c': { hasInstallScript: true, optional: true, os: ['darwin'] },
  };
  assert.equal(checkLock({ packages }).length, 2);
});

test('links, names and units are compared', () => {
  assert.equal(anchorOf('What `a.b` is, and why'), 'what-ab-is-and-why');
  const page = '# One\n[good](package.json) [self](#one) [web](https://example.net/x)\n';
  assert.deepEqual(checkLinks(ROOT, 'LICENSE', page), []);
  assert.equal(checkLinks(ROOT, 'README.md', '[bad](none.md) [bad](#two)').length, 2);
  assert.deepEqual(compareNames(['A', 'B'], '| `A` | x |\n| `C` | y |\n'), [
    'B is not documented',
    'C is documented, not known',
  ]);
  const config = { flushMs: 1, group: { size: 2, name: 'x', level: 3 } };
  assert.equal(checkUnits(config, ['group.level']).length, 1);
});

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeConfig } from '../src/server/config.ts';
import { ERRORS } from '../src/toolkit/base/errors.ts';
import { assertNone } from './tidy/assert-none.ts';
import { checkLinks, checkUnits, compareNames } from './tidy/documents.ts';
import { functionSpans } from './tidy/functions.ts';
import { readPackage } from './tidy/packages.ts';
import { listFiles, ROOT, readSources, type SourceFile } from './tidy/sources.ts';
import { STYLE_CHECKS } from './tidy/style.ts';

const SCRIPTS_MAX = 11;
const NATIVE_FUNCTIONS_MAX = 60;
const NATIVE_LINES_MAX = 1500;
/** The guard's fault handler runs where no JavaScript can: all lines of each of its folders. */
const GUARD_LINES_MAX = {
  /** What acts. */
  'native/guard': 3000,
  /** What writes reports. */
  'native/report': 850,
  /** What only reads: memory, stacks and the files of modules. */
  'native/inspect': 3500,
  'native/guard-addon': 700,
};
/** What each of these folders includes from others. */
const GUARD_INCLUDES: Readonly<Record<keyof typeof GUARD_LINES_MAX, readonly string[]>> = {
  'native/inspect': [],
  'native/report': ['native/inspect'],
  'native/guard': ['native/report', 'native/inspect'],
  'native/guard-addon': ['native/guard', 'native/report', 'native/inspect'],
};
const C_FILE_LINES_MAX = 500;

/** Numbers that count things for which no unit would say more. */
const UNITLESS = ['collect.workers'];
/** By table name, not by key. */
const BY_TABLE = /^store\.retentionByTableMs\./;

const files = readSources();

for (const [what, check] of Object.entries(STYLE_CHECKS)) {
  test(what, () => assertNone(files.flatMap(check)));
}

/** As wc counts them. */
function countLines(sources: readonly SourceFile[]): number {
  return sources.reduce((sum, file) => sum + file.text.split('\n').length - 1, 0);
}

function cFilesIn(folder: string): SourceFile[] {
  return files.filter(({ path }) => dirname(path) === folder && /\.[ch]$/.test(path));
}

test('the native part stays small', () => {
  const native = cFilesIn('native');
  const lines = countLines(native);
  const spans = native.flatMap((file) => functionSpans(file.text, file.scan));
  assert.ok(lines <= NATIVE_LINES_MAX, `${lines} lines of C`);
  assert.ok(spans.length <= NATIVE_FUNCTIONS_MAX, `${spans.length} functions of C`);
});

for (const [folder, max] of Object.entries(GUARD_LINES_MAX)) {
  test(`${folder} stays within ${max} lines`, () => {
    const sources = cFilesIn(folder);
    assert.ok(sources.length > 0);
    assert.ok(countLines(sources) <= max, `${countLines(sources)} lines`);
    const long = sources.filter((file) => countLines([file]) > C_FILE_LINES_MAX);
    assertNone(long.map(({ path }) => path));
  });
}

for (const [folder, others] of Object.entries(GUARD_INCLUDES)) {
  test(`${folder} includes nothing but ${['its own', ...others].join(', ')}`, () => {
    const may = new Set([folder, ...others].flatMap(cFilesIn).map(({ path }) => basename(path)));
    const found = cFilesIn(folder).flatMap(({ path, text }) =>
      [...text.matchAll(/^#include "([^"]+)"/gm)]
        .filter(([, name]) => !may.has(name!))
        .map(([line]) => `${path}: ${line}`),
    );
    assertNone(found);
  });
}

test('no folder of C lacks a rule of its own', () => {
  const folders = new Set(files.map(({ path }) => dirname(path)));
  const native = [...folders].filter((folder) => folder.startsWith('native/'));
  assert.deepEqual(native.toSorted(), Object.keys(GUARD_LINES_MAX).toSorted());
});

test('links in documents lead somewhere', () => {
  const pages = listFiles().filter((path) => path.endsWith('.md'));
  const found = pages.flatMap((page) =>
    checkLinks(ROOT, page, readFileSync(join(ROOT, page), 'utf8')),
  );
  assertNone(found);
});

test('error codes equal docs/reference/errors.md', () => {
  const page = readFileSync(join(ROOT, 'docs/reference/errors.md'), 'utf8');
  assertNone(compareNames(Object.keys(ERRORS), page));
});

/** Doors with a reference page that names all that they export. */
const DOORS = {
  'docs/reference/counters.md': '../src/toolkit/counters/index.js',
  'docs/reference/cpu.md': '../src/toolkit/cpu/index.js',
  'docs/reference/guard.md': '../src/toolkit/guard/index.js',
  'docs/reference/output.md': '../src/toolkit/output/index.js',
  'docs/reference/pages.md': '../src/toolkit/pages/index.js',
  'docs/reference/ring.md': '../src/toolkit/ring/index.js',
};

for (const [page, door] of Object.entries(DOORS)) {
  test(`${page} names everything that is exported`, async () => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const names = Object.keys((await import(door)) as object);
    assert.ok(names.length > 0);
    assertNone(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(text)));
  });
}

/** Pages and modules that a script makes from another source of truth. */
const GENERATORS = [
  'scripts/generate-catalog.mjs',
  'scripts/cli-reference.mjs',
  'scripts/config-reference.mjs',
  'scripts/rdr-reference.mjs',
];

for (const script of GENERATORS) {
  test(`what ${script} makes is up to date`, () => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, script), '--check'], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  });
}

test('numbers in the configuration have units', () => {
  const found = checkUnits(makeConfig({}), UNITLESS);
  assertNone(found.filter((line) => !BY_TABLE.test(line)));
});

test('few npm scripts, and the files that they name exist', () => {
  const scripts = readPackage(ROOT).scripts ?? {};
  assert.ok(Object.keys(scripts).length <= SCRIPTS_MAX);
  for (const command of Object.values(scripts)) {
    for (const match of command.matchAll(/\bscripts\/[\w-]+\.mjs\b/g)) {
      assert.ok(existsSync(join(ROOT, match[0])), match[0]);
    }
  }
});

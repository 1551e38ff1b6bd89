import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
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
/**
 * The guard's fault handler runs where no JavaScript can; it has limits of its own. Lines with
 * code: what may run in a handler, and why, is to be written down at length.
 */
const GUARD_LINES_MAX = 3600;
/** Reads stacks for the guard: memory and mapped files, no system calls but those of reading. */
const STACK_LINES_MAX = 2000;
const GUARD_ADDON_LINES_MAX = 650;

/** Numbers that count things for which no unit would say more. */
const UNITLESS = ['collect.workers'];
/** By table name, not by key. */
const BY_TABLE = /^store\.retentionByTableMs\./;

const files = readSources();

for (const [what, check] of Object.entries(STYLE_CHECKS)) {
  test(what, () => assertNone(files.flatMap(check)));
}

function codeLines(file: SourceFile): number {
  return file.scan.code.split('\n').filter((line) => line.trim() !== '').length;
}

test('the native part stays small', () => {
  const native = files.filter((file) => /^native\/[^/]+\.[ch]$/.test(file.path));
  const lines = native.reduce((sum, file) => sum + file.text.split('\n').length, 0);
  const spans = native.flatMap((file) => functionSpans(file.text, file.scan));
  assert.ok(lines <= NATIVE_LINES_MAX, `${lines} lines of C`);
  assert.ok(spans.length <= NATIVE_FUNCTIONS_MAX, `${spans.length} functions of C`);
  const guard = files.filter((file) => /^native\/guard\/.*\.[ch]$/.test(file.path));
  const guardLines = guard.reduce((sum, file) => sum + codeLines(file), 0);
  assert.ok(guardLines <= GUARD_LINES_MAX, `${guardLines} lines of C in the guard`);
  const stack = files.filter((file) => /^native\/stack\/.*\.[ch]$/.test(file.path));
  const stackLines = stack.reduce((sum, file) => sum + codeLines(file), 0);
  assert.ok(stackLines <= STACK_LINES_MAX, `${stackLines} lines of C that read stacks`);
  const door = files.filter((file) => /^native\/guard-addon\/.*\.[ch]$/.test(file.path));
  const doorLines = door.reduce((sum, file) => sum + codeLines(file), 0);
  assert.ok(doorLines <= GUARD_ADDON_LINES_MAX, `${doorLines} lines of C in the guard's addon`);
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

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileC, hasCompiler } from '../support/compile-c.ts';

const ROOT = join(import.meta.dirname, '../../..');
const EXAMPLE = 'examples/guard-article/scribble.c';
const LINKED = [
  '-Wl,--no-as-needed',
  `-L${ROOT}/build`,
  `-Wl,-rpath,${ROOT}/build`,
  '-lmillrace-guard',
];

const hasLibrary = existsSync(join(ROOT, 'build/libmillrace-guard.so'));
const options = { skip: !hasLibrary && 'build/libmillrace-guard.so is not built' };

function build(source: string, compiler: string | undefined, flags: readonly string[]) {
  const made = compileC(join('../..', source), {
    core: 'none',
    flags: [...flags, ...LINKED],
    ...(compiler === undefined ? {} : { compiler }),
  });
  assert.ok(made !== null, 'the library was built, so a compiler is here');
  return made;
}

/** Runs it as a shell does, without a core dump; what the shell says of its death comes as 139. */
function die(program: string) {
  const shell = ['-c', 'ulimit -c 0; "$0"; exit $?', program];
  return spawnSync('sh', shell, { encoding: 'utf8', timeout: 60_000 });
}

function lineOf(source: string): number {
  const lines = readFileSync(join(ROOT, source), 'utf8').split('\n');
  return lines.findIndex((line) => line.includes("culprit's line")) + 1;
}

for (const level of ['-O0', '-O1', '-O2']) {
  test(`the article's program at ${level}: function and line of the culprit`, options, () => {
    const { status, stderr, stdout } = die(build(EXAMPLE, undefined, [level]));
    assert.equal(status, 139, stderr);
    assert.equal(stdout, '');
    const place = `\\(\\S*/scribble\\.c:${lineOf(EXAMPLE)}\\)`;
    const [first, ...rest] = stderr.split('\n');
    const what = `scribble ${place} wrote 1 byte at offset 16384 of 'cache'`;
    assert.match(first!, new RegExp(`^segmentation fault at 0x[0-9a-f]+: ${what}$`));
    const text = rest.join('\n');
    assert.match(text, / {2}bytes {5}01 -> 00\n/);
    assert.match(text, / {2}thread {4}main, tid (\d+) of process \1\n/);
    assert.match(text, / {2}slice {5}4 pages from page 4 on, generation 1: byte 0 of it\n/);
    assert.match(text, / {2}history {3}protected \S+ [mnu]?s before by the same thread, never unp/);
    const frame = (name: string) =>
      `  \\S+/scribble-\\w+ \\[0x[0-9a-f]+\\]  ${name} \\(\\S+:\\d+\\)`;
    assert.match(
      text,
      new RegExp(`${frame('scribble')}  ← the culprit\n${frame('work')}\n${frame('main')}\n`),
    );
  });
}

test('the same from C++: the header compiles, the method is named as C++ names it', {
  skip: options.skip || (!hasCompiler('c++') && 'no C++ compiler'),
}, () => {
  const source = 'test/guard/header.cpp';
  const { status, stderr, stdout } = die(build(source, 'c++', ['-O1']));
  assert.equal(status, 139, stderr + stdout);
  const place = `\\(\\S*/header\\.cpp:${lineOf(source)}\\)`;
  assert.match(
    stderr,
    new RegExp(`: app::Table::set ${place} wrote 4 bytes at offset 4100 of 'table'\n`),
  );
  assert.match(stderr, / {2}bytes {5}00 00 00 00 -> 2a 00 00 00\n/);
});

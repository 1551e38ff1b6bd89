import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileC } from '../support/compile-c.ts';

const program = compileC('step.c', { flags: ['-O1'] });
const property = compileC('property.c', { flags: ['-O1', '-no-pie', '-fno-pie'] });
const options = { skip: program === null && 'no C compiler for x86-64' };

function runProgram(path: string, parameters: readonly string[]): string {
  const { status, signal, stderr } = spawnSync(path, parameters, {
    encoding: 'utf8',
    timeout: 100_000,
    maxBuffer: 1 << 28,
  });
  const end = stderr.split('\n').filter((line) => !line.startsWith('  '));
  assert.equal(status, 0, `${parameters.join(' ')}: ${signal} ${end.slice(-20).join('\n')}`);
  return stderr;
}

test('writes go on, over the border of two pages too, and are reported', options, () => {
  const reports = runProgram(program!, ['basic']).match(/^segmentation fault at .*$/gm) ?? [];
  assert.match(reports[0]!, /wrote 8 bytes at offset 4092 of 'data'/);
  assert.match(reports[1]!, /wrote 4 bytes at offset 4 of 'data'/);
});

const PROGRAMS: Readonly<Record<string, string>> = {
  'hammer-alias': 'with an alias each write of two threads to one page is seen',
  'hammer-step': 'without one no write of two threads is lost',
  'hammer-turns': 'nor goes one by unseen when they write in turns',
  moving: 'the pages move into the alias and back under the writes of others',
  ticking: 'signals among the steps see no trap flag and lose none',
  tracing: 'code under the trap flag is traced on',
  breaking: 'a step that faults elsewhere is undone before the older handler sees it',
  growing: 'many writes take no memory',
  refusing: 'what cannot have an alias is refused with a sentence',
};

for (const [name, what] of Object.entries(PROGRAMS)) {
  test(what, options, () => {
    runProgram(program!, [name]);
  });
}

const SEED = process.env.MILLRACE_TEST_SEED ?? '1';
const COUNT = process.env.MILLRACE_TEST_COUNT ?? '1500';

for (const mode of ['continue', 'alias', 'divert']) {
  test(`instructions of all classes do under ${mode} what they do unguarded`, options, (t) => {
    t.diagnostic(`seed ${SEED}`);
    const hasAvx = readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2 ');
    if (hasAvx) runProgram(property!, [mode, SEED, COUNT]);
    else t.skip('the processor has no AVX2');
  });
}

/**
 * The core's programs under the sanitizers, where these are. Under valgrind: core-valgrind.test.ts.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { CompileOptions } from '../support/compile-c.ts';
import { PARTS, programOf, REGION_SCENARIOS, run } from '../support/core-programs.ts';
import { runWhereOffered } from '../support/reporting-program.ts';

const skip = programOf('core-regions') === null ? 'no C compiler' : false;

const SANITIZE = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];

function sanitized(name: string, options: CompileOptions = {}): string | null {
  try {
    return programOf(name, { ...options, flags: [...SANITIZE, ...(options.flags ?? [])] });
  } catch {
    return null; // a compiler without the sanitizers' libraries
  }
}

test('the address and undefined-behaviour sanitizers find nothing', { skip }, (context) => {
  const regionsChecked = sanitized('core-regions');
  const faultsChecked = sanitized('core-faults', { core: PARTS });
  if (regionsChecked === null || faultsChecked === null) {
    context.skip('no sanitizers');
    return;
  }
  for (const scenario of REGION_SCENARIOS) {
    assert.equal(run(regionsChecked, scenario).stdout, 'right\n', scenario);
  }
  for (const scenario of ['storm', 'come-and-go', 'slots']) {
    const { stdout, stderr } = run(faultsChecked, scenario);
    assert.match(stdout, /^right/, `${scenario}: ${stderr}`);
  }
});

/** The handler runs on the alternate stack, under the trap flag, and all of it is instrumented. */
const STEPS = [
  'basic',
  'hammer-alias 300',
  'hammer-step 300',
  'hammer-turns 50',
  'moving 40',
  'ticking 50',
  'tracing',
  'breaking',
  'growing 60',
  'refusing',
];

test('the sanitizers find nothing in single steps and aliases', { skip }, (context) => {
  const program = sanitized('step');
  if (program === null) {
    context.skip('no sanitizers');
    return;
  }
  for (const scenario of STEPS) {
    const { status, stderr } = run(program, scenario);
    assert.equal(status, 0, `${scenario}: ${stderr.slice(-2000)}`);
  }
});

/** ASan gives each thread an alternate stack of 32 KiB, and ours is larger when it is checked. */
test('the sanitizers find nothing in watchpoints', { skip }, (context) => {
  const program = sanitized('watching', { flags: ['-fno-builtin', '-fno-sanitize=alignment'] });
  if (program === null) {
    context.skip('no sanitizers');
    return;
  }
  for (const scenario of ['threads', 'births', 'edges', 'steps', 'steps-alias']) {
    if (runWhereOffered(context, program, scenario) === null) return;
    const { status, stderr } = run(program, scenario, { REPORT: '/dev/null' });
    assert.equal(status, 0, `${scenario}: ${stderr.slice(-2000)}`);
    assert.doesNotMatch(stderr, /Sanitizer|runtime error/, scenario);
  }
});

test('the sanitizers find nothing in steps over all classes', { skip }, (context) => {
  const program = sanitized('property', { flags: ['-no-pie', '-fno-pie'] });
  if (program === null || !readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2 ')) {
    context.skip('no sanitizers, or no AVX2');
    return;
  }
  for (const mode of ['continue', 'alias', 'divert']) {
    const { status, stderr } = run(program, `${mode} 7 500`);
    assert.equal(status, 0, `${mode}: ${stderr.slice(-2000)}`);
  }
});

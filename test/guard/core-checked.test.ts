/** The core's programs under the sanitizers and under valgrind, where these are. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import type { CompileOptions } from '../support/compile-c.ts';
import { PARTS, programOf, REGION_SCENARIOS, run } from '../support/core-programs.ts';

const regions = programOf('core-regions');
const skip = regions === null ? 'no C compiler' : false;

const SANITIZE = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];

function sanitized(name: string, options: CompileOptions = {}): string | null {
  try {
    return programOf(name, { ...options, flags: SANITIZE });
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

const hasValgrind = spawnSync('valgrind', ['--version']).status === 0;
const needsValgrind = { skip: skip || (hasValgrind ? false : 'no valgrind') };

test('valgrind finds nothing in the regions', needsValgrind, () => {
  const quiet = ['-q', '--error-exitcode=9'];
  for (const scenario of ['slices', 'overlap', 'labels']) {
    const parameters = [...quiet, regions!, scenario];
    const { stdout, stderr, status } = spawnSync('valgrind', parameters, {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(stdout, 'right\n', stderr);
    assert.equal(status, 0, stderr);
  }
  // Not the storm: valgrind runs one thread at a time, and those that wait get most of its time.
});

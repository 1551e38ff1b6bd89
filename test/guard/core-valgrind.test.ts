/**
 * The core's programs under valgrind, where that is: minutes on a busy machine, so a file of their
 * own.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { programOf } from '../support/core-programs.ts';

const regions = programOf('core-regions');
const skip = regions === null ? 'no C compiler' : false;

const hasValgrind = spawnSync('valgrind', ['--version']).status === 0;
const needsValgrind = { skip: skip || (hasValgrind ? false : 'no valgrind') };

const quiet = ['-q', '--error-exitcode=9'];

/** Not the single steps: valgrind's processor knows no trap flag. */
test('valgrind finds nothing where pages move into an alias and back', needsValgrind, () => {
  const program = programOf('step')!;
  for (const words of [['moving', '2'], ['refusing']]) {
    const parameters = [...quiet, '--fair-sched=yes', program, ...words];
    const { stderr, status } = spawnSync('valgrind', parameters, {
      encoding: 'utf8',
      timeout: 250_000,
    });
    assert.equal(status, 0, stderr);
  }
});

test('valgrind finds nothing in the regions', needsValgrind, () => {
  for (const scenario of ['slices', 'overlap', 'labels']) {
    const parameters = [...quiet, regions!, scenario];
    const { stdout, stderr, status } = spawnSync('valgrind', parameters, {
      encoding: 'utf8',
      timeout: 250_000,
    });
    assert.equal(stdout, 'right\n', stderr);
    assert.equal(status, 0, stderr);
  }
  // Not the storm: valgrind runs one thread at a time, and those that wait get most of its time.
});

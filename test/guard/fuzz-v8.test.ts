import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { compileC } from '../support/compile-c.ts';

const program = compileC('fuzz-v8.c', {
  core: ['v8.c', 'v8-positions.c'],
  flags: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
});
const options = { skip: program === null && 'no C compiler for x86-64' };

test('a damaged heap of V8: fewer facts, no fault, no endless loop', options, () => {
  for (const seed of ['1', '2', '3']) {
    const { status, stdout, stderr } = spawnSync(program!, [seed], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`);
  }
});

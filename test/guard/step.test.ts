import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { compileC } from '../support/compile-c.ts';

const program = compileC('step.c', { flags: ['-O1'] });
const options = { skip: program === null && 'no C compiler for x86-64' };

function run(...parameters: string[]): string {
  const { status, signal, stderr } = spawnSync(program!, parameters, {
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.equal(status, 0, `${parameters.join(' ')}: ${signal} ${stderr}`);
  return stderr;
}

test('writes go on, over the border of two pages too, and are reported', options, () => {
  const reports = run('basic').match(/^segmentation fault at .*$/gm) ?? [];
  assert.match(reports[0]!, /main wrote 8 bytes at offset 4092 of 'data'/);
  assert.match(reports[1]!, /main wrote 4 bytes at offset 4 of 'data'/);
});

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileC } from '../support/compile-c.ts';
import { assemblySource } from './forms.ts';
import { accessOf, disassemble, type Listed, missingObjdump } from './objdump.ts';

const BUILD = { core: ['decode.c'], flags: ['-O2', '-fsanitize=address,undefined'] };
const program = compileC('decode.c', BUILD);
const skip = program === null ? 'no C compiler for x86-64' : missingObjdump();

/** Bytes of real code that are looked at; all of it with MILLRACE_TEST_DECODE_ALL=1. */
const SLICE_BYTES = 200_000;
const isAll = process.env.MILLRACE_TEST_DECODE_ALL === '1';

/** Where the decoder and objdump disagree, one line each. */
function differences(listed: readonly Listed[]): string[] {
  const input = `${listed.map(({ code }) => code).join('\n')}\n`;
  const { status, stdout, stderr } = spawnSync(program!, {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    timeout: 300_000,
  });
  assert.equal(status, 0, stderr);
  const answers = stdout.split('\n');
  return listed.flatMap(({ address, code, text }, index) => {
    const [length, write, width] = answers[index]!.split(' ');
    const expected = accessOf(text);
    const isSame =
      Number(length) === code.length / 2 &&
      (write === 'w') === expected.isWrite &&
      (expected.width === undefined || expected.width === Number(width));
    const is = `${length} ${write} ${width}`;
    return isSame ? [] : [`${address}: ${code} ${text}: decoded as ${is}`];
  });
}

/** The middle of a file's .text, or all of it. */
function textOf(file: string, isWhole: boolean): string[] {
  const headers = execFileSync('objdump', ['-h', file], { encoding: 'utf8' });
  const [, size, address] = /\.text\s+([0-9a-f]+)\s+([0-9a-f]+)/.exec(headers)!;
  if (isWhole) return ['-j', '.text', file];
  const middle = Number.parseInt(address!, 16) + (Number.parseInt(size!, 16) >> 1);
  const symbols = execFileSync('objdump', ['-T', file], { encoding: 'latin1', maxBuffer: 1 << 28 });
  const starts = [...symbols.matchAll(/^([0-9a-f]{16}) .*F \.text\t/gm)];
  const start = Math.min(
    ...starts.map(([, text]) => Number.parseInt(text!, 16)).filter((at) => at >= middle),
  );
  return [`--start-address=${start}`, `--stop-address=${start + SLICE_BYTES}`, file];
}

/** The last bytes may be an instruction that the stop address cuts off. */
function listReal(file: string): Listed[] {
  const listed = disassemble(textOf(file, isAll)).slice(0, -15);
  assert.ok(listed.length > SLICE_BYTES / 20, `${listed.length} instructions of ${file}`);
  return listed.filter(({ text }) => !text.startsWith('.byte'));
}

test('forms of stores and their neighbours are decoded as objdump does', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-decode-'));
  try {
    writeFileSync(join(folder, 'forms.s'), assemblySource());
    execFileSync(process.env.CC ?? 'cc', ['-c', 'forms.s', '-o', 'forms.o'], {
      cwd: folder,
      stdio: 'pipe',
    });
    const listed = disassemble([join(folder, 'forms.o')]);
    assert.ok(listed.length > 5000, `${listed.length} instructions`);
    assert.deepEqual(differences(listed), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the code of the C library is decoded as objdump does', { skip }, () => {
  const libc = /\/\S+\/libc[.-]\S*so\S*/.exec(readFileSync('/proc/self/maps', 'utf8'))![0];
  assert.deepEqual(differences(listReal(libc)), []);
});

test('the code of Node.js is decoded as objdump does', { skip }, () => {
  assert.deepEqual(differences(listReal(process.execPath)), []);
});

test('what is cut off or no instruction has no length', { skip: program === null && skip }, () => {
  const codes = ['48', '488b', 'c7401000', '66660f1f840000', '06', '0f04', 'f30f', '62f1fe', ''];
  const { stdout } = spawnSync(program!, { input: `${codes.join('\n')}\n`, encoding: 'utf8' });
  assert.deepEqual(
    stdout.trim().split('\n'),
    codes.map(() => '0 - 0'),
  );
});

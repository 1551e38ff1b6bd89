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
const ALL_SLICE_BYTES = 4 << 20;
/** What objdump makes of data among the code, and of `wait` before another instruction. */
const IS_DATA = /^(?:\.|rex\S*$|ss ss|vmread|f(?:st|save|init|clex))/;
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

interface Range {
  readonly start: number;
  readonly stop: number;
}

/** Ranges of a file's .text: one in the middle that begins with a function, or all of it. */
function rangesOf(file: string): Range[] {
  const headers = execFileSync('objdump', ['-h', file], { encoding: 'utf8' });
  const [, size, address] = /\.text\s+([0-9a-f]+)\s+([0-9a-f]+)/.exec(headers)!;
  const first = Number.parseInt(address!, 16);
  const bytes = Number.parseInt(size!, 16);
  if (isAll) {
    const count = Math.ceil(bytes / ALL_SLICE_BYTES);
    return Array.from({ length: count }, (_, index) => {
      const start = first + index * ALL_SLICE_BYTES;
      return { start, stop: Math.min(start + ALL_SLICE_BYTES, first + bytes) };
    });
  }
  const symbols = execFileSync('objdump', ['-T', file], { encoding: 'latin1', maxBuffer: 1 << 28 });
  const starts = [...symbols.matchAll(/^([0-9a-f]{16}) .*F \.text\t/gm)]
    .map(([, text]) => Number.parseInt(text!, 16))
    .filter((at) => at >= first + (bytes >> 1));
  const start = Math.min(...starts);
  return [{ start, stop: start + SLICE_BYTES }];
}

/** The last bytes of a range may be an instruction that its end cuts off. */
function realDifferences(file: string): string[] {
  return rangesOf(file).flatMap(({ start, stop }) => {
    const range = [`--start-address=${start}`, `--stop-address=${stop}`, file];
    const listed = disassemble(range).slice(0, -15);
    if (stop - start >= SLICE_BYTES) assert.ok(listed.length > (stop - start) / 20, 'too few');
    return differences(listed.filter(({ text }) => !IS_DATA.test(text)));
  });
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
  assert.deepEqual(realDifferences(libc), []);
});

test('the code of Node.js is decoded as objdump does', { skip }, () => {
  assert.deepEqual(realDifferences(process.execPath), []);
});

test('what is cut off or no instruction has no length', { skip: program === null && skip }, () => {
  const codes = ['48', '488b', 'c7401000', '66660f1f840000', '06', '0f04', 'f30f', '62f1fe', ''];
  const { stdout } = spawnSync(program!, { input: `${codes.join('\n')}\n`, encoding: 'utf8' });
  assert.deepEqual(
    stdout.trim().split('\n'),
    codes.map(() => '0 - 0'),
  );
});

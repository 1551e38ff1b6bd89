import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseReport } from '../../src/toolkit/guard/index.ts';
import { type CompileOptions, compileC, hasCompiler } from '../support/compile-c.ts';

const skip = process.arch === 'x64' && hasCompiler() ? false : 'x86-64 and a C compiler are needed';
const FOLDER = fileURLToPath(new URL('../../../test/guard/', import.meta.url));
const PROGRAM = 'unwind-chains.c';
const OBJECT = 'unwind-object.c';

/** The parts of the core that a walk needs: less to compile. */
const CORE = [
  'read.c',
  'symbols.c',
  'demangle.c',
  'cfi.c',
  'lines.c',
  'last-walk.c',
  'unwind.c',
  'v8.c',
  'v8-positions.c',
];
const ALL_CORE_BUT = (names: readonly string[]) => CORE.filter((name) => !names.includes(name));

/** Flags that make frames of every kind; each chain must come out the same. */
const BUILDS: Readonly<Record<string, readonly string[]>> = {
  'without optimisation': ['-O0'],
  'without frame pointers': ['-O2', '-fomit-frame-pointer'],
  'with frame pointers': ['-O2', '-fno-omit-frame-pointer'],
  'at fixed addresses': ['-O2', '-no-pie'],
  'static, at any address': ['-O2', '-static-pie', '-Wno-error', '-w'],
};
/** Flags that change the tables alone. */
const TABLES: Readonly<Record<string, readonly string[]>> = {
  'DWARF 4': ['-Os', '-gdwarf-4'],
  'DWARF 3': ['-O2', '-gdwarf-3', '-gno-strict-dwarf'],
  '64-bit DWARF 5': ['-O3', '-gdwarf64'],
};

interface Frame {
  readonly pc: bigint;
  readonly module: string;
  readonly offset: string;
  readonly name: string;
  /** Basename and line. */
  readonly at: string;
}

function walk(program: string, ...parameters: string[]): { frames: Frame[]; remarks: string[] } {
  const run = spawnSync(program, parameters, { encoding: 'utf8', timeout: 60_000 });
  assert.equal(run.status, 0, `${parameters.join(' ')}: ${run.stdout}${run.stderr}`);
  const lines = run.stdout.split('\n').slice(0, -1);
  const frames = lines.filter((line) => line.includes('\t')).map(frameOf);
  return { frames, remarks: lines.filter((line) => !line.includes('\t')) };
}

function frameOf(line: string): Frame {
  const [pc = '', module = '', offset = '', name = '', at = ''] = line.split('\t');
  return { pc: BigInt(pc), module, offset, name, at: at.slice(at.lastIndexOf('/') + 1) };
}

/** Numbers of the lines that carry the mark of their function. */
function marks(): Map<string, string> {
  const found = new Map<string, string>();
  for (const file of [PROGRAM, OBJECT]) {
    const lines = readFileSync(join(FOLDER, file), 'utf8').split('\n');
    lines.forEach((line, index) => {
      const mark = /\/\* (\w+) \*\/$/.exec(line)?.[1];
      if (mark !== undefined) found.set(mark, `${file}:${index + 1}`);
    });
  }
  return found;
}

const MARKS = marks();

function built(flags: readonly string[]): string {
  const program = compileC(PROGRAM, { flags, core: CORE });
  assert.ok(program !== null);
  return program;
}

function object(): string {
  const made = compileC(OBJECT, { flags: ['-O2', '-shared', '-fPIC'], core: 'none' });
  assert.ok(made !== null);
  return made;
}

/** What the program's own functions are, `-` for frames of the C library without a name. */
function names(frames: readonly Frame[]): string[] {
  return frames.map(({ name }) => (name === '' ? '-' : name));
}

/** Frames up to main, but run() and main(): these are inlined into each other or not. */
function chain(frames: readonly Frame[]): Frame[] {
  const end = frames.findIndex(({ name }) => name === 'run' || name === 'main');
  assert.notEqual(end, -1, names(frames).join(' '));
  return frames.slice(0, end);
}

function assertChain(frames: readonly Frame[], expected: readonly string[]): void {
  const own = chain(frames);
  assert.deepEqual(names(own), expected);
  for (const { name, at } of own) {
    const mark = MARKS.get(name);
    if (mark !== undefined) assert.equal(at, mark, name);
  }
}

const CHAINS: Readonly<Record<string, readonly string[]>> = {
  plain: ['stop_here', 'inner', 'in_the_middle', 'outer'],
  alloca: ['stop_here', 'inner', 'with_alloca'],
  alignment: ['stop_here', 'inner', 'with_alignment'],
  noreturn: ['stop_here', 'inner', 'never_returns', 'calls_the_last'],
};

for (const [what, flags] of Object.entries({ ...BUILDS, ...TABLES })) {
  test(`known chains come back by function, file and line: ${what}`, { skip }, () => {
    const program = built(flags);
    for (const [command, expected] of Object.entries(CHAINS)) {
      const { frames, remarks } = walk(program, command);
      assertChain(frames, expected);
      assert.deepEqual(remarks, [], `${command}: what backtrace() of glibc says`);
      assert.equal(frames.at(-1)?.name, '_start');
    }
    const { frames } = walk(program, 'tail');
    const isKept = flags.includes('-O0');
    assertChain(frames, ['stop_here', 'inner', ...(isKept ? ['with_a_tail_call'] : [])]);
  });
}

for (const [what, flags] of Object.entries(BUILDS)) {
  test(`callbacks and signals are walked through: ${what}`, { skip }, () => {
    const program = built(flags);
    const sorted = chain(walk(program, 'qsort').frames);
    assertChain(
      [...sorted.slice(0, 3), { ...sorted[0]!, name: 'main' }],
      ['stop_here', 'inner', 'compare'],
    );
    assert.equal(sorted.at(-1)?.name, 'through_qsort');
    assert.equal(sorted.at(-1)?.at, MARKS.get('through_qsort'));
    const signal = '<signal handler called>';
    const { frames: fault } = walk(program, 'first');
    const by = ['stop_here', 'inner', 'on_user_signal', signal, 'faults_at_once'];
    assertChain(fault, [...by, 'through_a_fault']);
    for (const command of ['signal', 'signal-stack']) {
      const { frames, remarks } = walk(program, command);
      const expected = ['stop_here', 'inner', 'on_user_signal', signal, 'syscall'];
      assertChain(frames, [...expected, 'through_a_signal']);
      assert.deepEqual(remarks, [], `${command}: what backtrace() of glibc says`);
    }
  });

  test(`a fault in memset and a call to nowhere show their caller: ${what}`, { skip }, () => {
    const program = built(flags);
    for (const bytes of ['8', '100', '5000', '50000000']) {
      const [first, second] = walk(program, 'memset', bytes).frames;
      assert.match(first?.name ?? '', /memset/, bytes);
      assert.equal(second?.name, 'fills_nothing', bytes);
      assert.equal(second?.at, MARKS.get('fills_nothing'));
    }
    const { frames } = walk(program, 'nowhere');
    assert.equal(frames[0]?.pc, 0n);
    assert.equal(frames[0]?.module, '');
    assertChain(frames, ['-', 'calls_nowhere']);
  });

  test(`code made at run time is left by its frame pointer: ${what}`, { skip }, () => {
    const { frames } = walk(built(flags), 'made');
    assertChain(frames, ['stop_here', 'inner', '-', 'through_made_code']);
    assert.equal(frames[2]?.module, '');
    assert.equal(frames.at(-1)?.name, '_start');
  });
}

test('a function of an object that was loaded later has its name and its line', { skip }, () => {
  const { frames, remarks } = walk(built(['-O2']), 'object', object());
  const expected = ['stop_here', 'inner', 'hidden_in_an_object', 'in_an_object'];
  assertChain(frames, [...expected, 'through_an_object']);
  assert.deepEqual(remarks, []);
});

test('an object without a file is named as such, and walked through', { skip }, () => {
  const { frames, remarks } = walk(built(['-O2']), 'memfd', object());
  assertChain(frames, ['stop_here', 'inner', '-', '-', 'through_an_object', 'through_a_memfd']);
  assert.equal(frames[2]?.module, '/memfd:made-here (deleted)');
  assert.deepEqual(remarks, []);
});

test('a deep recursion is cut at the number of frames that fit', { skip }, () => {
  const { frames } = walk(built(['-O2', '-fno-optimize-sibling-calls']), 'deep');
  assert.equal(frames.length, 64);
  assert.equal(frames[63]?.name, 'deep');
});

const noAddr2line = spawnSync('addr2line', ['--version']).status !== 0 && 'addr2line is needed';

test('addr2line says the same of module and offset', { skip: skip || noAddr2line }, () => {
  for (const flags of [
    ['-O1'],
    ['-O2', '-gdwarf-4'],
    ['-O2', '-no-pie'],
    ['-O3', '-static-pie', '-w'],
  ]) {
    const program = built(flags);
    const { frames } = walk(program, 'plain');
    for (const { module, offset, name, at } of frames.filter((frame) => frame.at !== ':0')) {
      const { stdout } = spawnSync('addr2line', ['-e', module, offset], { encoding: 'utf8' });
      const theirs = stdout
        .trim()
        .split('/')
        .at(-1)
        ?.replace(/ \(discriminator \d+\)$/, '');
      assert.equal(theirs, at, `${name} in ${flags.join(' ')}`);
    }
  }
});

test('functions of the vDSO have names', { skip }, () => {
  const [frame] = walk(built(['-O2']), 'vdso').frames;
  assert.equal(frame?.module, '[vdso]');
  assert.match(frame?.name ?? '', /clock_gettime$/);
});

const noValgrind = spawnSync('valgrind', ['--version']).status !== 0 && 'valgrind is needed';

test('valgrind finds nothing where frames are named, and the names are the same', {
  skip: skip || noValgrind,
}, () => {
  for (const flags of [['-O2'], ['-O2', '-gdwarf-4']]) {
    const program = built(flags);
    for (const words of [['plain'], ['qsort'], ['signal'], ['object', object()]]) {
      const checked = ['-q', '--error-exitcode=9', program, ...words];
      const { frames } = walk('valgrind', ...checked);
      const expected = walk(program, ...words).frames;
      const what = (frame: Frame) => `${frame.module} ${frame.name} ${frame.at}`;
      assert.deepEqual(frames.map(what), expected.map(what));
    }
  }
});

const SANITIZERS = ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'];
/** Mangled as the compiler does it; what is not understood stays. */
const MANGLED: readonly (readonly [string, string])[] = [
  ['main', 'main'],
  ['copy_bytes.part.0', 'copy_bytes'],
  ['copy_bytes.constprop.0.isra.0', 'copy_bytes'],
  ['memcpy@@GLIBC_2.14', 'memcpy'],
  ['_Z3foov', 'foo'],
  ['_ZL3fooi', 'foo'],
  [
    '_ZN4node6Buffer12_GLOBAL__N_14FillERKN2v820FunctionCallbackInfoINS2_5ValueEEE',
    'node::Buffer::(anonymous)::Fill',
  ],
  ['_ZNK2v86String9WriteUtf8EPNS_7IsolateEPciPii', 'v8::String::WriteUtf8'],
  ['_ZN4node21InternalCallbackScopeD1Ev', 'node::InternalCallbackScope::~InternalCallbackScope'],
  [
    '_ZN4node21InternalCallbackScopeC2EPNS_9AsyncWrapEi',
    'node::InternalCallbackScope::InternalCallbackScope',
  ],
  [
    '_ZN4node6Buffer12_GLOBAL__N_111StringWriteILNS_8encodingE1EEEvi',
    'node::Buffer::(anonymous)::StringWrite<>',
  ],
  ['_ZNSt6vectorIiSaIiEE9push_backERKi', 'std::vector<>::push_back'],
  ['_ZSt4sortIPiEvT_S1_', 'std::sort<>'],
  ['_ZNSt8functionIFviEEclEi', 'std::function<>::operator()'],
  [
    '_ZZN4node2fs10FileHandle12ClosePromiseEvENUlP7uv_fs_sE_4_FUNES3_',
    'node::fs::FileHandle::ClosePromise::{lambda}',
  ],
  ['_ZN4core9panicking5panic17h0123456789abcdefE', 'core::panicking::panic::h0123456789abcdef'],
  ['_ZN2v88internal8compiler10turboshaftlsERSoi', '_ZN2v88internal8compiler10turboshaftlsERSoi'],
  ['_ZN99999999999999999999foo', '_ZN99999999999999999999foo'],
  ['_ZN', '_ZN'],
  ['_Z', '_Z'],
  ['_ZN3fooI', '_ZN3fooI'],
  ['_R', '_R'],
  [`_Z200${'x'.repeat(200)}`, `_Z200${'x'.repeat(154)}`],
];

test('mangled names come out for people, or as they are', { skip }, () => {
  const program = compileC('demangle-names.c', { flags: SANITIZERS, core: ['demangle.c'] });
  assert.ok(program !== null);
  const input = MANGLED.map(([mangled]) => `${mangled}\n`).join('');
  const { stdout } = spawnSync(program, { input, encoding: 'utf8', timeout: 60_000 });
  assert.deepEqual(
    stdout.split('\n').slice(0, -1),
    MANGLED.map(([, name]) => name),
  );
});

const GUARD = fileURLToPath(new URL('../../src/toolkit/guard/index.js', import.meta.url));

const FILL = `
import { protect } from ${JSON.stringify(GUARD)};
const memory = Buffer.from(new SharedArrayBuffer(65536));
protect(memory, { label: 'x', mode: 'continue' });
function culprit() { memory.fill('abc', 9000, 9100); }
setTimeout(culprit, 1);
`;

/** The same on every Node.js: down to libc, up through JavaScript, and out of main(). */
test('a write of the C library for node is walked through JavaScript to _start', { skip }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'guard-unwind-'));
  const report = join(folder, 'report');
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', FILL], {
    encoding: 'utf8',
    timeout: 60_000,
    env: { ...process.env, MILLRACE_GUARD_REPORT: report },
  });
  const [line = ''] = readFileSync(report, 'utf8').split('\n');
  rmSync(folder, { recursive: true });
  const found = parseReport(line)?.frames.map(({ function: name }) => name) ?? [];
  const order = ['memcpy', 'node::Buffer::(anonymous)::Fill', 'fill', 'culprit', 'processTimers'];
  const rest = ['Builtins_JSEntry', 'node::Environment::RunTimers', 'uv_run', '_start'];
  const at = [...order, ...rest].map((name) => found.indexOf(name));
  assert.deepEqual(
    at,
    at.toSorted((a, b) => a - b),
    found.join('\n'),
  );
  assert.equal(at[0], 0, stderr);
  assert.equal(at.at(-1), found.length - 1, found.join('\n'));
});

/** Where the program's own code lies in its file's addresses: start and end, in hexadecimal. */
function textOf(program: string): [string, string] {
  const { stdout } = spawnSync('readelf', ['-SW', program], { encoding: 'utf8' });
  const [, start = '', bytes = ''] = /\.text +PROGBITS +(\w+) +\w+ +(\w+)/.exec(stdout) ?? [];
  return [start, (Number.parseInt(start, 16) + Number.parseInt(bytes, 16)).toString(16)];
}

for (const flags of [['-O2'], ['-O2', '-gdwarf-4'], ['-O3', '-no-pie']]) {
  const what = `the line of every seventh byte is what addr2line says: ${flags.join(' ')}`;
  test(what, { skip: skip || noAddr2line }, () => {
    const program = built(flags);
    const range = [...textOf(program), '7'];
    const options = { flags: ['-O2'], core: CORE };
    const ours = outputOf('line-numbers.c', options, program, ...range)
      .split('\n')
      .slice(0, -1);
    const input = ours.map((line) => `${line.split(' ')[0]}\n`).join('');
    const { stdout } = spawnSync('addr2line', ['-e', program], { encoding: 'utf8', input });
    const basename = (line = '') => line.replace(/ \(.*/, '').replace(/^(?:.*[/ ])/, '');
    /* Code without lines: `??:0`, `??:?`, or the file of a symbol, `crtstuff.c:?`. */
    const known = (line: string) => (/:[1-9]\d*$/.test(line) ? line : '');
    const theirs = stdout.split('\n').slice(0, -1).map(basename).map(known);
    assert.ok(theirs.filter((line) => line !== '').length > 1000);
    assert.deepEqual(ours.map(basename).map(known), theirs);
  });
}

function outputOf(file: string, options: CompileOptions, ...parameters: string[]): string {
  const program = compileC(file, options);
  assert.ok(program !== null);
  const { status, stdout, stderr } = spawnSync(program, parameters, {
    encoding: 'utf8',
    timeout: 120_000,
  });
  assert.equal(status, 0, `${file} ${parameters.join(' ')}: ${stdout}${stderr}`);
  return stdout;
}

/** Functions are bound at their first call. */
const LAZY = ['-O2', '-Wl,-z,lazy'];

test('at random instructions of the C library the walk equals that of libgcc', { skip }, () => {
  for (const seed of ['1', String(process.pid)]) {
    const stdout = outputOf('unwind-sampler.c', { flags: LAZY, core: CORE }, seed, '97');
    const compared = Number(/compared (\d+) differ 0 /.exec(stdout)?.[1]);
    assert.ok(compared > 500, stdout);
    assert.ok(Number(/deepest (\d+)/.exec(stdout)?.[1]) > 8, stdout);
  }
});

const FUZZERS: Readonly<Record<string, { file: string; core: readonly string[]; rounds: number }>> =
  {
    'symbols and line programs': {
      file: 'fuzz-lines.c',
      core: ALL_CORE_BUT(['symbols.c', 'lines.c']),
      rounds: 300,
    },
    'call frame information': { file: 'fuzz-cfi.c', core: [], rounds: 10_000 },
    'a stack': { file: 'fuzz-stack.c', core: CORE, rounds: 1000 },
  };

for (const [what, { file, core, rounds }] of Object.entries(FUZZERS)) {
  test(`garbage in ${what} is survived under ASan and UBSan`, { skip }, () => {
    const options = { flags: SANITIZERS, core };
    assert.match(outputOf(file, options, String(process.pid), String(rounds)), /^done/m);
  });
}

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileC } from '../support/compile-c.ts';

const CORE = ['report.c', 'format.c', 'culprit.c'];
const CHECKED = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
/** The engine's function is given an address of its own, which a position of choice cannot have. */
const WITH_ENGINE = ['-DENGINE', '-fno-pie', '-no-pie'];

const SOURCES = join(import.meta.dirname, '../../../test/guard');

interface Outcome {
  readonly text: string;
  readonly json: Record<string, unknown> & { frames: Record<string, unknown>[] };
}

function build(flags: readonly string[]): string | null {
  return compileC('report-golden.c', { core: CORE, flags });
}

const plain = build(CHECKED);
const engine = build(WITH_ENGINE);
const options = { skip: plain === null && 'no C compiler for x86-64' };

function run(program: string | null, parameters: string[], env = {}) {
  const { status, stderr, stdout } = spawnSync(program!, parameters, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    timeout: 60_000,
  });
  assert.equal(status, 0, `${parameters.join(' ')}: ${stderr}`);
  return { stderr, stdout };
}

function golden(name: string): string {
  return readFileSync(join(SOURCES, 'golden', `${name}.txt`), 'utf8');
}

function reportOf(program: string | null, name: string, env = {}): Outcome {
  const { stderr, stdout } = run(program, [name], env);
  const [json, ...rest] = stdout.split('\n');
  assert.deepEqual(rest, [''], 'one line');
  return {
    text: stderr.replace(/of process \d+/, 'of process PID'),
    json: JSON.parse(json!) as Outcome['json'],
  };
}

/** What an operator reads, case by case: test/guard/golden. */
const GOLDEN: Readonly<Record<string, string>> = {
  native: 'a write by a C program',
  overrun: 'past the end of a guarded allocation',
  underrun: 'a read before its start, width not known',
  freed: 'after it was freed',
  syscall: 'by the kernel, bytes not known',
  canary: 'a canary: the stack is not the culprit',
  watch: 'a watchpoint without region, label and stack',
};

for (const [name, what] of Object.entries(GOLDEN)) {
  test(`the text: ${what}`, options, () => {
    assert.equal(reportOf(plain, name).text, golden(name));
  });
}

test('the same as JSON', options, () => {
  const { pid, frames, ...rest } = reportOf(plain, 'native').json;
  assert.equal(typeof pid, 'number');
  assert.deepEqual(rest, {
    seq: 1,
    kind: 'write',
    time: '2026-12-31T14:24:05.000000042Z',
    tid: 4242,
    threadName: 'decoder',
    threadRole: 'decode',
    label: 'records',
    address: '0x14124',
    offset: 20756,
    width: 4,
    beyond: 0,
    old: '00000000',
    new: '2a000000',
    code: 'c604082a',
    pc: '0x7700020',
    isAtomic: false,
    place: 'view',
    page: 4,
    generation: 12,
    slicePage: 3,
    slicePages: 4,
    protectTime: '2026-12-31T14:24:04.998765475Z',
    protectTid: 4240,
    unprotectTime: '2026-12-31T14:22:59.567890166Z',
    unprotectTid: 4242,
    isFatal: true,
    end: 'dies',
    names: 'native',
    culprit: 1,
    framesCut: 0,
  });
  assert.equal(frames.length, 3);
  assert.deepEqual(frames[1], {
    kind: 'native',
    function: 'scribble',
    file: '/app/program.c',
    line: 41,
    column: null,
    module: '/app/program',
    moduleOffset: '0xa5d',
    pc: '0x400a5d',
    notes: [],
  });
});

test('JavaScript: the culprit is neither the engine nor a module of Node.js', options, () => {
  const { text, json } = reportOf(engine, 'javascript', { KNOWN: '1' });
  assert.equal(text, golden('javascript'));
  assert.equal(json.culprit, 3);
  assert.equal(json.names, 'v8');
});

test('what is not exact says so, in the first line too', options, () => {
  const { text, json } = reportOf(engine, 'hidden');
  assert.equal(text, golden('hidden'));
  const notes = ['optimized', 'function-line', 'may-hide-inlined', 'perf-map'];
  assert.deepEqual(json.frames[3]!.notes, notes);
  assert.equal(json.names, 'perf-map');
});

test('an engine whose functions cannot be named: the remedy is in the report', options, () => {
  const { text, json } = reportOf(engine, 'javascript');
  assert.equal(json.names, 'none');
  assert.match(
    text,
    /note {6}functions of this version of Node\.js cannot be named; start it with/,
  );
});

test('what is not known is null', options, () => {
  const { json } = reportOf(plain, 'underrun');
  assert.equal(json.unprotectTime, null);
  assert.equal(json.place, 'guard-before');
});

test('hostile names break neither line, nor terminal, nor JSON', options, () => {
  const { text, json } = reportOf(plain, 'hostile');
  const bad = '\ufffd';
  assert.equal(json.label, `a"b\\c${bad}d${bad}[1m${bad}ä€${bad.repeat(3)}🐞${bad.repeat(2)}`);
  assert.equal(json.frames[1]!.function, bad.repeat(159));
  assert.equal(json.frames[1]!.file, '"'.repeat(255));
  assert.equal(text.split('\n').length, 12);
});

test('a report too long loses whole frames, and says how many', options, () => {
  const { text, json } = reportOf(plain, 'long');
  const shown = text.match(/^ {2}\/app\/program \[/gm)!.length;
  assert.ok(shown > 10 && shown < 64);
  assert.ok(text.endsWith(`  and ${64 - shown} more frames, for which this report has no room\n`));
  assert.equal(json.framesCut, 64 - json.frames.length);
  assert.ok(json.frames.length > 10 && json.frames.length < 64);
});

test(
  'two threads report at once: every line of the file is whole, the ring keeps 64',
  options,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-report-'));
    try {
      const file = join(folder, 'reports.jsonl');
      const { stdout } = run(plain, ['race', file]);
      const reports = readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { seq: number });
      const seqs = reports.map(({ seq }) => seq).toSorted((a, b) => a - b);
      assert.deepEqual(
        seqs,
        Array.from({ length: 400 }, (_, index) => index + 1),
      );
      const [last, oldest, ...rest] = stdout.split('\n');
      assert.equal((JSON.parse(last!) as { seq: number }).seq, 400);
      assert.equal((JSON.parse(oldest!) as { seq: number }).seq, 337);
      assert.deepEqual(rest, ['', '-2', '', '0', ''], 'gone, and not yet');
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);

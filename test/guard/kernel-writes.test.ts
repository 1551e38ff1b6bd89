/**
 * Writes by the kernel into protected pages, from C: each system call is a report with the stack of
 * its caller; threads, owners that toggle meanwhile, and threads that take no signal all go on.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { culpritOf, type GuardReport } from '../../src/toolkit/guard/index.ts';
import { compileC } from '../support/compile-c.ts';
import { type Reported, runWhereOffered } from '../support/reporting-program.ts';

const program = compileC('kernel-writes.c', { flags: ['-O1', '-fno-builtin'] });
const options = { skip: program === null && 'no C compiler for x86-64' };

/** null: skipped, with the reason. */
function run(context: TestContext, scenario: string): Reported | null {
  return runWhereOffered(context, program!, scenario);
}

function calls(reports: readonly GuardReport[]): string[] {
  return reports.map(
    ({ kind, syscallName, offset, width }) => `${kind} ${syscallName} ${offset} ${width}`,
  );
}

test('each call is a report, over pages never touched too, with its caller', options, (context) => {
  const outcome = run(context, 'calls');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, [
    'protect 0',
    'open page 100',
    'pread64 100',
    'over a border 5000',
    'read 4',
    'preadv 20',
    'recvfrom 3',
    'getrandom 16',
    'first byte 97',
  ]);
  assert.deepEqual(calls(outcome.reports), [
    'syscall pread64 4106 100',
    'syscall pread64 8142 5000',
    'syscall read 4096 4',
    'syscall preadv 20480 null',
    'syscall recvfrom 8192 3',
    'syscall getrandom 8200 16',
  ]);
  const [first] = outcome.reports as [GuardReport];
  assert.equal(culpritOf(first)?.function, 'read_into');
  assert.match(culpritOf(first)?.file ?? '', /kernel-writes\.c$/);
  assert.equal(first.old, '00'.repeat(64));
  assert.match(first.new, /^7f454c46/);
  assert.equal(first.generation, 7);
  assert.equal(outcome.reports[2]?.old, '00000000');
  assert.equal(outcome.reports[2]?.new, '7f454c46');
});

test('a culprit that may write does so in the mode `report` too', options, (context) => {
  const outcome = run(context, 'report-allowed');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['protect 0', 'value 2', 'unprotect 0', 'value 3']);
  assert.deepEqual(outcome.reports, []);
});

test('writes of the program itself come the same way, and go on', options, (context) => {
  const outcome = run(context, 'user');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['protect 0', 'value 6', 'still caught 1']);
  const seen = outcome.reports.map((report) => `${report.kind} ${report.old} ${report.new}`);
  assert.deepEqual(seen, ['write 00 05', 'write 05 06', 'syscall 06 7f']);
});

test('open pages, and a region that has ended: silent; without the flag: EFAULT', options, (t) => {
  const outcome = run(t, 'toggles');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, [
    'protect 0',
    'unprotect 0',
    'into open 8192',
    'protect again 0',
    'reported 20',
    'end 0',
    'after the end 12288',
    'protect 0',
    'without the flag -1',
    'it is EFAULT 1',
  ]);
  assert.deepEqual(calls(outcome.reports), ['syscall pread64 4097 20']);
});

test('eight threads, a page each: no write is missed, each has its caller', options, (context) => {
  const outcome = run(context, 'pages');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['protect 0', 'all done 1']);
  const wanted: string[] = [];
  for (let thread = 1; thread <= 8; thread++) {
    for (let i = 0; i < 20; i++) wanted.push(`syscall pread64 ${thread * 4096 + i} 1`);
  }
  assert.deepEqual(calls(outcome.reports).toSorted(), wanted.toSorted());
  for (const report of outcome.reports) assert.equal(culpritOf(report)?.function, 'read_into');
});

for (const scenario of ['one-page', 'owner']) {
  test(`eight threads at one page (${scenario}): all go on, none is blamed twice`, options, (t) => {
    const outcome = run(t, scenario);
    if (outcome === null) return;
    assert.equal(outcome.signal, null);
    assert.deepEqual(outcome.lines, ['protect 0', 'all done 1']);
    // An owner that opens the page in time leaves nothing to report.
    assert.ok(outcome.reports.length >= (scenario === 'owner' ? 0 : 1));
    assert.ok(outcome.reports.length <= 320);
    // Who is let go on by another's report, or by the owner, before it is asked, has no stack: how
    // many these are is up to the scheduler.
    const withStack = outcome.reports.filter((report) => report.frames.length > 1);
    for (const report of withStack) {
      const wanted = report.kind === 'syscall' ? 'read_into' : 'write_at';
      assert.equal(culpritOf(report)?.function, wanted);
    }
  });
}

test('a thread that takes no signal is reported without a stack, and goes on', options, (t) => {
  const outcome = run(t, 'deaf');
  if (outcome === null) return;
  assert.deepEqual(outcome.lines, ['protect 0', 'deaf 10', 'protected again 1']);
  const [deaf, after] = outcome.reports as [GuardReport, GuardReport];
  assert.equal(deaf.threadName, 'deaf');
  assert.equal(deaf.syscallName, 'pread64');
  assert.equal(deaf.frames.length, 1);
  assert.equal(after.frames.length > 1, true);
});

test('the process can end while threads are blocked', options, (context) => {
  const outcome = run(context, 'leave');
  if (outcome === null) return;
  assert.equal(outcome.status, 3);
});

for (const scenario of ['report', 'report-user']) {
  test(`mode report, ${scenario}: dies after its report`, options, (context) => {
    const outcome = run(context, scenario);
    if (outcome === null) return;
    assert.equal(outcome.signal, 'SIGSEGV');
    assert.deepEqual(outcome.lines, ['protect 0']);
    assert.deepEqual(
      outcome.reports.map((report) => [report.kind, report.isFatal]),
      [[scenario === 'report' ? 'syscall' : 'write', true]],
    );
  });
}

test('divert and throw are refused', options, (context) => {
  const lines = run(context, 'refusals')?.lines;
  if (lines === undefined) return;
  assert.deepEqual(
    lines.filter((line) => line.startsWith('refused')),
    ['refused -95', 'refused -95'],
  );
});

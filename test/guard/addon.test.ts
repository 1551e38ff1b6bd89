import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf } from '../../src/toolkit/guard/index.ts';
import { buildCulprit, guardSkipReason, lineOf, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };

/** 16 pages, protected; written at byte 8000 from the start of what is protected. */
const PROTECTED = `
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  const run = (mode) => guard.protect(bytes, { label: 'table', mode });`;

test('an addon writes: function and line in C, the process dies by SIGSEGV', options, () => {
  const { signal, reports, stderr } = runReported(
    `${PROTECTED} run('report'); culprit.write(bytes, 8000, 7);`,
    { addon: buildCulprit() },
  );
  assert.equal(signal, 'SIGSEGV', stderr);
  const line = lineOf('culprit.c', 'culprit: scribble');
  assert.match(
    stderr,
    new RegExp(
      `: scribble \\(\\S+/culprit\\.c:${line}\\) wrote 1 byte at offset 8000 of 'table'\n`,
    ),
  );
  assert.equal(reports.length, 1);
  const [report] = reports;
  const culprit = culpritOf(report!);
  assert.deepEqual([culprit?.function, culprit?.line, culprit?.kind], ['scribble', line, 'native']);
  assert.deepEqual([report!.old, report!.new, report!.isFatal], ['00', '07', true]);
});

test('the JavaScript that called the addon is on the stack below it', options, () => {
  const { reports } = runReported(
    `${PROTECTED}
    function callsAddon() { culprit.write(bytes, 8000, 7); }
    run('continue'); callsAddon();`,
    { addon: buildCulprit() },
  );
  const names = reports[0]!.frames.map((frame) => frame.function);
  const [writer, caller] = [names.indexOf('write_byte'), names.indexOf('callsAddon')];
  assert.ok(writer === 1 && caller > writer, names.join());
  assert.equal(reports[0]!.frames[caller]!.kind, 'js');
});

test('memcpy in an addon: the addon is the culprit, not the C library', options, () => {
  const { status, stdout, stderr, reports } = runReported(
    `${PROTECTED}
    const one = guard.protect(bytes.subarray(4096), { label: 'second page', mode: 'continue' });
    culprit.copy(bytes, 4000, 200);
    one.end();
    console.log(JSON.stringify([bytes[3999], bytes[4000], bytes[4199], bytes[4200]]));`,
    { addon: buildCulprit() },
  );
  assert.equal(status, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), [0, 0x55, 0x55, 0]);
  const line = lineOf('culprit.c', 'culprit: copy_bytes');
  for (const report of reports) {
    const culprit = culpritOf(report);
    assert.deepEqual([culprit?.function, culprit?.line], ['copy_bytes', line]);
    assert.ok(report.offset < 104, 'in the second page');
  }
  assert.ok(reports.length > 0);
});

test('a system call that would write into protected memory: EFAULT, and no report', options, () => {
  const { status, stdout, stderr, reports } = runReported(
    `${PROTECTED}
    import { openSync } from 'node:fs';
    run('report');
    console.log(culprit.readInto(bytes, 8000, openSync('/dev/zero')));`,
    { addon: buildCulprit() },
  );
  assert.equal(status, 0, stderr);
  assert.equal(stdout, '-1\n');
  assert.deepEqual(reports, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { culpritOf } from '../../src/toolkit/guard/index.ts';
import { buildCulprit, guardSkipReason, lineOf, runReported } from './guarded-child.ts';

const options = { skip: guardSkipReason() };
const COPY_LINE = lineOf('culprit.c', 'culprit: copy_bytes');
const WRITE_LINE = lineOf('culprit.c', 'culprit: scribble');

test('memcpy past the end of a guarded buffer: by how many bytes, and who', options, () => {
  const { signal, stderr, reports } = runReported(
    `const buffer = guard.allocGuarded(1000, { label: 'packet' });
     culprit.copy(buffer.view, 900, 103);`,
    { addon: buildCulprit() },
  );
  assert.equal(signal, 'SIGSEGV', stderr);
  const [report] = reports;
  assert.equal(report!.place, 'guard-after');
  assert.deepEqual(
    [culpritOf(report!)?.function, culpritOf(report!)?.line],
    ['copy_bytes', COPY_LINE],
  );
  assert.match(stderr, /^segmentation fault at 0x\w+: overrun of 'packet' by \d+ bytes?: copy_by/m);
  assert.ok(report!.beyond > 0 && report!.beyond <= 64, `${report!.beyond} bytes`);
});

test('before the start', options, () => {
  const { signal, stderr, reports } = runReported(
    `const buffer = guard.allocGuarded(1000, { align: 'start', label: 'packet' });
     culprit.write(buffer.view, -3, 7);`,
    { addon: buildCulprit() },
  );
  assert.equal(signal, 'SIGSEGV', stderr);
  const [report] = reports;
  assert.deepEqual([report!.place, report!.beyond, report!.offset], ['guard-before', 3, -3]);
  assert.match(stderr, /: underrun of 'packet' by 3 bytes: scribble \(\S+\) wrote 1 byte\n/);
  assert.equal(culpritOf(report!)?.line, WRITE_LINE);
});

test('after its release, by an addon that kept the address', options, () => {
  const { signal, stderr, reports } = runReported(
    `const buffer = guard.allocGuarded(1000, { label: 'packet' });
     culprit.keep(buffer.view, 0, 0);
     buffer.release();
     culprit.writeKept(new Uint8Array(1), 5, 7);`,
    { addon: buildCulprit() },
  );
  assert.equal(signal, 'SIGSEGV', stderr);
  const [report] = reports;
  assert.deepEqual([report!.place, report!.offset, report!.beyond], ['freed', 5, 0]);
  assert.match(stderr, /: use after free: scribble \(\S+\) wrote 1 byte at offset 5 of 'packet'/);
  assert.match(stderr, / {2}history {3}freed \S+ \w+ before by the same thread\n/);
});

test('a broken canary is found at the release, and nobody is blamed', options, () => {
  const { status, stdout, stderr, reports } = runReported(
    `const buffer = guard.allocGuarded(100, { canary: true, label: 'packet' });
     culprit.write(buffer.view, 101, 7);
     console.log(buffer.check());
     buffer.release();`,
    { addon: buildCulprit() },
  );
  assert.equal(status, 0, stderr);
  assert.ok(stdout !== '');
  assert.equal(reports.length, 1);
  const [report] = reports;
  assert.deepEqual(
    [report!.kind, report!.offset, report!.width, report!.culprit, report!.new],
    ['canary', 101, 1, null, '07'],
  );
  assert.match(
    stderr,
    /^damaged canary at 0x\w+: unknown code wrote 1 byte at offset 101 of 'pac/m,
  );
});

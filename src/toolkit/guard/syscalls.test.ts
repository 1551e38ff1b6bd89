import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { runGuarded } from './child.test-data.ts';
import { GuardError, type GuardReport, protect } from './index.ts';

/** Why userfaultfd is not to be had here; false: it is. */
function skipReason(): string | false {
  const reason = addonSkipReason();
  if (reason !== false && reason !== undefined) return String(reason);
  try {
    const memory = new SharedArrayBuffer(8192, { maxByteLength: 8192 });
    protect(memory, { syscalls: true, mode: 'continue' }).end();
    return false;
  } catch (error) {
    return error instanceof GuardError ? error.message : String(error);
  }
}

const needsUffd = { skip: skipReason() };
const needsAddon = { skip: addonSkipReason() };

const HEAD = `
  import fs from 'node:fs';
  const bytes = new Uint8Array(new SharedArrayBuffer(65536, { maxByteLength: 65536 }));
  const file = fs.openSync(process.execPath);`;

test(
  'fs.readSync into a protected page: the JavaScript line is named, the data come',
  needsUffd,
  () => {
    const result = runGuarded(`${HEAD}
    guard.protect(bytes, { label: 'session', mode: 'continue', syscalls: true });
    function loader() {
      return fs.readSync(file, bytes, 8192, 100, 0);
    }
    const count = loader();
    const [report] = guard.reports();
    console.log(JSON.stringify({ count, first: bytes[8193], report }));`);
    assert.equal(result.status, 0, result.stderr);
    const { count, first, report } = JSON.parse(result.stdout) as {
      count: number;
      first: number;
      report: GuardReport;
    };
    assert.equal(count, 100);
    assert.equal(first, 0x45);
    assert.equal(report.kind, 'syscall');
    assert.equal(report.syscallName, 'pread64');
    assert.equal(report.offset, 8192);
    assert.equal(report.width, 100);
    if (report.names !== 'v8') return;
    const names = report.frames
      .filter((frame) => frame.kind === 'js')
      .map((frame) => frame.function);
    assert.ok(names.includes('loader'), names.join());
  },
);

test('fs.read: the stack is that of a thread of the pool, native alone', needsUffd, () => {
  const result = runGuarded(`${HEAD}
    guard.protect(bytes, { label: 'session', mode: 'continue', syscalls: true });
    fs.read(file, bytes, 8192, 100, 0, (error, count) => {
      const [report] = guard.reports();
      console.log(JSON.stringify({ count, isMain: report.tid === process.pid, report }));
    });`);
  const { count, isMain, report } = JSON.parse(result.stdout) as {
    count: number;
    isMain: boolean;
    report: GuardReport;
  };
  assert.equal(count, 100);
  assert.equal(isMain, false);
  assert.ok(report.frames.every((frame) => frame.kind === 'native'));
});

test('mode report: dies after the report', needsUffd, () => {
  const result = runGuarded(`${HEAD}
    guard.protect(bytes, { label: 'session', syscalls: true });
    fs.readSync(file, bytes, 8192, 100, 0);
    console.log('survived');`);
  assert.equal(result.signal, 'SIGSEGV', result.stderr);
  assert.equal(result.stdout, '');
  assert.match(result.stderr, /^system call at .* pread64 wrote 100 bytes at offset 8192/m);
});

test('without syscalls: EFAULT for the caller, and no report', needsAddon, () => {
  const result = runGuarded(`${HEAD}
    guard.protect(bytes, { mode: 'continue' });
    try {
      fs.readSync(file, bytes, 8192, 100, 0);
    } catch (error) {
      console.log(error.code, guard.reports().length);
    }`);
  assert.equal(result.stdout, 'EFAULT 0\n', result.stderr);
});

test('not permitted: the error names what is needed', needsAddon, () => {
  const result = runGuarded(
    `${HEAD}
     process.setgroups([]); process.setgid(65534); process.setuid(65534);
     try {
       guard.protect(bytes, { mode: 'continue', syscalls: true });
       console.log('permitted');
     } catch (error) {
       console.log(error.code, error.message);
     }`,
  );
  if (process.getuid?.() !== 0 || result.stdout === 'permitted\n') return;
  assert.match(result.stdout, /^MR_GUARD_PERMISSION .*CAP_SYS_PTRACE.*unprivileged_userfaultfd/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addonSkipReason } from '../sys/load.ts';
import { GuardError } from './guard-error.ts';
import { guardNative } from './native.ts';
import { onReport, reports, setReportFile } from './reports.ts';

const needsAddon = {
  skip: process.arch === 'x64' ? addonSkipReason() : 'the guard needs x86-64',
};

test('a process without faults has no reports, and a listener hears none', needsAddon, () => {
  assert.deepEqual(reports(), []);
  const subscription = onReport(() => assert.fail('there is no report'));
  subscription.end();
});

test('a file that cannot be opened: an error with the path', needsAddon, () => {
  assert.throws(
    () => setReportFile('/nonexistent/reports.jsonl'),
    (error) => error instanceof GuardError && /\/nonexistent\/reports\.jsonl/.test(error.message),
  );
});

test('a slice that is too short for the report is refused, not filled', needsAddon, () => {
  assert.equal(guardNative().lastReport(), 0);
  assert.equal(guardNative().takeReport(new Uint8Array(8), 0, 8, 1), 0);
});

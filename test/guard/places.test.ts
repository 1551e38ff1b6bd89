import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { GuardCulprit } from '../../src/toolkit/guard/index.ts';
import { addonSkipReason } from '../../src/toolkit/sys/load.ts';

const CHILD = fileURLToPath(new URL('../support/placed-writes.js', import.meta.url));
const TIMEOUT_MS = 120_000;
const skip = addonSkipReason() ?? (process.arch === 'x64' ? undefined : 'needs x86-64');

interface Found {
  readonly times: number;
  readonly few: number;
  readonly found: readonly GuardCulprit[];
}

test('with once each place is reported once, and each of its writes is counted', { skip }, () => {
  const { stdout, stderr, status } = spawnSync(process.execPath, [CHILD], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  assert.equal(status, 0, stderr.slice(-2000));
  const { times, few, found } = JSON.parse(stdout) as Found;
  const counts = new Map<string, number[]>();
  for (const { function: name, count } of found) {
    counts.set(name, [...(counts.get(name) ?? []), count]);
  }
  // DataView's setter is one write of four bytes, or four of one, as V8 likes.
  const [throughView] = counts.get('throughView') ?? [];
  assert.ok(throughView! >= times && throughView! <= 4 * times, String(throughView));
  counts.delete('throughView');
  assert.deepEqual(Object.fromEntries(counts), {
    store: [times],
    small: [times],
    throughAtomics: [times],
    twice: [times, times],
    throughBufferHere: [few],
    throughBufferThere: [few],
    throughFill: [few],
  });
  const reports = stderr.match(/^segmentation fault at /gm) ?? [];
  assert.equal(reports.length, found.length);
});

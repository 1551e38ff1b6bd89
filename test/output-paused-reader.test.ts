/**
 * A reader that pauses, against everything that output offers as safe. What is called unsafe must
 * be caught: here across veth, and on loopback in output-unsafe.test.ts.
 */
import { test } from 'node:test';
import { addonSkipReason } from '../src/toolkit/sys/index.ts';
import { PATHS } from './support/output-rig.ts';
import { runGridHere } from './support/paused-here.ts';
import { assertVeth, runVeth } from './support/veth-run.ts';

const needsAddon = { skip: addonSkipReason() };

for (const path of PATHS) {
  test(`${path}: a sample of the grid has no corrupt page`, needsAddon, async (t) => {
    t.diagnostic(await runGridHere(path, 'sample'));
  });
}

test('veth: a sample of the grid; the unsafe ones are caught', needsAddon, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const report = await runVeth('sample', seed, 120_000);
  if (typeof report === 'string') {
    t.skip(report);
    return;
  }
  const { cells, pieces, refills, caught } = report;
  t.diagnostic(`${cells} cells, ${pieces} pages, ${refills} refills, seed ${seed}`);
  t.diagnostic(`corrupt pages of the unsafe: ${JSON.stringify(caught)}`);
  assertVeth(report, seed);
});

/** Output against a reader that pauses: every cell of the grid between two network namespaces. */
import { test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { assertVeth, runVeth } from '../support/veth-run.ts';

const VETH_MS = 1_700_000;

test('veth: no cell of the grid has a corrupt page', { skip: addonSkipReason() }, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const report = await runVeth('full', seed, VETH_MS);
  if (typeof report === 'string') {
    t.skip(report);
    return;
  }
  const { cells, pieces, refills } = report;
  t.diagnostic(`${cells} cells, ${pieces} pages, ${refills} refills, seed ${seed}`);
  assertVeth(report, seed);
});

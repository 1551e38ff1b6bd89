/**
 * Output against a reader that pauses: every cell of the grid, on every path; 10,000 connections;
 * and every system call of every writer failing at every place where it is made.
 */
import { test } from 'node:test';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import { failEverywhere } from '../support/fail-everywhere.ts';
import { runMany } from '../support/many-connections.ts';
import { offersOn } from '../support/output-offers.ts';
import { PATHS } from '../support/output-rig.ts';
import { runGridHere } from '../support/paused-here.ts';
import { assertVeth, runVeth } from '../support/veth-run.ts';

const needsAddon = { skip: addonSkipReason() };
const VETH_MS = 1_500_000;

for (const path of PATHS) {
  test(`${path}: no cell of the grid has a corrupt page`, needsAddon, async (t) => {
    t.diagnostic(await runGridHere(path, 'full'));
  });
}

test('veth: no cell of the grid has a corrupt page', needsAddon, async (t) => {
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

test('10,000 connections leave no fd, no pipe and no page', needsAddon, async (t) => {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const { pieces, renewed } = await runMany(10_000, new Prng(seed));
  t.diagnostic(`${pieces} pages read, ${renewed} got new memory, seed ${seed}`);
});

for (const path of ['tcp4', 'unix'] as const) {
  test(`${path}: every call of every writer fails everywhere`, needsAddon, async (t) => {
    for (const offer of offersOn(path)) {
      t.diagnostic(`${offer.name}: ${await failEverywhere(offer, path, true)}`);
    }
  });
}

/** The full grid of the paused reader on one path, as a test; a file of test/stress each. */
import { test } from 'node:test';
import { addonSkipReason } from '../../src/toolkit/sys/index.ts';
import type { Path } from './output-rig.ts';
import { runGridHere } from './paused-here.ts';

export function testFullGrid(path: Path): void {
  test(`${path}: no cell of the grid has a corrupt page`, {
    skip: addonSkipReason(),
  }, async (t) => {
    t.diagnostic(await runGridHere(path, 'full'));
  });
}

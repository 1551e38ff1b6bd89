/**
 * A reader that pauses, against everything that output offers as safe; and against what it calls
 * unsafe, which must be caught.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Prng } from '../src/toolkit/base/prng.ts';
import { closeThreadDiag, closeThreadRing } from '../src/toolkit/output/index.ts';
import { addonSkipReason, closeFd } from '../src/toolkit/sys/index.ts';
import { OFFERS, offersOn } from './support/output-offers.ts';
import { connectPath, FdReader, openFds, PATHS, type Path } from './support/output-rig.ts';
import { pairwise } from './support/pairwise.ts';
import { CELL_FACTORS, type Cell, type CellResult, runPaused } from './support/paused-reader.ts';

const needsAddon = { skip: addonSkipReason() };

async function runHere(offerName: string, path: Path, cell: Cell, prng: Prng): Promise<CellResult> {
  const offer = OFFERS.find(({ name }) => name === offerName)!;
  const { writer, reader } = connectPath(path, cell);
  const stream = new FdReader(reader);
  try {
    return await runPaused(offer, cell, { writer, reader: stream }, prng);
  } finally {
    stream.close();
    closeFd(writer);
  }
}

for (const path of PATHS) {
  test(`${path}: a sample of the grid has no corrupt page`, needsAddon, async (t) => {
    const seed = (Math.random() * 2 ** 32) >>> 0;
    const prng = new Prng(seed);
    const names = offersOn(path).map(({ name }) => name);
    const fds = openFds();
    let [pieces, refills, cells] = [0, 0, 0];
    for (const { offer, ...cell } of pairwise({ offer: names, ...CELL_FACTORS })) {
      const result = await runHere(offer, path, cell, prng);
      const words = `${offer} ${JSON.stringify(cell)} seed ${seed}: ${result.words.join('; ')}`;
      assert.equal(result.corrupt, 0, words);
      pieces += result.pieces;
      refills += result.refills;
      cells += 1;
    }
    closeThreadRing();
    closeThreadDiag();
    assert.equal(openFds(), fds, 'no fd is left');
    t.diagnostic(`${cells} cells, ${pieces} pages, ${refills} refills, seed ${seed}`);
  });
}

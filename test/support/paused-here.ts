/** Cells of the paused reader on sockets of this process: a sample of the grid, or all of it. */
import assert from 'node:assert/strict';
import { Prng } from '../../src/toolkit/base/prng.ts';
import { closeFd } from '../../src/toolkit/sys/index.ts';
import { type Offer, offersOn, sampledOn } from './output-offers.ts';
import { connectPath, FdReader, openFds, type Path } from './output-rig.ts';
import { fullGrid, pairwise } from './pairwise.ts';
import { CELL_FACTORS, type Cell, type CellResult, runPaused } from './paused-reader.ts';
import { closeThreads } from './peer-rig.ts';

export async function runCellHere(
  offer: Offer,
  path: Path,
  cell: Cell,
  prng: Prng,
): Promise<CellResult> {
  const { writer, reader } = connectPath(path, cell);
  const stream = new FdReader(reader);
  try {
    return await runPaused(offer, cell, { writer, reader: stream }, prng);
  } finally {
    stream.close();
    closeFd(writer);
  }
}

/** Fails on the first corrupt page; returns what was run, in words. */
export async function runGridHere(path: Path, grid: 'sample' | 'full'): Promise<string> {
  const seed = (Math.random() * 2 ** 32) >>> 0;
  const prng = new Prng(seed);
  closeThreads();
  const fds = openFds();
  let [cells, pieces, refills, slow] = [0, 0, 0, 0];
  const offers = grid === 'full' ? offersOn(path) : sampledOn(path);
  const factors = { offer: offers, ...CELL_FACTORS };
  for (const { offer, ...cell } of grid === 'full' ? fullGrid(factors) : pairwise(factors)) {
    const result = await runCellHere(offer, path, cell, prng);
    const words = result.words.join('; ');
    assert.equal(result.corrupt, 0, `${offer.name} ${JSON.stringify(cell)} seed ${seed}: ${words}`);
    cells++;
    pieces += result.pieces;
    refills += result.refills;
    slow += result.isWhole ? 0 : 1;
  }
  closeThreads();
  assert.equal(openFds(), fds, 'no fd is left');
  assert.ok(refills > 0, 'pages were written again');
  const cut = slow === 0 ? '' : ` (${slow} cut short)`;
  return `${cells} cells${cut}, ${pieces} pages, ${refills} refills, seed ${seed}`;
}

/** An error says which cell it was. */
export async function named<T>(where: string, run: Promise<T>): Promise<T> {
  try {
    return await run;
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

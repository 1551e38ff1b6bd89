/**
 * Checks the Promela models of the rings: every state of small cases, and every planted bug found.
 *
 * WHY         test/model/*.pml say what they show and what not; models.ts beside them has the
 *             bounds.
 * USAGE       npm run test:model [-- WORD...]     models whose file contains a WORD
 *             npm run test:model -- --record      the models were brought up to date with the code
 *                                                 that they mirror (test/model/mirrored.ts)
 * NEEDS       spin and a C compiler; it installs nothing.
 * INVARIANTS  Exit code 0 only when each model is without error in all its states, each planted bug
 *             was found, each probe was reached, and what is mirrored is what was recorded.
 */
import { driftOf, readHashes, recordedHashes, recordHashes } from '../dist/test/model/mirrored.js';
import { MODELS } from '../dist/test/model/models.js';
import { checkModel, missedProbes, missingTools, unreachedByAll } from '../dist/test/model/run.js';

const words = process.argv.slice(2);

function line({ run, bug, result, elapsedMs, fault }) {
  const name = bug === null ? run.name : `bug: ${bug.what} (${bug.name})`;
  const verdict = fault === null ? 'ok  ' : 'FAIL';
  const found = bug === null ? '' : `\n        found: ${result.error}`;
  const numbers =
    `${result.states} states, depth ${result.depth}, ` +
    `${result.memoryMegabytes.toFixed(0)} MB, ${(elapsedMs / 1000).toFixed(1)} s`;
  return `${verdict}  ${name}: ${numbers}${fault === null ? found : `\n        ${fault}`}`;
}

async function check(model) {
  console.log(`\n${model.file}`);
  const reports = await checkModel(model, (one) => console.log(line(one)));
  const missed = missedProbes(model, reports);
  for (const probe of missed) console.log(`FAIL  no run came to: ${probe}`);
  for (const text of unreachedByAll(model, reports)) console.log(`note: unreached: ${text}`);
  return reports.every((one) => one.fault === null) && missed.length === 0;
}

async function main() {
  if (words.includes('--record')) {
    recordHashes();
    console.log('recorded: test/model/mirrored.json');
    return;
  }
  const missing = await missingTools();
  const chosen = MODELS.filter(
    ({ file }) => words.length === 0 || words.some((word) => file.includes(word)),
  );
  if (missing !== null || chosen.length === 0) {
    console.error(missing ?? `no model for ${words.join(' ')}`);
    process.exitCode = 1;
    return;
  }
  const startedMs = performance.now();
  const drift = driftOf(recordedHashes(), readHashes());
  for (const text of drift) console.log(`FAIL  ${text}`);
  let isGood = drift.length === 0;
  for (const model of chosen) isGood = (await check(model)) && isGood;
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
  console.log(`\n${isGood ? 'all as it should be' : 'NOT as it should be'}, ${seconds} s`);
  if (!isGood) process.exitCode = 1;
}

await main();

/**
 * `node --import millrace/guard/register app.js`: guards a program that is not ours from outside.
 *
 * Every SharedArrayBuffer and shared WebAssembly.Memory of 64 KiB and more that the program makes
 * from now on, in any of its threads, is protected; the arenas of Millrace are such memories. The
 * environment says how (outside-options.ts). At the end of the process stderr has who wrote.
 */
import { appendFileSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { describeError, EXIT_FAILED, MillraceError } from '../base/errors.ts';
import { culprits } from './culprits.ts';
import { guardNative } from './native.ts';
import { OutsideGuards, readTotals, sharedTotals } from './outside-guards.ts';
import { outsideOptions } from './outside-options.ts';
import { type OutsideSummary, programSummary, summaryLines } from './outside-summary.ts';
import { watchSharedConstructors } from './shared-constructors.ts';

const STDERR = 2;

/** At once: the process may be about to end. */
function say(text: string): void {
  try {
    writeSync(STDERR, `${text}\n`);
  } catch {
    // Nobody reads it.
  }
}

function register(): void {
  const options = outsideOptions(process.env);
  guardNative();
  const totals = sharedTotals();
  const guards = new OutsideGuards(options, totals, say);
  watchSharedConstructors(guards.onMade);
  process.on('exit', () => {
    guards.countAllowed();
    if (!isMainThread) return;
    const summary: OutsideSummary = {
      pid: process.pid,
      totals: readTotals(totals),
      culprits: culprits(),
    };
    const line = `${JSON.stringify(summary)}\n`;
    // A child process has the same file in its environment.
    if (options.summaryFile !== '') appendFileSync(options.summaryFile, line);
    else say(summaryLines(programSummary(line, [])).join('\n'));
  });
}

try {
  register();
} catch (error) {
  say(describeError(error));
  process.exit(error instanceof MillraceError ? error.exitCode : EXIT_FAILED);
}

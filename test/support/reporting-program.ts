/**
 * C programs of test/guard that write their reports into the file that REPORT names.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { type GuardReport, parseReports } from '../../src/toolkit/guard/index.ts';
import { run } from './core-programs.ts';

export interface Reported {
  readonly signal: string | null;
  readonly status: number | null;
  /** What it printed, without empty lines. */
  readonly lines: readonly string[];
  readonly reports: readonly GuardReport[];
}

/** Runs one scenario; the program must not say that it was refused something. */
export function runReporting(program: string, scenario: string): Reported {
  const folder = mkdtempSync(join(tmpdir(), 'guard-reports-'));
  const file = join(folder, 'reports');
  try {
    const { signal, status, stdout, stderr } = run(program, scenario, { REPORT: file });
    assert.doesNotMatch(stdout, /refused:/, stderr);
    const lines = stdout.split('\n').filter((line) => line !== '');
    return { signal, status, lines, reports: parseReports(readFileSync(file, 'utf8')) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same; null: this machine does not offer it, and the test is skipped and says why. */
export function runWhereOffered(
  context: TestContext,
  program: string,
  scenario: string,
): Reported | null {
  const reported = runReporting(program, scenario);
  const word = 'unavailable: ';
  const reason = reported.lines.find((line) => line.startsWith(word));
  if (reason === undefined) return reported;
  context.skip(reason.slice(word.length));
  return null;
}

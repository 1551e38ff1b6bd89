/**
 * Verdicts of tests: a scenario holds under all its schedules, or a planted bug is found.
 */
import assert from 'node:assert/strict';
import type { Access } from './access.ts';
import type { Findings } from './explore.ts';
import { type TraceEntry, wordOf } from './machine.ts';

interface Reporter {
  diagnostic(message: string): void;
}

/** Fails with the schedule as a trace. */
export function assertHolds(reporter: Reporter, findings: Findings, schedulesMin = 2): void {
  const { violation, schedules, isComplete } = findings;
  if (violation !== null) assert.fail(`${violation.message}\n${formatTrace(violation.trace)}`);
  assert.ok(isComplete, `not done after ${schedules} schedules: a smaller case, or a bound`);
  reporter.diagnostic(`${schedules} schedules`);
  assert.ok(schedules >= schedulesMin, `only ${schedules} schedules: threads do not meet`);
}

/** The trace of what was found; its message matches. */
export function assertFound(reporter: Reporter, findings: Findings, pattern: RegExp): string {
  const { violation, schedules } = findings;
  assert.ok(violation !== null, `not found in ${schedules} schedules`);
  assert.match(violation.message, pattern);
  reporter.diagnostic(`schedule ${schedules}: ${violation.message.slice(0, 160)}`);
  return formatTrace(violation.trace);
}

/** One line an access: thread, place, text, word, what was seen. */
export function formatTrace(trace: readonly TraceEntry[]): string {
  const lines = trace.map(({ thread, access, result }) => {
    const { where, text } = access.place;
    const word = access.array.length === 0 ? '' : `word ${wordOf(access.array, access.index)}`;
    return [thread, where, text, word, resultText(access, result)];
  });
  const widths = [0, 1, 2, 3].map((column) =>
    Math.max(0, ...lines.map((line) => line[column]!.length)),
  );
  return lines
    .map((line) =>
      line
        .map((part, column) => part.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

function resultText(access: Access, result: unknown): string {
  return access.array.length === 0 ? '' : String(result);
}

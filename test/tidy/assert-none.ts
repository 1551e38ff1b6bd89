/**
 * Asserts that a check has found nothing; otherwise shows every finding, one a line.
 */
import assert from 'node:assert/strict';

export function assertNone(findings: readonly string[]): void {
  assert.ok(findings.length === 0, `${findings.length} findings\n${findings.join('\n')}`);
}

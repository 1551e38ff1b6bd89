/**
 * Nothing lost: what the server says of a run, held against what the sender sent.
 */
import type { Snapshot } from '../../src/server/snapshot.ts';
import type { Stages } from './server.ts';

export interface Expected {
  readonly records: number;
  readonly bytes: number;
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((a, b) => a + b, 0);

/** True when everything has arrived at the end of the given stages. */
export function isFinished(snapshot: Snapshot, stages: Stages, expected: Expected): boolean {
  if (snapshot.recordsTotal < expected.records || snapshot.intake.inPages > 0) return false;
  if (stages === 'frame' || stages === 'journal') return true;
  const [sink] = snapshot.sinks;
  return sink !== undefined && sink.received >= expected.records && sink.pending === 0;
}

/** What does not add up, one sentence each; empty when nothing was lost. */
export function findLosses(
  snapshot: Snapshot,
  stages: Stages,
  expected: Expected,
): readonly string[] {
  const losses: string[] = [];
  const compare = (what: string, found: number, wanted: number): void => {
    if (found !== wanted) losses.push(`${what} is ${found}, expected ${wanted}`);
  };
  const { intake } = snapshot;
  compare('records framed', snapshot.recordsTotal, expected.records);
  compare('bytes read', intake.read, expected.bytes);
  compare('intake.difference', intake.difference, 0);
  compare('intake.resync', intake.resync, 0);
  compare('intake.truncated', intake.truncated, 0);
  const isJournaled = stages === 'journal' || stages === 'latency' || stages === 'all';
  if (isJournaled) compare('intake.dropped', sum(intake.dropped), 0);
  if (stages === 'decode' || stages === 'latency' || stages === 'all') {
    compare('the number of sinks', snapshot.sinks.length, 1);
    for (const sink of snapshot.sinks) {
      compare(`sink ${sink.name}: delivered`, sink.delivered, expected.records);
      compare(`sink ${sink.name}: difference`, sink.difference, 0);
      compare(`sink ${sink.name}: dropped`, sum(sink.dropped), 0);
    }
  }
  return losses;
}

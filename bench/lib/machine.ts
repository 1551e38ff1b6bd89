/**
 * The machine a number was measured on, in one line: CPUs, memory, kernel, Node.js.
 */
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';

export function describeMachine(): string {
  const model = (cpus()[0]?.model ?? 'unknown CPU').replaceAll(/\s+/g, ' ').trim();
  const memoryGb = Math.round(totalmem() / 1e9);
  return (
    `${availableParallelism()} x ${model}, ${memoryGb} GB, ` +
    `Linux ${release()}, Node.js ${process.version}`
  );
}

/** Load average of the last minute per CPU above which figures are not to be trusted. */
const BUSY_LOAD_PER_CPU = 0.3;

/** A sentence when other programs keep the machine busy, else null. */
export function describeOtherLoad(): string | null {
  const load = loadavg()[0]!;
  if (load <= BUSY_LOAD_PER_CPU * availableParallelism()) return null;
  return (
    `note: the load average of the last minute is ${load.toFixed(1)} on ` +
    `${availableParallelism()} CPUs: other programs will show in these figures`
  );
}

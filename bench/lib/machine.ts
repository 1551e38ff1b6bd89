/**
 * The machine a number was measured on, in one line: CPUs, memory, kernel, Node.js.
 */
import { availableParallelism, cpus, release, totalmem } from 'node:os';

export function describeMachine(): string {
  const model = (cpus()[0]?.model ?? 'unknown CPU').replaceAll(/\s+/g, ' ').trim();
  const memoryGb = Math.round(totalmem() / 1e9);
  return (
    `${availableParallelism()} x ${model}, ${memoryGb} GB, ` +
    `Linux ${release()}, Node.js ${process.version}`
  );
}

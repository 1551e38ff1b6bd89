/**
 * Agent: a process that takes commands as JSON lines on stdin and answers on stdout.
 *
 * INVARIANTS  One command at a time. The process ends when stdin does, so that nothing is left when
 *             the bench is killed.
 */
import { createInterface } from 'node:readline';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { checked, schedGetAffinity, schedSetAffinity } from '../../toolkit/sys/index.ts';
import type { Command, Reply } from './agent-protocol.ts';

export type Handler = (command: Command) => Promise<unknown>;

const NOT_OFFERED = ['MR_OUTPUT_MECHANISM', 'MR_OUTPUT_SOURCE'];

function failureOf(error: unknown): Reply<never> {
  const isNotOffered = error instanceof MillraceError && NOT_OFFERED.includes(error.code);
  const message = error instanceof Error ? error.message : String(error);
  return { state: isNotOffered ? 'notOffered' : 'failed', message };
}

/** Serves until stdin ends. */
export async function serveCommands(handle: Handler): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const reply = await handle(JSON.parse(line) as Command).then(
      (value): Reply<unknown> => ({ state: 'done', value }),
      failureOf,
    );
    process.stdout.write(`${JSON.stringify(reply)}\n`);
  }
  process.exit();
}

const allowedCpus = schedGetAffinity();
let pinned = -1;

/** Puts the thread that sends or receives on one CPU; -1: where it was allowed at the start. */
export function pinTo(cpu: number): void {
  if (cpu === pinned) return;
  checked('sched_setaffinity', schedSetAffinity(0, cpu === -1 ? allowedCpus : [cpu]));
  pinned = cpu;
}

/** CPU time of the process since a mark, and seconds. */
export class Stopwatch {
  readonly #usage = process.cpuUsage();
  readonly #startedMs = performance.now();

  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  stop(): { usrUs: number; sysUs: number; seconds: number } {
    const { user, system } = process.cpuUsage(this.#usage);
    return { usrUs: user, sysUs: system, seconds: this.seconds };
  }
}

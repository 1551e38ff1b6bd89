/**
 * CPU error: MR_CPU with the kind of problem, so that a program may fall back and count by kind.
 */
import { MillraceError } from '../base/errors.ts';

/** The kinds, as `CpuError.problem` and as the label of a counter. */
export const CPU_PROBLEMS = [
  /** There is no such CPU, or the text names none. */
  'unknown',
  /** The CPU is there and offline: also one that went away after the start. */
  'offline',
  /** Outside the cpuset of this process. */
  'outside',
  /** The kernel refused: seccomp, or a thread of another user. */
  'permission',
  /** The thread ended, or the worker has not registered, or the register is full. */
  'thread',
  /** Any other refusal. */
  'refused',
] as const;

export type CpuProblem = (typeof CPU_PROBLEMS)[number];

export class CpuError extends MillraceError {
  readonly problem: CpuProblem;

  constructor(problem: CpuProblem, found: string, remedy = '', options?: ErrorOptions) {
    super('MR_CPU', found, remedy, options);
    this.name = 'CpuError';
    this.problem = problem;
  }
}

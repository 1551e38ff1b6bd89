/**
 * What a bench is: a name, its options, and a run that returns rows. bench/main.ts lists them.
 */
import { MillraceError } from '../src/toolkit/base/errors.ts';
import type { BenchRow } from './lib/result.ts';

export interface BenchOption {
  readonly name: string;
  /** What stands behind the name in the help; every option takes a value. */
  readonly argument: string;
  readonly default: string;
  readonly help: string;
}

/** Option values by name, as typed or by default. */
export type BenchValues = Readonly<Record<string, string>>;

export interface Bench {
  readonly name: string;
  readonly description: string;
  readonly options: readonly BenchOption[];
  /** What its figures cannot show on this machine; printed with them. */
  note?(): string;
  run(values: BenchValues, progress: (text: string) => void): Promise<readonly BenchRow[]>;
}

/** A number option; MR_USAGE when it is none or too small. */
export function numberOption(values: BenchValues, name: string, least: number): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value >= least) return value;
  throw new MillraceError(
    'MR_USAGE',
    `--${name} is "${values[name]}"`,
    `give a number from ${least} on`,
  );
}

/**
 * Option values: texts of the command line as numbers and addresses, or an error that says why not.
 */
import { InvalidArgumentError } from 'commander';

/** A whole number of at least `min`; accepts 1_000 and 1e6. */
export function parseCount(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text.replaceAll('_', ''));
    if (!Number.isSafeInteger(value) || value < min || text.trim() === '') {
      throw new InvalidArgumentError(`a whole number of at least ${min} is needed.`);
    }
    return value;
  };
}

/** A number above 0. */
export function parsePositive(text: string): number {
  const value = Number(text.replaceAll('_', ''));
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new InvalidArgumentError('a number above 0 is needed.');
  }
  return value;
}

/** For options that may be given several times. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}

/**
 * Ledger text: an equation as lines, one term a line, with its verdict.
 */
import { countText } from './text-table.ts';

export type Term = readonly [name: string, value: number];

/** The first term on the left of the equation, the others summed on its right. */
export function termLines(all: readonly Term[]): string[] {
  const width = Math.max(...all.map(([name]) => name.length));
  const digits = Math.max(...all.map(([, value]) => countText(value).length));
  return all.map(([name, value], index) => {
    const sign = index === 0 ? ' ' : index === 1 ? '=' : '+';
    return `  ${sign} ${name.padEnd(width)}  ${countText(value).padStart(digits)}`;
  });
}

/** Only what has happened. */
export function droppedTerms(dropped: Readonly<Record<string, number>>): Term[] {
  return Object.entries(dropped)
    .filter(([, count]) => count > 0)
    .map(([reason, count]) => [`dropped{${reason}}`, count] as const);
}

export function verdictLine(difference: number, unit: string): string {
  return difference === 0
    ? '  closes: nothing is unaccounted for'
    : `  DOES NOT CLOSE: ${countText(difference)} ${unit} are unaccounted for`;
}

/**
 * Checks of what callers pass: a key with a typing error must not switch a guard off in silence.
 */
import { GuardError } from './guard-error.ts';

export type OptionKind = 'boolean' | 'string' | 'number' | 'strings';

function isOf(value: unknown, kind: OptionKind): boolean {
  if (kind !== 'strings') return typeof value === kind;
  return Array.isArray(value) && value.every((part) => typeof part === 'string');
}

/** Throws MR_GUARD_MODE that names the option, what was found and what is needed. */
export function checkOptionKinds(
  who: string,
  options: unknown,
  kinds: Readonly<Record<string, OptionKind>>,
): void {
  if (typeof options !== 'object' || options === null) {
    throw refusal(`the options of ${who} are ${typeof options}`, 'give an object, or nothing');
  }
  for (const [key, value] of Object.entries(options)) {
    if (!Object.hasOwn(kinds, key)) {
      const names = Object.keys(kinds).join(', ');
      throw refusal(`${who} has no option '${key}'`, `its options are ${names}`);
    }
    const kind = kinds[key]!;
    if (value === undefined || isOf(value, kind)) continue;
    const needed = kind === 'strings' ? 'an array of strings' : `a ${kind}`;
    const found = typeof value === 'string' ? `'${value}'` : String(value);
    throw refusal(`${who}: the option ${key} is ${found}`, `${key} is ${needed}`);
  }
}

function refusal(found: string, remedy: string): GuardError {
  return new GuardError('MR_GUARD_MODE', found, remedy);
}

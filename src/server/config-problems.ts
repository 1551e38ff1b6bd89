/**
 * Config problems: what the schema found, in words: the path, what was found, what is allowed.
 *
 * WHY        A list's element is known by its name, not by its index; a value out of range is found
 *            sooner when the text shows it; a mistyped key has one that was meant.
 */
import type { z } from 'zod';
import { nearNames } from '../rdr/index.ts';

/** The parts of a schema that lead from a path to its keys. */
interface SchemaPart {
  readonly shape?: Readonly<Record<string, SchemaPart>>;
  readonly element?: SchemaPart;
  readonly def: { readonly innerType?: SchemaPart; readonly valueType?: SchemaPart };
}

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

const FOUND_CHARACTERS_MAX = 40;

/** One sentence for each issue of a safeParse with `reportInput`, of `input` by `schema`. */
export function configProblems(schema: z.ZodType, input: unknown, issues: readonly Issue[]) {
  return issues.map((issue) => {
    const said =
      issue.code === 'unrecognized_keys'
        ? unknownKeys(schema, issue.path, issue.keys)
        : withFound(issue);
    return `${pathText(input, issue.path)}: ${said}`;
  });
}

/** `forward.destinations[mediation].port`: by name where the element of a list has its own. */
export function pathText(input: unknown, path: Path): string {
  let text = '';
  let at: unknown = input;
  for (const key of path) {
    const name = Array.isArray(at) ? nameIn(at, Number(key)) : null;
    const dot = text === '' ? '' : '.';
    text += name === null ? `${dot}${String(key)}` : `[${name}]`;
    at = (at as Record<PropertyKey, unknown> | null | undefined)?.[key];
  }
  return text === '' ? '(top level)' : text;
}

/** The name of an element that no other one has. */
function nameIn(list: readonly unknown[], index: number): string | null {
  const names = list.map((one) => (one as { name?: unknown } | null)?.name);
  const name = names[index];
  if (typeof name !== 'string' || !/^[\w.-]{1,63}$/.test(name)) return null;
  return names.indexOf(name) === names.lastIndexOf(name) ? name : null;
}

function withFound(issue: Issue): string {
  const { message, input } = issue;
  if (input === undefined) {
    return issue.code === 'invalid_type' ? `missing; expected ${issue.expected}` : message;
  }
  if (typeof input === 'object' && input !== null) return message;
  const text = JSON.stringify(input);
  const isLong = text.length > FOUND_CHARACTERS_MAX;
  return `${message}; found ${isLong ? `${text.slice(0, FOUND_CHARACTERS_MAX)}...` : text}`;
}

function unknownKeys(schema: z.ZodType, path: Path, keys: readonly string[]): string {
  const known = Object.keys(partAt(schema as unknown as SchemaPart, path)?.shape ?? {});
  return keys
    .map((key) => {
      const near = nearNames(key, known);
      const meant = near.length > 0 ? `; do you mean ${near.join(' or ')}?` : '';
      return `Unrecognized key: "${key}"${meant}`;
    })
    .join(', ');
}

function partAt(schema: SchemaPart, path: Path): SchemaPart | null {
  let part: SchemaPart | undefined = bare(schema);
  for (const key of path) {
    part =
      typeof key === 'number' ? part.element : (part.shape?.[String(key)] ?? part.def.valueType);
    if (part === undefined) return null;
    part = bare(part);
  }
  return part;
}

/** Without defaults around it. */
function bare(part: SchemaPart): SchemaPart {
  let inner = part;
  while (inner.def.innerType !== undefined) inner = inner.def.innerType;
  return inner;
}

/**
 * Tag names: what a person calls a record type, as its tag, and back.
 */
import { CATALOG, recordByTag } from '../catalog.ts';
import { nearNames } from './near-names.ts';

/**
 * `TRANSACTION_USAGE`, `transaction_usage_rdr`, `TUR`, `0xf0f0f438` or `4042323000` -> the tag;
 * null when no record type is called so. Any number is accepted: a stream may hold tags that the
 * catalogue does not know.
 */
export function tagByName(text: string): number | null {
  if (/^(?:0x[0-9a-f]{1,8}|\d+)$/i.test(text)) {
    const tag = Number(text);
    return tag <= 0xffffffff ? tag : null;
  }
  const wanted = plainName(text);
  for (const entry of CATALOG) {
    const names = [entry.name, entry.tableName ?? '', ...entry.aliases];
    if (entry.tag !== null && names.some((name) => plainName(name) === wanted)) return entry.tag;
  }
  return null;
}

/** Names like the one given, which is none; empty when none is near. */
export function nearTagNames(text: string): string[] {
  const wanted = plainName(text);
  const known = tagNames();
  const near = nearNames(wanted, known);
  if (near.length > 0 || wanted === '') return near;
  return known.filter((name) => name.includes(wanted) || wanted.includes(name));
}

/** All names of types with a tag, in lower case and without `_rdr`. */
export function tagNames(): string[] {
  return CATALOG.filter((entry) => entry.tag !== null).map((entry) => plainName(entry.name));
}

/** The shortest form that tagByName reads back: `transaction_usage`, or 0x and 8 digits. */
export function tagText(tag: number): string {
  const name = recordByTag(tag)?.name;
  return name === undefined ? `0x${tag.toString(16).padStart(8, '0')}` : plainName(name);
}

function plainName(name: string): string {
  return name.toLowerCase().replace(/_rdr\b|_rdr(?=_)/, '');
}

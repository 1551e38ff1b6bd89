/**
 * Tag filter: what a person calls a record type, as its tag.
 */
import { CATALOG, recordByTag } from '../rdr/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

/**
 * `TRANSACTION_USAGE`, `transaction_usage_rdr`, `0xf0f0f438` or `4042323000` -> the tag.
 * Any number is accepted: a stream may hold tags that the catalogue does not know. Throws MR_USAGE.
 */
export function tagOfName(text: string): number {
  if (/^(?:0x[0-9a-f]{1,8}|\d+)$/i.test(text) && Number(text) <= 0xffffffff) return Number(text);
  const wanted = plain(text);
  for (const entry of CATALOG) {
    const names = [entry.name, entry.tableName ?? '', ...entry.aliases];
    if (entry.tag !== null && names.some((name) => plain(name) === wanted)) return entry.tag;
  }
  const known = CATALOG.filter((entry) => entry.tag !== null).map((entry) => plain(entry.name));
  const near = known.filter((name) => name.includes(wanted) || wanted.includes(name));
  throw new MillraceError(
    'MR_USAGE',
    `no record type is called "${text}"`,
    near.length > 0
      ? `do you mean ${near.join(', ')}?`
      : `known are ${known.join(', ')}; or give the tag as a number`,
  );
}

function plain(name: string): string {
  return name.toLowerCase().replace(/_rdr\b|_rdr(?=_)/, '');
}

/** Name of a tag for people. */
export function nameOfTag(tag: number): string {
  return recordByTag(tag)?.name ?? 'unknown';
}

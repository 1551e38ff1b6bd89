/**
 * Tag filter: what a person calls a record type, as its tag, or an error that helps.
 */
import { nearTagNames, tagByName, tagNames } from '../rdr/index.ts';
import { MillraceError } from '../toolkit/base/errors.ts';

/** As tagByName of `millrace/rdr`. Throws MR_USAGE. */
export function tagOfName(text: string): number {
  const tag = tagByName(text);
  if (tag !== null) return tag;
  const near = nearTagNames(text);
  throw new MillraceError(
    'MR_USAGE',
    `no record type is called "${text}"`,
    near.length > 0
      ? `do you mean ${near.join(', ')}?`
      : `known are ${tagNames().join(', ')}; or give the tag as a number`,
  );
}

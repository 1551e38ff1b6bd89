/**
 * Forward filter: what a channel chooses, as one filter text that needs no context.
 *
 * WHY        The engine compiles a text and knows nothing of `forward.categories`: names of sets,
 *            in `categories:` or inside a filter, become `tag in (...)` here.
 * INVARIANTS The text parses, and chooses what all its parts choose.
 */
import {
  categoriesAsTags,
  checkFilter,
  type Filter,
  formatFilter,
  parseFilter,
  tagByName,
} from '../rdr/index.ts';
import type { ForwardConfig } from './forward-config.ts';

type TagSets = Readonly<Record<string, readonly number[]>>;

/** The sets with their tags as numbers; names that no record type has are left out. */
export function tagSets({ categories }: Pick<ForwardConfig, 'categories'>): TagSets {
  return Object.fromEntries(
    Object.entries(categories).map(([name, tags]) => [
      name,
      tags.flatMap((tag) => (typeof tag === 'number' ? tag : (tagByName(tag) ?? []))),
    ]),
  );
}

/** Parses a filter of the configuration. Throws MR_FILTER, for unknown sets too. */
export function parseWithSets(text: string, categories: TagSets): Filter {
  const filter = parseFilter(text);
  checkFilter(filter, { categories });
  return filter;
}

/**
 * The filter that holds where all of `texts` hold and the tag is in one of the sets of each list of
 * names; empty when that is every record. Throws MR_FILTER.
 */
export function channelFilter(
  texts: readonly string[],
  setNames: readonly (readonly string[])[],
  categories: TagSets,
): string {
  const parts = texts.map((text) => withoutSets(text, categories));
  for (const names of setNames) {
    if (names.length > 0) parts.push(tagsText(names.flatMap((name) => categories[name] ?? [])));
  }
  const text = combineFilters(parts);
  // Together they may be more than a filter can be.
  checkFilter(parseFilter(text));
  return text;
}

/** Text of the filter that holds where all parts hold; empty parts say nothing. */
export function combineFilters(parts: readonly string[]): string {
  const said = parts.map((part) => part.trim()).filter((part) => part !== '');
  return said.length < 2 ? (said[0] ?? '') : said.map((part) => `(${part})`).join(' and ');
}

/** As it was written, unless it names sets. */
function withoutSets(text: string, categories: TagSets): string {
  const filter = parseWithSets(text, categories);
  const root = categoriesAsTags(filter.root, { categories });
  return root === filter.root ? text : formatFilter({ text: '', root });
}

function tagsText(tags: readonly number[]): string {
  const texts = [...new Set(tags)].map((tag) => `0x${tag.toString(16).padStart(8, '0')}`);
  return `tag in (${texts.join(', ')})`;
}

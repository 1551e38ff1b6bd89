/**
 * Filter: an expression about one record, as plain data.
 *
 * WHY         One small language for `forward`, `dump --filter` and whoever else picks records. The
 *             tree is what the parser makes and all that the others take: the compiler, the
 *             interpreter, the printer.
 * INVARIANTS  1. Every name was looked up: subjects exist, tags are numbers. Only categories are
 *             names still, as their sets come with the context.  2. At most FILTER_DEPTH_MAX deep
 *             and FILTER_TERMS_MAX terms, so that whoever walks it may recurse.
 */

/** Characters of a filter's text. */
export const FILTER_TEXT_MAX = 65_536;
/** Parentheses and `not` inside each other. */
export const FILTER_DEPTH_MAX = 64;
/** Values that a filter compares with, in all. */
export const FILTER_TERMS_MAX = 1000;
/** Bytes of one text in quotes. */
export const FILTER_LITERAL_BYTES_MAX = 1024;
/** Bytes of the pattern of one `~`. */
export const FILTER_PATTERN_BYTES_MAX = 256;

/** Bytes of all patterns of a filter: each may cost 512 of memory. */
export const FILTER_PATTERNS_BYTES_MAX = 16_384;
/** Values of one comparison that are compared one by one; more of them are searched as a list. */
export const INLINE_VALUES_MAX = 16;
/** Comparisons in the code of a filter, for all groups of tags together. */
export const FILTER_CODE_MAX = 10_000;

/** `cidr` is another word for `in`. */
export type FilterOperator = '=' | '!=' | '<' | '<=' | '>' | '>=' | '~' | 'in' | 'not in';

/** What stands on the right; `at` is where, as an index into the filter's text. */
export type FilterValue =
  | { readonly kind: 'number'; readonly number: number; readonly at: number }
  /** As the store shows text: a backslash doubled, bytes that are no UTF-8 as `\xHH`. */
  | { readonly kind: 'text'; readonly text: string; readonly at: number }
  /** An address or a block, `10.0.0.0/8`; parseBlock reads it. */
  | { readonly kind: 'address'; readonly text: string; readonly at: number }
  | { readonly kind: 'tag'; readonly tag: number; readonly at: number }
  | { readonly kind: 'category'; readonly name: string; readonly at: number };

export interface FilterCompare {
  readonly kind: 'compare';
  /** `tag`, `category`, `exporter`, a `header_*` item or a field. */
  readonly subject: string;
  readonly operator: FilterOperator;
  /** One, but for `in` and `not in`. */
  readonly values: readonly FilterValue[];
  /** Where the subject stands in the text. */
  readonly at: number;
}

export type FilterNode =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly FilterNode[] }
  | { readonly kind: 'not'; readonly term: FilterNode }
  | FilterCompare;

/** A filter that was parsed. No terms at all: every record. */
export interface Filter {
  readonly text: string;
  readonly root: FilterNode;
}

/** What a filter's words mean where it is used. */
export interface FilterContext {
  /** Category -> its tags, as `forward.categories` of the configuration names them. */
  readonly categories?: Readonly<Record<string, readonly number[]>>;
}

/**
 * Is this record chosen? `length` bytes from `offset` are one whole frame as frameLength found it;
 * `bytes` and `view` are over the same memory, from its start. `exporter` is its address, 16 bytes
 * (IPv4 as ::ffff:a.b.c.d); all 0 where nobody knows it. Never throws, whatever the frame holds.
 */
export type RecordPredicate = (
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
  exporter: Uint8Array,
) => boolean;

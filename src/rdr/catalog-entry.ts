/**
 * Shape of the catalogue's data: rdr-catalog.json and the module generated from it.
 *
 * Each fact carries how it is known (`confidence`, `typeSource`, `source`), because no Cisco text
 * with the whole field tables is at hand. docs/reference/rdrv1.md explains the marks.
 */
import type { FieldTypeName } from './constants.ts';

/** How the type of a field is known, from strongest to weakest. */
export type TypeSource =
  /** a decoder of live streams enforces it */
  | 'code'
  /** a C struct has it */
  | 'code-loose'
  /** read off a printed record */
  | 'sample'
  /** the same field is proven in another record */
  | 'same-name'
  /** recalled, no source at hand */
  | 'unverified'
  | 'unknown';

export interface FieldData {
  /** Cisco's name, as `SUBSCRIBER_ID`. */
  readonly name: string;
  /** What an encoder writes. A decoder never uses it: it goes by the type byte on the wire. */
  readonly type: FieldTypeName | 'UNKNOWN';
  readonly typeSource: TypeSource;
  readonly unit?: string;
  readonly note?: string;
}

/** A source key; with `for`, it supports only that part (tag, existence ...). */
export interface SourceReference {
  readonly key: string;
  readonly for?: string;
}

/** Fields that some releases append behind the others. */
export interface ReleaseVariant {
  readonly release: string;
  readonly source: readonly SourceReference[];
  readonly confidence: string;
  readonly appendFields: readonly FieldData[];
}

export interface RecordData {
  readonly name: string;
  readonly aliases: readonly string[];
  /** Null: the name is documented, the tag is not known. */
  readonly tag: number | null;
  readonly tagHex: string | null;
  /** A guess from one pair of tags; shown to people, never used for decoding. */
  readonly tagGuess?: { readonly tag: number; readonly tagHex: string; readonly basis: string };
  readonly category: { readonly value: number | null; readonly confidence: string };
  readonly periodic: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly basedOn?: string;
  readonly note?: string;
  /** The Collection Manager's database table, where one is known. */
  readonly table?: string;
  readonly fields: readonly FieldData[];
  readonly releaseVariants?: readonly ReleaseVariant[];
  readonly source: readonly SourceReference[];
  readonly confidence: string;
  readonly completeness: 'complete' | 'partial' | 'name only' | 'not found';
}

export interface CatalogData {
  readonly sources: Readonly<
    Record<
      string,
      { readonly what: string; readonly url: string | null; readonly licence: string | null }
    >
  >;
  readonly records: readonly RecordData[];
}

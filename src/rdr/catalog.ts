/**
 * Catalogue: the 49 known record types, their fields, and the table and columns each one gets.
 *
 * WHY         The stream describes the types of its fields but not their names. Names, units and
 *             tables come from here; types on the wire never do.
 * COLUMNS     A field's column kind is fixed, so that the schema of a table never depends on what
 *             was received: integers -> int, STRING -> text, FLOAT -> float. Where the type is
 *             unknown, UNKNOWN_TEXT below decides from evidence. A value that does not fit goes to
 *             `extra`.
 * VARIANTS    Fields that some releases append are columns as well, behind the others.
 */
import { CATALOG_DATA } from './catalog-data.ts';
import type { FieldData, RecordData } from './catalog-entry.ts';

export type ColumnKind = 'int' | 'text' | 'float';

/** One field of a record type: its data, and its column. */
export interface CatalogField extends FieldData {
  /** Position on the wire, from 0. */
  readonly index: number;
  /** Column name: the Cisco name in lower case. */
  readonly column: string;
  readonly kind: ColumnKind;
  /** The release that appends it; null for a field that every release sends. */
  readonly release: string | null;
}

/** One record type. `fields` includes what later releases append behind `baseFieldCount`. */
export interface CatalogEntry extends Omit<RecordData, 'fields'> {
  readonly fields: readonly CatalogField[];
  readonly baseFieldCount: number;
  /** Table name; null for a type that has no tag or no known fields, and so cannot be decoded. */
  readonly tableName: string | null;
}

/**
 * Kinds of fields whose type no source tells. Integers unless a reason for text is known: nearly
 * all are counters, ids or enumerations, and their like-named elders are integers.
 */
const UNKNOWN_TEXT: ReadonlySet<string> = new Set([
  // Third and fourth extra field of Transaction Usage print as empty text; Transaction has three.
  'UNKNOWN_28',
  'UNKNOWN_29',
  // A guess: most naturally a text like 640x480.
  'RESOLUTION',
]);

function columnKind(field: FieldData): ColumnKind {
  switch (field.type) {
    case 'STRING':
      return 'text';
    case 'FLOAT':
      return 'float';
    case 'UNKNOWN':
      return UNKNOWN_TEXT.has(field.name) ? 'text' : 'int';
    default:
      return 'int';
  }
}

/** `TRANSACTION_USAGE_RDR` -> `transaction_usage`, `QUOTA_BREACH_RDR_V2` -> `quota_breach_v2`. */
function makeTableName(record: RecordData): string | null {
  if (record.tag === null || record.fields.length === 0) return null;
  return record.name.replace('_RDR', '').toLowerCase();
}

function makeField(field: FieldData, index: number, release: string | null): CatalogField {
  return Object.freeze({
    ...field,
    index,
    column: field.name.toLowerCase(),
    kind: columnKind(field),
    release,
  });
}

function makeEntry(record: RecordData): CatalogEntry {
  const fields = record.fields.map((field, index) => makeField(field, index, null));
  for (const variant of record.releaseVariants ?? []) {
    for (const field of variant.appendFields) {
      fields.push(makeField(field, fields.length, variant.release));
    }
  }
  return Object.freeze({
    ...record,
    fields: Object.freeze(fields),
    baseFieldCount: record.fields.length,
    tableName: makeTableName(record),
  });
}

/** All 49 known record types, in the order of the catalogue. */
export const CATALOG: readonly CatalogEntry[] = Object.freeze(CATALOG_DATA.records.map(makeEntry));

/** What each source key stands for. */
export const CATALOG_SOURCES: typeof CATALOG_DATA.sources = CATALOG_DATA.sources;

/** The record types that get a table: those with a tag and known fields (33). */
export const TABLES: readonly CatalogEntry[] = Object.freeze(
  CATALOG.filter((entry) => entry.tableName !== null),
);

const BY_TAG: ReadonlyMap<number, CatalogEntry> = new Map(
  CATALOG.flatMap((entry) => (entry.tag === null ? [] : [[entry.tag, entry] as const])),
);

const BY_NAME: ReadonlyMap<string, CatalogEntry> = new Map(
  CATALOG.flatMap((entry) =>
    [entry.name, entry.name.replace('_RDR', ''), entry.tableName ?? '', ...entry.aliases]
      .filter((name) => name !== '')
      .map((name) => [name.toLowerCase(), entry] as const),
  ),
);

/** The record type of a tag (unsigned 32 bit), or undefined. */
export function recordByTag(tag: number): CatalogEntry | undefined {
  return BY_TAG.get(tag);
}

/** By Cisco name, table name or alias (`TUR`), in any case; or by tag in hex or decimal. */
export function recordByName(text: string): CatalogEntry | undefined {
  const byName = BY_NAME.get(text.toLowerCase());
  if (byName !== undefined) return byName;
  return /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? BY_TAG.get(Number(text)) : undefined;
}

/** The entry's table name, or null when it cannot have one. */
export function tableNameOf(entry: CatalogEntry): string | null {
  return entry.tableName;
}

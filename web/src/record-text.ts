/**
 * Record text: a record of a search as people read it.
 */

/** What /api/v1/records answers of one. */
export interface SearchedRecord {
  readonly tag: string;
  /** Null: a tag that is in no catalogue. */
  readonly name: string | null;
  readonly position: number;
  readonly ordinal: number;
  readonly arrival: string;
  readonly exporter: string;
  readonly connection: number;
  readonly header: Readonly<Record<string, number>>;
  readonly fields?: Readonly<Record<string, number | string>>;
  /** What has no name: index, type, value. */
  readonly extra?: readonly (readonly [number, number, number | string])[];
  /** Why it has no fields, and all its bytes in hex. */
  readonly malformed?: string;
  readonly bytes?: string;
}

type Pair = readonly [name: string, value: string];

const SHORT_PAIRS = 12;
const SHORT_VALUE_LENGTH = 60;
const BYTES_SHOWN = 120;

/** TRANSACTION_USAGE_RDR -> TRANSACTION_USAGE, as a filter takes it, too. */
export function recordName({ name, tag }: SearchedRecord): string {
  return name === null ? tag : name.replace(/_RDR$/, '');
}

/** One line: the fields that the filter names first, then the others in order, but empty ones. */
export function shortText(record: SearchedRecord, filter: string): string {
  if (record.malformed !== undefined) {
    return `malformed: ${record.malformed}  ${record.bytes?.slice(0, BYTES_SHOWN) ?? ''}`;
  }
  const asked = new Set(filter.toLowerCase().match(/\w+/g) ?? []);
  const pairs = Object.entries(record.fields ?? {}).filter(([, value]) => value !== '');
  const isAsked = ([name]: readonly [string, unknown]): boolean => asked.has(name);
  const ordered = [...pairs.filter(isAsked), ...pairs.filter((pair) => !isAsked(pair))];
  return ordered
    .slice(0, SHORT_PAIRS)
    .map(([name, value]) => `${name} ${valueText(name, value).slice(0, SHORT_VALUE_LENGTH)}`)
    .join('  ·  ');
}

/** Everything there is. */
export function fieldPairs(record: SearchedRecord): Pair[] {
  const { tag, position, ordinal, arrival, connection, header } = record;
  const fields = Object.entries(record.fields ?? {});
  const extra = record.extra ?? [];
  const malformed = record.malformed === undefined ? [] : [['malformed', record.malformed] as Pair];
  const bytes = record.bytes === undefined ? [] : [['bytes', record.bytes] as Pair];
  return [
    ...malformed,
    ...fields.map(([name, value]): Pair => [name, valueText(name, value)]),
    ...extra.map(([index, type, value]): Pair => [`field ${index}, type ${type}`, String(value)]),
    ...bytes,
    ['tag', tag],
    ['arrival', arrival],
    ['journal position', String(position)],
    ['record of the journal', String(ordinal)],
    ['connection', String(connection)],
    ...Object.entries(header).map(([name, value]): Pair => [`header_${name}`, String(value)]),
  ];
}

/** Addresses come as numbers; a filter takes both. */
function valueText(name: string, value: number | string): string {
  if (typeof value === 'string' || !/(^|_)ip$/.test(name)) return String(value);
  const bits = value >>> 0;
  return [bits >>> 24, (bits >>> 16) & 255, (bits >>> 8) & 255, bits & 255].join('.');
}

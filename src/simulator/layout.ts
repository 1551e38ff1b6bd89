/**
 * Layouts: the fields of each record type as flat arrays that the record writer runs through.
 *
 * WHY       Names and catalogue objects are resolved once; per record only small numbers are read.
 * LAYOUT    per field i: types[i] wire type, modes[i] where the value comes from, args[i] its slot,
 *           constant, bound or text kind. The first `baseCount` fields are sent by every release,
 *           the others (`types.length` in all) by some.
 */
import { type CatalogEntry, FIELD_TYPE, TABLES } from '../rdr/index.ts';
import { assert } from '../toolkit/base/assert.ts';
import { type FieldSource, fieldSource } from './field-sources.ts';

export const MODE_SLOT = 0;
export const MODE_CONSTANT = 1;
export const MODE_BELOW = 2;
export const MODE_TEXT = 3;

export interface RecordLayout {
  readonly entry: CatalogEntry;
  /** Index into LAYOUTS and into every per-table array of the simulator. */
  readonly index: number;
  readonly tableName: string;
  readonly tag: number;
  readonly baseCount: number;
  readonly types: Uint8Array;
  readonly modes: Uint8Array;
  readonly args: Float64Array;
  /** True when the record describes no flow: addresses and ports of its header are zero. */
  readonly isPeriodic: boolean;
}

/** Fields that only some senders write although no release variant says so: the last one. */
const LAST_FIELD_OPTIONAL: ReadonlySet<string> = new Set(['dhcp', 'radius']);

function makeLayout(entry: CatalogEntry, index: number): RecordLayout {
  const count = entry.fields.length;
  const types = new Uint8Array(count);
  const modes = new Uint8Array(count);
  const args = new Float64Array(count);
  entry.fields.forEach((field, i) => {
    const source = fieldSource(field.name);
    assert(source !== undefined, 'every catalogued field has a source in field-sources.ts');
    const declared = 'text' in source ? undefined : source.type;
    const name = field.type === 'UNKNOWN' ? (declared ?? 'STRING') : field.type;
    types[i] = FIELD_TYPE[name];
    [modes[i], args[i]] = modeOf(source);
    const isText = types[i] === FIELD_TYPE.STRING;
    assert(isText === (modes[i] === MODE_TEXT), 'text goes to STRING fields and only there');
    assert(isText === (field.kind === 'text'), 'what is sent fits the column of the field');
  });
  const tableName = entry.tableName ?? '';
  return {
    entry,
    index,
    tableName,
    tag: entry.tag ?? 0,
    baseCount: LAST_FIELD_OPTIONAL.has(tableName) ? count - 1 : entry.baseFieldCount,
    types,
    modes,
    args,
    isPeriodic: entry.periodic,
  };
}

function modeOf(source: FieldSource): [number, number] {
  if ('slot' in source) return [MODE_SLOT, source.slot];
  if ('constant' in source) return [MODE_CONSTANT, source.constant];
  if ('below' in source) return [MODE_BELOW, source.below];
  return [MODE_TEXT, source.text];
}

/** One layout for each record type that has a table (33), in the order of the catalogue. */
export const LAYOUTS: readonly RecordLayout[] = Object.freeze(TABLES.map(makeLayout));

/** Table name -> index into LAYOUTS. */
export const LAYOUT_INDEX: ReadonlyMap<string, number> = new Map(
  LAYOUTS.map((layout) => [layout.tableName, layout.index]),
);

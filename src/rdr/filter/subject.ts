/**
 * Subjects: the names that a filter may compare, and where their values stand.
 *
 * NAMES    The columns of the store: fields by Cisco's names in lower case, the items of the
 *          frame's header as header_*. A name stands for the same-named field of every record type,
 *          at another place in each.
 */
import { TABLES } from '../catalog.ts';
import {
  DESTINATION_IP_SAMPLE_OFFSET,
  DESTINATION_PORT_OFFSET,
  FIELD_COUNT_OFFSET,
  FIELD_TYPE,
  FLOW_CONTEXT_ID_OFFSET,
  LENGTH_OFFSET,
  PROCESSOR_ID_OFFSET,
  SOURCE_IP_SAMPLE_OFFSET,
  SOURCE_PORT_OFFSET,
  TAG_OFFSET,
} from '../constants.ts';

/** An item of the header: unsigned, big endian. `header_length` is not read but computed. */
export interface HeaderItem {
  readonly offset: number;
  readonly bytes: 1 | 2 | 4;
}

export const HEADER_ITEMS: ReadonlyMap<string, HeaderItem> = new Map<string, HeaderItem>([
  ['header_processor_id', { offset: PROCESSOR_ID_OFFSET, bytes: 1 }],
  ['header_length', { offset: LENGTH_OFFSET, bytes: 4 }],
  ['header_source_ip_sample', { offset: SOURCE_IP_SAMPLE_OFFSET, bytes: 1 }],
  ['header_destination_ip_sample', { offset: DESTINATION_IP_SAMPLE_OFFSET, bytes: 1 }],
  ['header_source_port', { offset: SOURCE_PORT_OFFSET, bytes: 2 }],
  ['header_destination_port', { offset: DESTINATION_PORT_OFFSET, bytes: 2 }],
  ['header_flow_context_id', { offset: FLOW_CONTEXT_ID_OFFSET, bytes: 4 }],
  ['header_tag', { offset: TAG_OFFSET, bytes: 4 }],
  ['header_field_count', { offset: FIELD_COUNT_OFFSET, bytes: 1 }],
]);

/** Where a field stands in one record type. */
export interface FieldPlace {
  readonly tag: number;
  /** From 0. */
  readonly index: number;
  /** Type byte that the catalogue expects; 0: unknown. A guess that makes reading faster, only. */
  readonly type: number;
}

type Places = ReadonlyMap<number, FieldPlace>;

function makePlaces(): ReadonlyMap<string, Places> {
  const places = new Map<string, Map<number, FieldPlace>>();
  for (const entry of TABLES) {
    for (const field of entry.fields) {
      const byTag = places.get(field.column) ?? new Map<number, FieldPlace>();
      const type = field.type === 'UNKNOWN' ? 0 : FIELD_TYPE[field.type];
      byTag.set(entry.tag!, { tag: entry.tag!, index: field.index, type });
      places.set(field.column, byTag);
    }
  }
  return places;
}

/** Field name -> the record types that have it, by tag. */
export const FIELD_PLACES: ReadonlyMap<string, Places> = makePlaces();

/** Where the field stands; none for a name that is no field's. */
export function fieldPlaces(name: string): readonly FieldPlace[] {
  return [...(FIELD_PLACES.get(name)?.values() ?? [])];
}

/** Columns of the store that are no part of the record itself: a filter does not see them. */
export const OUTSIDE_NAMES: readonly string[] = ['arrival_time', 'connection_id', 'record_ordinal'];

const OTHER_SUBJECTS = ['tag', 'exporter', 'category'];

/** Every name that may stand on the left of an operator. */
export function subjectNames(): string[] {
  return [...OTHER_SUBJECTS, ...HEADER_ITEMS.keys(), ...FIELD_PLACES.keys()];
}

export function isSubject(name: string): boolean {
  return OTHER_SUBJECTS.includes(name) || HEADER_ITEMS.has(name) || FIELD_PLACES.has(name);
}

/** What all catalogue entries say that the field holds; null when one does not know. */
export function fieldHolds(name: string): 'text' | 'number' | null {
  const types = fieldPlaces(name).map((place) => place.type);
  if (types.length === 0 || types.includes(0)) return null;
  if (types.every((type) => type === FIELD_TYPE.STRING)) return 'text';
  return types.includes(FIELD_TYPE.STRING) ? null : 'number';
}

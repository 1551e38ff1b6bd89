/**
 * Field finder: where the value of one field stands in a record, whatever its type and tag.
 *
 * WHY      Load-balancing hashes the bytes of a field (`subscriber_id`), and needs neither their
 *          meaning nor a filter.
 */
import { FIELD_COUNT_OFFSET, FIELD_HEADER_BYTES, HEADER_BYTES, TAG_OFFSET } from '../constants.ts';
import { fieldAt } from './field-walk.ts';
import { FilterError, quoted } from './filter-error.ts';
import { suggestion } from './near-names.ts';
import { FIELD_PLACES, fieldPlaces } from './subject.ts';

/**
 * Offset of the field's value, or -1 where the record does not have it (another tag, too few
 * fields, damage in front of it). The value's bytes are `fieldBytesAt(view, offset)`. The arguments
 * are those of RecordPredicate.
 */
export type FieldFinder = (
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  length: number,
) => number;

/** Bytes of the value at `at`, as a FieldFinder found it. */
export function fieldBytesAt(view: DataView, at: number): number {
  return view.getInt32(at - FIELD_HEADER_BYTES + 1);
}

/** The finder of a field by its lower_snake name. Throws MR_FILTER when there is none. */
export function makeFieldFinder(name: string): FieldFinder {
  const places = fieldPlaces(name);
  if (places.length === 0) {
    const all = 'docs/reference/rdrv1.md lists the fields of each record type';
    const remedy = suggestion(name, FIELD_PLACES.keys(), all);
    throw new FilterError(name, 0, `no field is called ${quoted(name)}`, remedy);
  }
  const tags = Int32Array.from(places, (place) => place.tag);
  const indexes = Int32Array.from(places, (place) => place.index);
  return (bytes, view, offset, length) => {
    const tag = view.getInt32(offset + TAG_OFFSET);
    for (let i = 0; i < tags.length; i++) {
      if (tags[i] !== tag) continue;
      const index = indexes[i]!;
      if (index >= bytes[offset + FIELD_COUNT_OFFSET]!) return -1;
      const at = fieldAt(bytes, view, offset + HEADER_BYTES, offset + length, index);
      return at < 0 ? -1 : at + FIELD_HEADER_BYTES;
    }
    return -1;
  };
}

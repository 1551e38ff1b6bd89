/**
 * RDRv1, the record format of the Cisco SCE: pure functions on bytes. The door `millrace/rdr`.
 *
 * No I/O and no Node module is used here: it runs wherever typed arrays do.
 */
export { findAnchor } from './anchor.ts';
export {
  CATALOG,
  CATALOG_SOURCES,
  type CatalogEntry,
  type CatalogField,
  type ColumnKind,
  recordByName,
  recordByTag,
  TABLES,
  tableNameOf,
} from './catalog.ts';
export type { ReleaseVariant, SourceReference, TypeSource } from './catalog-entry.ts';
export {
  COLUMN_ROWS,
  type Column,
  type FloatColumn,
  type HeaderColumns,
  type IntColumn,
  RecordColumns,
  TEXT_FLAG,
  TEXT_HEAP_BYTES_MAX,
  TextColumn,
} from './columns.ts';
export * from './constants.ts';
export {
  type DecodeCounts,
  type DecoderOptions,
  type DecodeSink,
  LAYOUTS_MAX,
  RecordDecoder,
} from './decoder.ts';
export { type FrameHeader, makeFrameHeader, RecordEncoder } from './encoder.ts';
export { integerAt, isIntegerType } from './extra.ts';
export {
  MALFORMED,
  MALFORMED_NAMES,
  type MalformedReason,
  WELL_FORMED,
  walkFields,
} from './field.ts';
export {
  FILTER_CODE_MAX,
  FILTER_DEPTH_MAX,
  FILTER_LITERAL_BYTES_MAX,
  FILTER_PATTERN_BYTES_MAX,
  FILTER_PATTERNS_BYTES_MAX,
  FILTER_TERMS_MAX,
  FILTER_TEXT_MAX,
  type Filter,
  type FilterCompare,
  type FilterContext,
  type FilterNode,
  type FilterOperator,
  type FilterValue,
  type RecordPredicate,
} from './filter/ast.ts';
export { categoriesAsTags } from './filter/categories.ts';
export { checkFilter, compileFilter, filterSource } from './filter/compile.ts';
export { type FieldFinder, fieldBytesAt, makeFieldFinder } from './filter/field-finder.ts';
export { FilterError } from './filter/filter-error.ts';
export { interpretFilter } from './filter/interpret.ts';
export { nearNames } from './filter/near-names.ts';
export { parseFilter } from './filter/parser.ts';
export { formatFilter } from './filter/print.ts';
export { RECORD_RUN_STRIDE, RecordRuns, selectRuns } from './filter/record-runs.ts';
export { nearTagNames, tagByName, tagNames, tagText } from './filter/tag-names.ts';
export { filterWarnings } from './filter/warnings.ts';
export { BAD_PREFIX, frameLength } from './frame.ts';
export { type OnRecords, RawFramer } from './raw-framer.ts';
export {
  type RdrField,
  type RdrHeader,
  type RdrItem,
  type RdrLoss,
  type RdrMalformed,
  RdrReader,
  type RdrRecord,
  readHeader,
  readRecord,
} from './reader.ts';
export { decodeText, encodeText } from './text.ts';

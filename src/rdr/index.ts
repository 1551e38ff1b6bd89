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

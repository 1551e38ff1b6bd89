/**
 * A Transaction Usage record with a subscriber id of one's choice and so many bytes that it leads
 * every top.
 */
import {
  type CatalogEntry,
  makeFrameHeader,
  RecordEncoder,
  recordByTag,
  tableNameOf,
} from '../../src/rdr/index.ts';

const TRANSACTION_USAGE_TAG = 0xf0f0f438;
const RECORD_BYTES_MAX = 10_004;

/** `count` records of 2 x `volumeBytes` each. */
export function transactionUsage(subscriberId: string, volumeBytes: number, count: number) {
  const bytes = new Uint8Array(count * 1_000 + RECORD_BYTES_MAX);
  const encoder = new RecordEncoder(bytes);
  const entry = recordByTag(TRANSACTION_USAGE_TAG);
  if (entry === null || entry === undefined || tableNameOf(entry) !== 'transaction_usage') {
    throw new Error('the catalogue has no Transaction Usage');
  }
  for (let i = 0; i < count; i += 1) writeRecord(encoder, entry, subscriberId, volumeBytes);
  return bytes.subarray(0, encoder.offset);
}

function writeRecord(
  encoder: RecordEncoder,
  entry: CatalogEntry,
  subscriberId: string,
  volumeBytes: number,
): void {
  encoder.begin(makeFrameHeader(TRANSACTION_USAGE_TAG));
  for (const { name, type } of entry.fields) {
    // Undocumented fields at the end, which only some releases send.
    if (type === 'UNKNOWN') break;
    const isVolume = name === 'SESSION_UPSTREAM_VOLUME' || name === 'SESSION_DOWNSTREAM_VOLUME';
    const value = isVolume ? volumeBytes : name === 'SERVICE_ID' ? 16 : 1;
    if (type === 'STRING') encoder.string(name === 'SUBSCRIBER_ID' ? subscriberId : 'x');
    else if (type === 'INT8') encoder.int8(value);
    else if (type === 'INT16') encoder.int16(value);
    else if (type === 'INT32') encoder.int32(value);
    else if (type === 'UINT8') encoder.uint8(value);
    else if (type === 'UINT16') encoder.uint16(value);
    else if (type === 'UINT32') encoder.uint32(value);
    else throw new Error(`field ${name} has type ${type}`);
  }
  encoder.end();
}

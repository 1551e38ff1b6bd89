/**
 * Journal format: the bytes of a segment file, written and read here and nowhere else.
 *
 * WHY         The journal is the backbone: the store, forwarders and tools read these bytes from
 *             the arena's pages, from segment files of a running server and from files of a dead
 *             one.
 * LAYOUT      A segment is `<20-digit position>.seg`: one segment head, then blocks back to back,
 *             no padding, then end of file. Little endian. Position = bytes from the start of the
 *             endless log; the file name is the position of the file's first byte, so
 *             offset in file = position - file name.
 *
 *   segment head, 128 bytes                     block header, 128 bytes
 *   0    8  magic "MILLRACE"                    0    4  magic "MRB1"
 *   8    4  format version (1)                  4    4  CRC-32 of bytes 8..127
 *   12   4  checksum kind (1 = CRC-32, zlib)    8    8  position of this header
 *   16  16  journal UUID                        16   8  first-record ordinal (journal's life)
 *   32   8  position of this head               24   8  connection id (unique across restarts)
 *   40   8  first ordinal at creation           32   8  connection ordinal of the first record
 *   48   8  creation time, us since 1970        40  16  exporter address, IPv6 or ::ffff:a.b.c.d
 *   56   8  first connection id at creation     56   8  arrival time, us since 1970
 *   64   8  first block ordinal at creation     64   4  record count
 *   72  52  zero                                68   4  payload bytes (whole records only)
 *   124  4  CRC-32 of bytes 0..123              72   4  CRC-32 of the payload
 *                                               76   2  listener port
 *                                               78   2  exporter port
 *                                               80   8  zero (benchmarks: 80 4 stamp, us)
 *                                               88   8  block ordinal (journal's life)
 *                                               96  32  zero
 *
 * VALIDITY    A block is valid when 1. its magic and header checksum hold, 2. its position equals
 *             the place where it stands, 3. the payload lies inside the file, 4. the payload
 *             checksum holds. A reader that finds 1-3 but not 4 skips the block by its length; one
 *             that does not find 1-3 scans forward, byte by byte, for the next place where 1-3
 *             hold.
 * INVARIANTS  1. Positions and ordinals grow along the log and are never reused. Between segments
 *             there may be a gap of positions; it holds no records.
 *             2. Block ordinals go by one from block to block, over segments and restarts; a block
 *             that could not be appended has none. A step is damage. They say whose turn a block
 *             is, so that nobody has to have counted the blocks before it.
 * OLDER       Blocks and heads written before block ordinals have 0 there; the first one behind
 *             them has 1.
 * REFUSED     Padding of blocks to 512 or 4096 bytes (no reader needs it, small blocks would double
 *             the volume); a checksum per record (dearer than the framing itself); CRC-32C
 *             (node:zlib has the plain CRC-32 with SIMD, and a user can check it with any tool).
 */
import { crc32 } from 'node:zlib';
import { assert } from '../../toolkit/base/assert.ts';
import { BLOCK_HEADER_BYTES } from '../../toolkit/base/limits.ts';

export const FORMAT_VERSION = 1;
export const CHECKSUM_CRC32 = 1;
export const SEGMENT_HEAD_BYTES = 128;
export const SEGMENT_SUFFIX = '.seg';
export { BLOCK_HEADER_BYTES };

/** "MRB1" read as a little-endian u32. */
export const BLOCK_MAGIC = 0x3142524d;
const SEGMENT_MAGIC = 'MILLRACE';

const MAGIC_OFFSET = 0;
const HEADER_CRC_OFFSET = 4;
const POSITION_OFFSET = 8;
const ORDINAL_OFFSET = 16;
const CONNECTION_ID_OFFSET = 24;
const CONNECTION_ORDINAL_OFFSET = 32;
const EXPORTER_OFFSET = 40;
const EXPORTER_LENGTH = 16;
const ARRIVAL_OFFSET = 56;
const RECORD_COUNT_OFFSET = 64;
const PAYLOAD_LENGTH_OFFSET = 68;
const PAYLOAD_CRC_OFFSET = 72;
const LISTENER_PORT_OFFSET = 76;
const EXPORTER_PORT_OFFSET = 78;
const RESERVED_OFFSET = 80;
const STAMP_OFFSET = RESERVED_OFFSET;
const BLOCK_ORDINAL_OFFSET = 88;

const TWO_32 = 4294967296;

/** A block header in memory. One mutable object is reused per reader; no object per block. */
export interface BlockHeader {
  /** Byte offset of the header in the endless log. */
  position: number;
  /** Ordinal of the first record, counted over the journal's life, from 0. */
  firstOrdinal: number;
  connectionId: number;
  /** Ordinal of the first record within its connection, from 0. */
  connectionOrdinal: number;
  /** 16 bytes, IPv6; IPv4 as ::ffff:a.b.c.d. */
  readonly exporter: Uint8Array;
  /** Microseconds since 1970-01-01 UTC when the block was committed. */
  arrivalUs: number;
  recordCount: number;
  payloadLength: number;
  payloadCrc: number;
  listenerPort: number;
  exporterPort: number;
  /** Ordinal of the block, counted over the journal's life, from 0. */
  blockOrdinal: number;
}

export interface SegmentHead {
  readonly uuid: Uint8Array;
  readonly position: number;
  readonly firstOrdinal: number;
  readonly createdUs: number;
  readonly firstConnectionId: number;
  readonly firstBlockOrdinal: number;
}

export function makeBlockHeader(): BlockHeader {
  return {
    position: 0,
    firstOrdinal: 0,
    connectionId: 0,
    connectionOrdinal: 0,
    exporter: new Uint8Array(EXPORTER_LENGTH),
    arrivalUs: 0,
    recordCount: 0,
    payloadLength: 0,
    payloadCrc: 0,
    listenerPort: 0,
    exporterPort: 0,
    blockOrdinal: 0,
  };
}

function setU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true);
  view.setUint32(offset + 4, Math.floor(value / TWO_32), true);
}

function getU64(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * TWO_32 + view.getUint32(offset, true);
}

/** Writes what a collector knows of a block; `sealBlockHeader` completes it. */
export function writeBlockFields(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  header: BlockHeader,
): void {
  view.setUint32(offset + MAGIC_OFFSET, BLOCK_MAGIC, true);
  setU64(view, offset + CONNECTION_ID_OFFSET, header.connectionId);
  setU64(view, offset + CONNECTION_ORDINAL_OFFSET, header.connectionOrdinal);
  bytes.set(header.exporter, offset + EXPORTER_OFFSET);
  setU64(view, offset + ARRIVAL_OFFSET, header.arrivalUs);
  view.setUint32(offset + RECORD_COUNT_OFFSET, header.recordCount, true);
  view.setUint32(offset + PAYLOAD_LENGTH_OFFSET, header.payloadLength, true);
  view.setUint16(offset + LISTENER_PORT_OFFSET, header.listenerPort, true);
  view.setUint16(offset + EXPORTER_PORT_OFFSET, header.exporterPort, true);
  bytes.fill(0, offset + RESERVED_OFFSET, offset + BLOCK_HEADER_BYTES);
}

/**
 * Adds what the journal knows, and the checksum of the header, over the fields that stand there.
 */
export function sealBlockHeader(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  position: number,
  firstOrdinal: number,
  blockOrdinal: number,
  payloadCrc: number,
): void {
  setU64(view, offset + POSITION_OFFSET, position);
  setU64(view, offset + ORDINAL_OFFSET, firstOrdinal);
  setU64(view, offset + BLOCK_ORDINAL_OFFSET, blockOrdinal);
  view.setUint32(offset + PAYLOAD_CRC_OFFSET, payloadCrc, true);
  const crc = crc32(bytes.subarray(offset + POSITION_OFFSET, offset + BLOCK_HEADER_BYTES));
  view.setUint32(offset + HEADER_CRC_OFFSET, crc, true);
}

/**
 * Writes a whole header at `offset`; `bytes` and `view` are over the same memory, from its start.
 */
export function writeBlockHeader(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  header: BlockHeader,
): void {
  writeBlockFields(bytes, view, offset, header);
  const { position, firstOrdinal, blockOrdinal, payloadCrc } = header;
  sealBlockHeader(bytes, view, offset, position, firstOrdinal, blockOrdinal, payloadCrc);
}

/**
 * Reads the 128 bytes at `offset` into `into`. False when magic or header checksum do not hold;
 * the caller checks position, bounds and payload (VALIDITY 2-4).
 */
export function readBlockHeader(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  into: BlockHeader,
): boolean {
  if (view.getUint32(offset + MAGIC_OFFSET, true) !== BLOCK_MAGIC) return false;
  const crc = crc32(bytes.subarray(offset + POSITION_OFFSET, offset + BLOCK_HEADER_BYTES));
  if (view.getUint32(offset + HEADER_CRC_OFFSET, true) !== crc) return false;
  readBlockFields(bytes, view, offset, into);
  return true;
}

/** `stages: latency` only: when the block was committed, low 32 bits of monotonicUs(). */
export function writeStamp(view: DataView, offset: number, stampUs: number): void {
  view.setUint32(offset + STAMP_OFFSET, stampUs >>> 0, true);
}

export function readStamp(view: DataView, offset: number): number {
  return view.getUint32(offset + STAMP_OFFSET, true);
}

/** Reads the fields without checking anything: for a header in a page of our own. */
export function readBlockFields(
  bytes: Uint8Array,
  view: DataView,
  offset: number,
  into: BlockHeader,
): void {
  into.position = getU64(view, offset + POSITION_OFFSET);
  into.firstOrdinal = getU64(view, offset + ORDINAL_OFFSET);
  into.connectionId = getU64(view, offset + CONNECTION_ID_OFFSET);
  into.connectionOrdinal = getU64(view, offset + CONNECTION_ORDINAL_OFFSET);
  for (let i = 0; i < EXPORTER_LENGTH; i++) into.exporter[i] = bytes[offset + EXPORTER_OFFSET + i]!;
  into.arrivalUs = getU64(view, offset + ARRIVAL_OFFSET);
  into.recordCount = view.getUint32(offset + RECORD_COUNT_OFFSET, true);
  into.payloadLength = view.getUint32(offset + PAYLOAD_LENGTH_OFFSET, true);
  into.payloadCrc = view.getUint32(offset + PAYLOAD_CRC_OFFSET, true);
  into.listenerPort = view.getUint16(offset + LISTENER_PORT_OFFSET, true);
  into.exporterPort = view.getUint16(offset + EXPORTER_PORT_OFFSET, true);
  into.blockOrdinal = getU64(view, offset + BLOCK_ORDINAL_OFFSET);
}

/** Writes a segment head into the first 128 bytes of `bytes`. */
export function writeSegmentHead(bytes: Uint8Array, head: SegmentHead): void {
  assert(bytes.length >= SEGMENT_HEAD_BYTES, 'room for a segment head');
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEAD_BYTES);
  bytes.fill(0, 0, SEGMENT_HEAD_BYTES);
  for (let i = 0; i < SEGMENT_MAGIC.length; i++) bytes[i] = SEGMENT_MAGIC.charCodeAt(i);
  view.setUint32(8, FORMAT_VERSION, true);
  view.setUint32(12, CHECKSUM_CRC32, true);
  bytes.set(head.uuid, 16);
  setU64(view, 32, head.position);
  setU64(view, 40, head.firstOrdinal);
  setU64(view, 48, head.createdUs);
  setU64(view, 56, head.firstConnectionId);
  setU64(view, 64, head.firstBlockOrdinal);
  view.setUint32(124, crc32(bytes.subarray(0, 124)), true);
}

/** The head of a segment, or null when these bytes are not one of this version. */
export function readSegmentHead(bytes: Uint8Array): SegmentHead | null {
  if (bytes.length < SEGMENT_HEAD_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEAD_BYTES);
  for (let i = 0; i < SEGMENT_MAGIC.length; i++) {
    if (bytes[i] !== SEGMENT_MAGIC.charCodeAt(i)) return null;
  }
  if (view.getUint32(8, true) !== FORMAT_VERSION) return null;
  if (view.getUint32(12, true) !== CHECKSUM_CRC32) return null;
  if (view.getUint32(124, true) !== crc32(bytes.subarray(0, 124))) return null;
  return {
    uuid: bytes.slice(16, 32),
    position: getU64(view, 32),
    firstOrdinal: getU64(view, 40),
    createdUs: getU64(view, 48),
    firstConnectionId: getU64(view, 56),
    firstBlockOrdinal: getU64(view, 64),
  };
}

/** `00000000000000000128.seg`: 20 digits, so that names sort as positions do. */
export function segmentName(position: number): string {
  return `${String(position).padStart(20, '0')}${SEGMENT_SUFFIX}`;
}

/** The position in a segment's file name, or -1 when the name is not one. */
export function segmentPosition(name: string): number {
  return /^\d{20}\.seg$/.test(name) ? Number(name.slice(0, 20)) : -1;
}

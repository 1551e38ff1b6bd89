/**
 * Parquet merge: many files of one table into one, byte for byte, without decoding a row.
 *
 * WHY         Merging an hour by reading and writing rows costs DuckDB 2 us a record, more than
 *             storing them did. Row groups do not know where they lie, but for offsets in the
 *             footer: copying them and adding a number to the offsets costs what copying the bytes
 *             costs.
 * LAYOUT      "PAR1", the row groups of input 1, of input 2, ..., one footer, its length, "PAR1".
 *             Offsets that are moved: ColumnMetaData 9, 10, 11 (pages) and 14 (bloom filter),
 *             ColumnChunk 2, 4, 6 (chunk, indexes), RowGroup 5. RowGroup 7 (ordinal) is numbered
 *             anew.
 * OWNERSHIP   Reads inputs, writes one new file; the caller fsyncs, renames and commits.
 * INVARIANTS  All inputs have the same columns in the same order with the same types; else it
 *             throws.
 * REFUSED     Merging plain files and small row groups this way (they cost a reader more than their
 *             rows): those are rewritten by DuckDB (merge.ts).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { footerBytes, PARQUET_MAGIC } from './parquet-footer.ts';
import {
  fieldOf,
  T_I64,
  T_LIST,
  type ThriftList,
  ThriftReader,
  type ThriftStruct,
  ThriftWriter,
} from './thrift-compact.ts';

const MAGIC_BYTES = PARQUET_MAGIC.length;
const TAIL_BYTES = 8;
const COPY_BYTES = 1024 * 1024;

const SCHEMA = 2;
const NUM_ROWS = 3;
const ROW_GROUPS = 4;
const GROUP_COLUMNS = 1;
const GROUP_FILE_OFFSET = 5;
const GROUP_ORDINAL = 7;
const CHUNK_META = 3;
const CHUNK_OFFSETS = [2, 4, 6] as const;
const META_OFFSETS = [9, 10, 11, 14] as const;

export interface ParquetFooter {
  readonly metadata: ThriftStruct;
  /** Where the footer begins: row groups lie in [4, dataEnd). */
  readonly dataEnd: number;
}

function notParquet(path: string, why: string): MillraceError {
  return new MillraceError(
    'MR_STORE_LOG',
    `${path} is not a whole Parquet file: ${why}`,
    'the file was changed by something else than Millrace; restore it from a backup',
  );
}

export async function readFooter(handle: FileHandle, path: string): Promise<ParquetFooter> {
  const { size } = await handle.stat();
  if (size < MAGIC_BYTES + TAIL_BYTES) throw notParquet(path, `it has ${size} bytes`);
  const tail = Buffer.alloc(TAIL_BYTES);
  await handle.read(tail, 0, TAIL_BYTES, size - TAIL_BYTES);
  const length = tail.readUInt32LE(0);
  const dataEnd = size - TAIL_BYTES - length;
  if (tail.toString('latin1', 4) !== PARQUET_MAGIC || dataEnd < MAGIC_BYTES) {
    throw notParquet(path, 'it has no footer');
  }
  const bytes = Buffer.alloc(length);
  await handle.read(bytes, 0, length, dataEnd);
  return { metadata: new ThriftReader(bytes).struct(), dataEnd };
}

function listOf(struct: ThriftStruct, id: number): ThriftList {
  return fieldOf(struct, id)!.value as ThriftList;
}

/** Name and physical type of each column, as one text to compare. */
function schemaKey(metadata: ThriftStruct): string {
  const writer = new ThriftWriter();
  const columns = (listOf(metadata, SCHEMA).items as ThriftStruct[]).slice(1);
  for (const element of columns) {
    writer.struct(element.filter(({ id }) => id === 1 || id === 3 || id === 4 || id === 6));
  }
  return Buffer.from(writer.bytes()).toString('latin1');
}

function move(struct: ThriftStruct, ids: readonly number[], delta: number): void {
  for (const id of ids) {
    const found = fieldOf(struct, id);
    if (found !== undefined && (found.value as number) > 0) {
      found.value = (found.value as number) + delta;
    }
  }
}

function moveRowGroup(group: ThriftStruct, delta: number, ordinal: number): void {
  move(group, [GROUP_FILE_OFFSET], delta);
  const number = fieldOf(group, GROUP_ORDINAL);
  if (number !== undefined) number.value = ordinal;
  for (const chunk of listOf(group, GROUP_COLUMNS).items as ThriftStruct[]) {
    move(chunk, CHUNK_OFFSETS, delta);
    move(fieldOf(chunk, CHUNK_META)!.value as ThriftStruct, META_OFFSETS, delta);
  }
}

async function copyRange(
  source: FileHandle,
  from: number,
  to: number,
  target: FileHandle,
  at: number,
  buffer: Buffer,
): Promise<void> {
  let write = at;
  for (let read = from; read < to; ) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, to - read), read);
    if (bytesRead === 0) throw new Error('a file became shorter while it was copied');
    await target.write(buffer, 0, bytesRead, write);
    read += bytesRead;
    write += bytesRead;
  }
}

/** Writes the merged file at `target`; its rows and row groups. At least one input. */
export async function mergeParquet(
  inputs: readonly string[],
  target: string,
): Promise<{ rows: number; groups: number }> {
  const buffer = Buffer.alloc(COPY_BYTES);
  const out = await open(target, 'w');
  try {
    await out.write(PARQUET_MAGIC, 0, 'latin1');
    let position = MAGIC_BYTES;
    let rows = 0;
    let merged: ThriftStruct | null = null;
    let key = '';
    const groups: ThriftStruct[] = [];
    for (const path of inputs) {
      const source = await open(path, 'r');
      try {
        const { metadata, dataEnd } = await readFooter(source, path);
        const ownKey = schemaKey(metadata);
        if (merged === null) {
          merged = metadata;
          key = ownKey;
        }
        if (ownKey !== key) throw notParquet(path, `its columns differ from those of ${inputs[0]}`);
        for (const group of listOf(metadata, ROW_GROUPS).items as ThriftStruct[]) {
          moveRowGroup(group, position - MAGIC_BYTES, groups.length);
          groups.push(group);
        }
        rows += fieldOf(metadata, NUM_ROWS)!.value as number;
        await copyRange(source, MAGIC_BYTES, dataEnd, out, position, buffer);
        position += dataEnd - MAGIC_BYTES;
      } finally {
        await source.close();
      }
    }
    const metadata = merged!.filter(({ id }) => id !== NUM_ROWS && id !== ROW_GROUPS);
    metadata.push({ id: NUM_ROWS, type: T_I64, value: rows });
    const elementType = listOf(merged!, ROW_GROUPS).elementType;
    metadata.push({ id: ROW_GROUPS, type: T_LIST, value: { elementType, items: groups } });
    metadata.sort((a, b) => a.id - b.id);
    const footer = footerBytes(metadata);
    await out.write(footer, 0, footer.length, position);
    await out.sync();
    return { rows, groups: groups.length };
  } finally {
    await out.close();
  }
}

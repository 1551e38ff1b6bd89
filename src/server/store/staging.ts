/**
 * Staging: rows on their way into DuckDB, table by table, until a flush writes them as Parquet.
 *
 * WHY         A native call per text value costs 0.2 us: five texts a record would double the price
 *             of storing. So 2,048 texts of a column enter as one heap (one call), and SQL cuts
 *             them apart: substring() on an ASCII heap is a copy.
 *             docs/decisions/0005-text-into-duckdb.md.
 * LAYOUT      Per table and generation g two DuckDB tables:
 *               r<g>_<table>  one row a record: integers as they lie in memory, per text column
 *                             s<i>, e<i> (start, end in the chunk's heap), ck (chunk number)
 *               h<g>_<table>  one row a chunk: ck, and per text column b<i>, the heap
 *             Text column 0 is the exporter, the last one is `extra`.
 * OWNERSHIP   One generation is filled while the one before is being written.
 * INVARIANTS  A heap is ASCII only (stored-text.ts), so that DuckDB's statistics choose the
 *             substring that copies; text in hex carries HEX_MARK in its end.
 * REFUSED     Dictionary tables (30 % and more of host and path are distinct; hashing costs more
 *             than copying); unnest(string_split()) (1.5 times the cost and a separator to escape);
 *             pointers in string_t (unsafe).
 */
import type { RecordColumns } from '../../rdr/index.ts';
import { assert } from '../../toolkit/base/assert.ts';
import {
  type Appender,
  Chunk,
  type DuckWriter,
  VECTOR_ROWS,
  type VectorType,
  vectorSqlType,
} from './duckdb.ts';
import type { RecordBatch } from './record-batch.ts';
import { AS_IT_IS_ASCII, ASCII_ONLY, HEX_MARK, type StoredText } from './stored-text.ts';
import { HEADER_COLUMNS, quoteName, type Table } from './tables.ts';
import type { EscapeCounts } from './text-escape.ts';

const HEADER_TYPES: readonly VectorType[] = [
  'uint8',
  'uint16',
  'uint8',
  'uint8',
  'uint16',
  'uint16',
  'uint32',
  'uint32',
  'uint8',
];

interface StagedColumn {
  readonly name: string;
  readonly type: VectorType;
}

/** The shape of a table's staging tables, made once. */
export class StagingShape {
  readonly table: Table;
  readonly rowColumns: readonly StagedColumn[];
  readonly heapColumns: readonly StagedColumn[];
  /** Store column -> its text index, for text columns. */
  readonly textIndexes: ReadonlyMap<string, number>;
  /** Data chunks, made at the first use and used by all generations, one after the other. */
  #chunks: { readonly rows: Chunk; readonly heap: Chunk } | null = null;

  constructor(table: Table, columns: RecordColumns) {
    this.table = table;
    const rows: StagedColumn[] = [
      { name: 'arrival_time', type: 'timestamp' },
      { name: 'connection_id', type: 'int64' },
      { name: 'record_ordinal', type: 'int64' },
    ];
    HEADER_COLUMNS.forEach((name, i) => {
      rows.push({ name, type: HEADER_TYPES[i]! });
    });
    const texts = new Map<string, number>([['exporter', 0]]);
    for (const column of columns.fields) {
      if (column.kind === 'text') texts.set(column.name, texts.size);
      else rows.push({ name: column.name, type: column.kind === 'int' ? 'int64' : 'double' });
    }
    texts.set('extra', texts.size);
    rows.push({ name: 'ck', type: 'uint32' });
    const heap: StagedColumn[] = [{ name: 'ck', type: 'uint32' }];
    for (const index of texts.values()) {
      rows.push({ name: `s${index}`, type: 'uint32' }, { name: `e${index}`, type: 'uint32' });
      heap.push({ name: `b${index}`, type: 'text' });
    }
    this.rowColumns = rows;
    this.heapColumns = heap;
    this.textIndexes = texts;
  }

  get chunks(): { readonly rows: Chunk; readonly heap: Chunk } {
    this.#chunks ??= {
      rows: new Chunk(this.rowColumns.map((c) => c.type)),
      heap: new Chunk(this.heapColumns.map((c) => c.type)),
    };
    return this.#chunks;
  }
}

function createSql(name: string, columns: readonly StagedColumn[]): string {
  const list = columns.map((c) => `${quoteName(c.name)} ${vectorSqlType(c.type)}`).join(', ');
  return `CREATE TABLE ${name} (${list})`;
}

/** One table in one generation: takes batches, then gives the SELECT of its rows. */
export class StagedTable {
  readonly shape: StagingShape;
  readonly rowsName: string;
  readonly heapName: string;
  rowCount = 0;
  readonly #rowChunk: Chunk;
  readonly #heapChunk: Chunk;
  #rows: Appender | null;
  #heap: Appender | null;
  #chunkCount = 0;
  readonly #hasHex: boolean[];
  readonly #chunkNumbers = new Uint32Array(VECTOR_ROWS);

  private constructor(duck: DuckWriter, shape: StagingShape, generation: number) {
    this.shape = shape;
    this.rowsName = `r${generation}_${shape.table.name}`;
    this.heapName = `h${generation}_${shape.table.name}`;
    this.#rowChunk = shape.chunks.rows;
    this.#heapChunk = shape.chunks.heap;
    this.#hasHex = shape.heapColumns.map(() => false);
    this.#rows = duck.appender(this.rowsName);
    this.#heap = duck.appender(this.heapName);
  }

  /** The statements that must have run before `open`. */
  static createSql(shape: StagingShape, generation: number): string {
    const rows = createSql(`r${generation}_${shape.table.name}`, shape.rowColumns);
    return `${rows}; ${createSql(`h${generation}_${shape.table.name}`, shape.heapColumns)}`;
  }

  static open(duck: DuckWriter, shape: StagingShape, generation: number): StagedTable {
    return new StagedTable(duck, shape, generation);
  }

  /** Appends all rows of the batch (at least one). */
  append(batch: RecordBatch, counts: EscapeCounts): void {
    const rows = batch.columns.rowCount;
    assert(rows > 0 && batch.originRows === rows, 'rows with an origin');
    const chunk = this.#rowChunk;
    const heap = this.#heapChunk;
    chunk.reset();
    heap.reset();
    let at = this.#appendNumbers(batch, rows);
    const numbers = this.#chunkNumbers.fill(this.#chunkCount, 0, rows);
    chunk.setValues(at++, numbers, rows);
    heap.setValues(0, numbers, 1);
    chunk.setValues(at++, batch.exporterStarts, rows);
    chunk.setValues(at++, batch.exporterEnds, rows);
    heap.setText(1, 0, batch.exporterBytes.subarray(0, batch.exporterLength));
    let textIndex = 1;
    batch.columns.fields.forEach((column, i) => {
      if (column.kind !== 'text') return;
      const text = batch.texts[i]!;
      text.prepare(column, rows, ASCII_ONLY, counts);
      this.#appendText(text, textIndex++, at, rows, column.nullCount > 0 ? column.valid : null);
      at += 2;
    });
    const { extra } = batch.columns;
    batch.extraText.prepare(extra, rows, AS_IT_IS_ASCII, counts);
    this.#appendText(batch.extraText, textIndex, at, rows, extra.valid);
    chunk.setRows(rows);
    heap.setRows(1);
    this.#rows!.append(chunk);
    this.#heap!.append(heap);
    this.#chunkCount++;
    this.rowCount += rows;
  }

  #appendNumbers(batch: RecordBatch, rows: number): number {
    const chunk = this.#rowChunk;
    const { header } = batch.columns;
    chunk.setValues(0, batch.arrivals, rows);
    chunk.setValues(1, batch.connections, rows);
    chunk.setValues(2, batch.ordinals, rows);
    chunk.setValues(3, header.processorId, rows);
    chunk.setValues(4, header.length, rows);
    chunk.setValues(5, header.sourceIpSample, rows);
    chunk.setValues(6, header.destinationIpSample, rows);
    chunk.setValues(7, header.sourcePort, rows);
    chunk.setValues(8, header.destinationPort, rows);
    chunk.setValues(9, header.flowContextId, rows);
    chunk.setValues(10, header.tag, rows);
    chunk.setValues(11, header.fieldCount, rows);
    let at = 12;
    for (const column of batch.columns.fields) {
      if (column.kind === 'text') continue;
      chunk.setValues(at, column.kind === 'int' ? column.words : column.values, rows);
      if (column.nullCount > 0) chunk.setValid(at, column.valid, rows);
      at++;
    }
    return at;
  }

  #appendText(
    text: StoredText,
    textIndex: number,
    at: number,
    rows: number,
    valid: Uint8Array | null,
  ): void {
    const { starts, ends } = text;
    this.#rowChunk.setValues(at, starts, rows);
    this.#rowChunk.setValues(at + 1, ends, rows);
    if (valid !== null) this.#rowChunk.setValid(at + 1, valid, rows);
    const used = (ends[rows - 1]! & ~HEX_MARK) >>> 0;
    this.#heapChunk.setText(1 + textIndex, 0, text.bytes.subarray(0, used));
    if (text.hasHex) this.#hasHex[textIndex] = true;
  }

  /** Ends appending; the rows can be selected now. */
  close(): void {
    this.#rows?.close();
    this.#heap?.close();
    this.#rows = null;
    this.#heap = null;
  }

  /** All rows, in the columns and types of the store's table. */
  selectSql(): string {
    const { table, textIndexes } = this.shape;
    const columns = table.columns.map((column) => {
      const name = quoteName(column.name);
      const textIndex = textIndexes.get(column.name);
      if (textIndex !== undefined) return `${this.#textSql(textIndex)} AS ${name}`;
      return column.type === 'int' ? `${name}::BIGINT AS ${name}` : name;
    });
    const source = `${this.rowsName} JOIN ${this.heapName} USING (ck)`;
    return `SELECT ${columns.join(', ')} FROM ${source}`;
  }

  #textSql(i: number): string {
    const plain = `substring(b${i}, s${i} + 1, e${i} - s${i})`;
    if (this.#hasHex[i] !== true) return plain;
    const hex = `substring(b${i}, s${i} + 1, e${i} - ${HEX_MARK} - s${i})`;
    return `CASE WHEN e${i} >= ${HEX_MARK} THEN decode(unhex(${hex})) ELSE ${plain} END`;
  }

  /** The statement that frees the rows. */
  get dropSql(): string {
    return `DROP TABLE IF EXISTS ${this.rowsName}; DROP TABLE IF EXISTS ${this.heapName}`;
  }
}

/**
 * Decode stage: decodes blocks into columns and forgets them; for `--stages decode` in benchmarks.
 *
 * WHY  Receiving and decoding are measured without the disk and without DuckDB, against a program
 *      in C that receives and walks the same bytes. The decoder is the store's, its columns are
 *      handed over and reset in the same way.
 */
import type { DecodeSink, RecordColumns } from '../../rdr/index.ts';
import { RecordDecoder } from '../../rdr/index.ts';
import type { Control, SinkReport } from '../control.ts';
import type { BlockSource } from '../journal/block-source.ts';
import type { Stage } from '../stage.ts';
import { benchReport, REPORT_EVERY_MS } from './bench-report.ts';

const BLOCKS_PER_TURN = 16;

export class DecodeStage implements Stage, DecodeSink {
  readonly roleName = 'store';
  readonly #source: BlockSource;
  readonly #control: Control;
  readonly #report: (report: SinkReport) => void;
  readonly #publishedPosition: () => number;
  readonly #decoder = new RecordDecoder();
  readonly #tables: Record<string, number> = {};
  #ordinal: number;
  #position = 0;
  #nextReportMs = 0;
  done = false;

  constructor(
    source: BlockSource,
    control: Control,
    firstOrdinal: number,
    publishedPosition: () => number,
    report: (report: SinkReport) => void,
  ) {
    this.#source = source;
    this.#control = control;
    this.#ordinal = firstOrdinal;
    this.#publishedPosition = publishedPosition;
    this.#report = report;
  }

  onStart(): void {
    this.#tell();
  }

  doWork(): number {
    let blocks = 0;
    while (blocks < BLOCKS_PER_TURN) {
      const block = this.#source.tryNext();
      if (block === null) break;
      this.#decoder.decodeBlock(block.bytes, block.view, block.offset, block.length, this);
      this.#ordinal = block.header.firstOrdinal + block.header.recordCount;
      this.#position = block.endPosition;
      this.#source.release();
      blocks++;
    }
    if (performance.now() >= this.#nextReportMs) this.#tell();
    const isThrough = this.#position >= this.#publishedPosition() || this.#position === 0;
    if (blocks === 0 && this.#control.isDraining && isThrough) this.done = true;
    return blocks;
  }

  onClose(): void {
    this.#tell();
    this.#source.close();
    this.#control.close();
  }

  onFull(columns: RecordColumns): void {
    const table = columns.tableName;
    this.#tables[table] = (this.#tables[table] ?? 0) + columns.rowCount;
  }

  onMalformed(): void {}

  onOther(): void {}

  #tell(): void {
    this.#nextReportMs = performance.now() + REPORT_EVERY_MS;
    const { counts } = this.#decoder;
    const malformed = counts.malformed.reduce((sum, count) => sum + count, 0);
    this.#report(
      benchReport({
        received: this.#ordinal,
        delivered: counts.delivered + counts.other,
        malformed,
        tables: { ...this.#tables },
        committedPosition: this.#position,
        source: this.#source.source,
        misfits: this.#decoder.misfitCount,
      }),
    );
  }
}

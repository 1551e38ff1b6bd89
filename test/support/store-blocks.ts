/**
 * For tests: blocks in memory as a BlockSource, made from a simulated SCE or by hand.
 */
import { frameLength, RdrReader } from '../../src/rdr/index.ts';
import { addressBytes } from '../../src/server/address.ts';
import type { BlockSource, BlockView } from '../../src/server/journal/block-source.ts';
import { BLOCK_HEADER_BYTES, makeBlockHeader } from '../../src/server/journal/format.ts';
import { namedMix, RecordStream, SubscriberPool, type Totals } from '../../src/simulator/index.ts';

export interface TestBlock {
  readonly position: number;
  readonly firstOrdinal: number;
  readonly connectionId: number;
  readonly connectionOrdinal: number;
  readonly exporter: string;
  readonly arrivalUs: number;
  readonly recordCount: number;
  readonly payload: Uint8Array;
}

export function countFrames(payload: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < payload.length; count++) at += frameLength(payload, at);
  return count;
}

/** Appends blocks to a growing list as a journal would. */
export class BlockMaker {
  readonly blocks: TestBlock[] = [];
  readonly #connectionOrdinals = new Map<number, number>();
  position = 128;
  ordinal = 0;

  add(
    payload: Uint8Array,
    arrivalUs: number,
    connectionId = 1,
    exporter = '127.0.0.1',
    recordCount = countFrames(payload),
  ): void {
    const connectionOrdinal = this.#connectionOrdinals.get(connectionId) ?? 0;
    this.blocks.push({
      position: this.position,
      firstOrdinal: this.ordinal,
      connectionId,
      connectionOrdinal,
      exporter,
      arrivalUs,
      recordCount,
      payload,
    });
    this.#connectionOrdinals.set(connectionId, connectionOrdinal + recordCount);
    this.position += BLOCK_HEADER_BYTES + payload.length;
    this.ordinal += recordCount;
  }
}

export class MemorySource implements BlockSource {
  readonly source = 'ring';
  readonly #blocks: readonly TestBlock[];
  #next = 0;
  position: number;
  skippedBytes = 0;
  released = 0;
  taken = 0;
  /** Only so many blocks are published. */
  limit = Number.POSITIVE_INFINITY;

  constructor(blocks: readonly TestBlock[], position: number) {
    this.#blocks = blocks;
    this.position = position;
  }

  tryNext(): BlockView | null {
    while ((this.#blocks[this.#next]?.position ?? Infinity) < this.position) this.#next++;
    const block = this.#blocks[this.#next];
    if (block === undefined || this.#next >= this.limit) return null;
    this.taken++;
    const header = makeBlockHeader();
    header.exporter.set(addressBytes(block.exporter)!);
    const { payload, ...rest } = block;
    Object.assign(header, { ...rest, exporter: header.exporter, payloadLength: payload.length });
    this.position = block.position + BLOCK_HEADER_BYTES + payload.length;
    const bytes = payload;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return { header, bytes, view, offset: 0, length: bytes.length, endPosition: this.position };
  }

  release(): void {
    this.released++;
  }

  close(): void {}
}

export interface SimulatedOptions {
  readonly records: number;
  readonly seed?: number;
  readonly malformedRatio?: number;
  readonly mix?: string;
  readonly connections?: number;
  readonly arrivalUs?: number;
  /** Arrival time that passes from one block to the next. */
  readonly stepUs?: number;
  readonly blockBytes?: number;
}

/** Blocks as a simulated SCE would fill them. */
export function simulatedBlocks(options: SimulatedOptions): {
  maker: BlockMaker;
  totals: Totals[];
} {
  const { records, seed = 7, connections = 2, stepUs = 1000, blockBytes = 64 * 1024 } = options;
  const maker = new BlockMaker();
  const mix = namedMix(options.mix ?? 'default');
  const subscribers = new SubscriberPool(10_000);
  const streams = Array.from({ length: connections }, (_, connection) => {
    const malformedRatio = options.malformedRatio ?? 0;
    return new RecordStream({ seed, connection, mix, subscribers, malformedRatio });
  });
  let arrivalUs = options.arrivalUs ?? Date.UTC(2026, 0, 31, 7, 10) * 1000;
  const buffer = new Uint8Array(blockBytes);
  for (let turn = 0; maker.ordinal < records; turn++) {
    const connection = turn % connections;
    const left = records - maker.ordinal;
    const length = streams[connection]!.fill(buffer, 0, buffer.length, left);
    const payload = withoutGarbage(buffer.subarray(0, length));
    maker.add(payload, arrivalUs, connection + 1, `127.0.0.${connection + 1}`);
    arrivalUs += stepUs;
  }
  return { maker, totals: streams.map((stream) => stream.totals) };
}

/** Records, well formed or not, without what the collector would have skipped. */
function withoutGarbage(bytes: Uint8Array): Uint8Array {
  const reader = new RdrReader();
  const items = [...reader.push(bytes), ...reader.end()];
  const frames = items.flatMap((item) =>
    item.kind === 'record' || item.kind === 'malformed' ? [item.bytes.slice()] : [],
  );
  return new Uint8Array(Buffer.concat(frames));
}

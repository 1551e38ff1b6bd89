/**
 * Journal files for tests: builds segments with format.ts, byte for byte, in memory or in a folder.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import {
  BLOCK_HEADER_BYTES,
  makeBlockHeader,
  SEGMENT_HEAD_BYTES,
  segmentName,
  writeBlockHeader,
  writeSegmentHead,
} from '../../src/server/journal/format.ts';

const UUID = Uint8Array.from({ length: 16 }, (_, i) => 0xa0 + i);

/** What a test knows of a block that it wrote. */
export interface WrittenBlock {
  readonly position: number;
  readonly endPosition: number;
  readonly firstOrdinal: number;
  readonly blockOrdinal: number;
  readonly recordCount: number;
  readonly payload: Uint8Array;
}

export interface BlockOptions {
  readonly recordCount?: number;
  readonly connectionId?: number;
  readonly connectionOrdinal?: number;
  readonly arrivalUs?: number;
  /** Dotted IPv4. */
  readonly exporter?: string;
  /** False: the block ordinal is 0, as in journals of before there was one. */
  readonly isCounted?: boolean;
}

/** One segment in the making; `bytes` is the whole file. */
export class SegmentBuilder {
  readonly position: number;
  readonly blocks: WrittenBlock[] = [];
  #bytes: Uint8Array;
  #ordinal: number;
  #blockOrdinal: number;

  constructor(position = 0, firstOrdinal = 0, firstBlockOrdinal = 0) {
    this.position = position;
    this.#ordinal = firstOrdinal;
    this.#blockOrdinal = firstBlockOrdinal;
    this.#bytes = new Uint8Array(SEGMENT_HEAD_BYTES);
    writeSegmentHead(this.#bytes, {
      uuid: UUID,
      position,
      firstOrdinal,
      createdUs: 1_700_000_000_000_000,
      firstConnectionId: 1,
      firstBlockOrdinal,
    });
  }

  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get endPosition(): number {
    return this.position + this.#bytes.length;
  }

  get nextOrdinal(): number {
    return this.#ordinal;
  }

  get nextBlockOrdinal(): number {
    return this.#blockOrdinal;
  }

  add(payload: Uint8Array, options: BlockOptions = {}): WrittenBlock {
    const at = this.#bytes.length;
    const grown = new Uint8Array(at + BLOCK_HEADER_BYTES + payload.length);
    grown.set(this.#bytes);
    grown.set(payload, at + BLOCK_HEADER_BYTES);
    const header = makeBlockHeader();
    header.position = this.position + at;
    header.firstOrdinal = this.#ordinal;
    header.recordCount = options.recordCount ?? 1;
    header.connectionId = options.connectionId ?? 1;
    header.connectionOrdinal = options.connectionOrdinal ?? this.#ordinal;
    header.exporter.set(exporterBytes(options.exporter ?? '10.1.2.3'));
    header.arrivalUs = options.arrivalUs ?? 1_700_000_000_000_000;
    header.payloadLength = payload.length;
    header.payloadCrc = crc32(payload);
    header.listenerPort = 33000;
    header.exporterPort = 40000;
    header.blockOrdinal = options.isCounted === false ? 0 : this.#blockOrdinal;
    writeBlockHeader(grown, new DataView(grown.buffer), at, header);
    this.#bytes = grown;
    const block = {
      position: header.position,
      endPosition: this.endPosition,
      firstOrdinal: this.#ordinal,
      blockOrdinal: header.blockOrdinal,
      recordCount: header.recordCount,
      payload: payload.slice(),
    };
    this.#ordinal += header.recordCount;
    if (options.isCounted !== false) this.#blockOrdinal++;
    this.blocks.push(block);
    return block;
  }

  /** Writes the file into `folder` under its own name; returns the path. */
  writeTo(folder: string, bytes: Uint8Array = this.#bytes): string {
    const path = join(folder, segmentName(this.position));
    writeFileSync(path, bytes);
    return path;
  }
}

/** A dotted IPv4 address as the 16 bytes of ::ffff:a.b.c.d. */
export function exporterBytes(dotted: string): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(dotted.split('.').map(Number), 12);
  return bytes;
}

/** Payload bytes that a test can tell apart; never looks like a header. */
export function samplePayload(length: number, salt: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 7 + salt * 31) & 0xff);
}

/** A temporary folder that is removed when the test context ends. */
export function temporaryFolder(context: { after(fn: () => void): void }): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-test-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

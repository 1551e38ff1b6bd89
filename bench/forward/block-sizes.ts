/**
 * How large the blocks of a journal are: from the headers of its newest whole segment.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import {
  BLOCK_HEADER_BYTES,
  makeBlockHeader,
  readBlockHeader,
  SEGMENT_HEAD_BYTES,
} from '../../src/server/journal/format.ts';
import { listSegments } from '../../src/server/journal/segment-list.ts';

/** Payload bytes of each block, in order, up to the first place where none is. */
export function blockBytes(path: string): readonly number[] {
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  const header = makeBlockHeader();
  const sizes: number[] = [];
  const fd = openSync(path, 'r');
  try {
    for (let at = SEGMENT_HEAD_BYTES; ; at += BLOCK_HEADER_BYTES + header.payloadLength) {
      if (readSync(fd, bytes, 0, bytes.length, at) < bytes.length) return sizes;
      if (!readBlockHeader(bytes, view, 0, header)) return sizes;
      sizes.push(header.payloadLength);
    }
  } finally {
    closeSync(fd);
  }
}

/** Of the segment before the last one, or of the only one. */
export function newestBlockBytes(journalFolder: string): readonly number[] {
  const segments = listSegments(journalFolder);
  const segment = segments.at(-2) ?? segments.at(-1);
  return segment === undefined ? [] : blockBytes(segment.path);
}

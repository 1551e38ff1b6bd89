/**
 * Segment list: which segment files a journal folder holds, and what their heads say.
 *
 * Reads names and heads only, with node:fs, so that it works without the addon and beside a running
 * server. Names sort as positions do (format.ts), so no file needs to be opened to find a position.
 */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { MillraceError } from '../../toolkit/base/errors.ts';
import { readSegmentHead, SEGMENT_HEAD_BYTES, segmentPosition } from './format.ts';

/** A segment by its name: the position of its first byte in the endless log. */
export interface SegmentFile {
  readonly path: string;
  readonly position: number;
}

/** A segment as `journal ls` shows it. */
export interface SegmentInfo extends SegmentFile {
  /** Size of the file now; the newest segment grows. */
  readonly bytes: number;
  /** Position behind the last byte of the file. */
  readonly endPosition: number;
  /** 32 hex digits, or null when the head is damaged, of another version or not yet written. */
  readonly uuid: string | null;
  readonly firstOrdinal: number | null;
  readonly firstBlockOrdinal: number | null;
  /** Microseconds since 1970 when the segment was made. */
  readonly createdUs: number | null;
  /** Milliseconds since 1970 of the last write. */
  readonly modifiedMs: number;
}

/** Segments of a folder, oldest first. Throws MR_INPUT when the folder cannot be read. */
export function listSegments(folder: string): SegmentFile[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    throw new MillraceError(
      'MR_INPUT',
      `the journal folder ${folder} cannot be read: ${(error as Error).message}`,
      'give the folder that holds the .seg files, or the data folder with --data DIR',
      { cause: error },
    );
  }
  const found: SegmentFile[] = [];
  for (const name of names) {
    const position = segmentPosition(name);
    if (position >= 0) found.push({ path: join(folder, name), position });
  }
  return found.sort((a, b) => a.position - b.position);
}

/** Opens one segment for a look at its head and size. Throws MR_INPUT when it cannot be read. */
export function describeSegment(file: SegmentFile): SegmentInfo {
  const fd = openSegment(file.path);
  try {
    const stat = fstatSync(fd);
    const bytes = new Uint8Array(SEGMENT_HEAD_BYTES);
    const head =
      readSync(fd, bytes, 0, SEGMENT_HEAD_BYTES, 0) === SEGMENT_HEAD_BYTES
        ? readSegmentHead(bytes)
        : null;
    return {
      ...file,
      bytes: stat.size,
      endPosition: file.position + stat.size,
      uuid: head === null ? null : Buffer.from(head.uuid).toString('hex'),
      firstOrdinal: head === null ? null : head.firstOrdinal,
      firstBlockOrdinal: head === null ? null : head.firstBlockOrdinal,
      createdUs: head === null ? null : head.createdUs,
      modifiedMs: stat.mtimeMs,
    };
  } finally {
    closeSync(fd);
  }
}

/**
 * One file given by a person: its position comes from its head, so that a renamed copy works too.
 * Throws MR_JOURNAL_FORMAT when the head is not that of a segment.
 */
export function segmentOfFile(path: string): SegmentFile {
  const fd = openSegment(path);
  try {
    const bytes = new Uint8Array(SEGMENT_HEAD_BYTES);
    const count = readSync(fd, bytes, 0, SEGMENT_HEAD_BYTES, 0);
    const head = count === SEGMENT_HEAD_BYTES ? readSegmentHead(bytes) : null;
    if (head !== null) return { path, position: head.position };
    const named = segmentPosition(path.slice(path.lastIndexOf('/') + 1));
    if (named >= 0) return { path, position: named };
    throw new MillraceError(
      'MR_JOURNAL_FORMAT',
      `${path} has no valid segment head`,
      'give a .seg file of a journal folder; a damaged head is tolerated under its original name',
    );
  } finally {
    closeSync(fd);
  }
}

/**
 * open(2) for reading. Throws MR_INPUT; its cause has the errno code (ENOENT: retention took it).
 */
export function openSegment(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new MillraceError(
      'MR_INPUT',
      `${path} cannot be opened: ${(error as Error).message}`,
      'check the path and its permissions',
      { cause: error },
    );
  }
}

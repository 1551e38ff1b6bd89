/**
 * Recovery: what the journal folder says at start, before anything is written.
 *
 * WHY         Positions, ordinals and connection ids must never be given twice, whatever happened;
 *             and the torn end of the newest segment must not hide in front of new blocks.
 * RULES       1. The newest segment is read whole; everything behind its last valid block was never
 *             published and is cut off (tornBytes). Damage before a valid block stays where it is.
 *             2. The next position lies above every number seen: ends of files before the cut, and
 *                the
 *             positions that readers have committed (`seen`).
 *             3. The next ordinal and connection id lie above those of every block and segment head
 *                of
 *             the newest segment, and above what readers have committed.
 * COST        one sequential read of at most one segment.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';
import { readSegmentHead, SEGMENT_HEAD_BYTES, type SegmentHead } from './format.ts';
import { JournalReader, listSegments } from './reader.ts';

export interface RecoveredJournal {
  readonly uuid: Uint8Array;
  readonly nextPosition: number;
  readonly nextOrdinal: number;
  readonly nextConnectionId: number;
  /** Bytes of the torn, never published tail that were cut off. */
  readonly tornBytes: number;
  readonly segments: number;
}

/** What readers have committed: nothing below may be given again. */
export interface SeenNumbers {
  readonly position: number;
  readonly ordinal: number;
}

export function recoverJournal(folder: string, seen: SeenNumbers): RecoveredJournal {
  const files = listSegments(folder);
  const newest = files.at(-1);
  if (newest === undefined) {
    return {
      uuid: randomBytes(16),
      nextPosition: seen.position,
      nextOrdinal: seen.ordinal,
      nextConnectionId: 1,
      tornBytes: 0,
      segments: 0,
    };
  }
  const sizeBytes = statSync(newest.path).size;
  const head = readHead(newest.path);
  const last = readBlocks([newest]);
  // A newest segment without a head was torn while it was made: the one before it has the numbers.
  const previous = files.at(-2);
  if (head === null && last.endPosition === 0 && previous !== undefined) {
    const before = readBlocks([previous]);
    last.nextOrdinal = before.nextOrdinal;
    last.nextConnectionId = before.nextConnectionId;
  }
  const end = Math.max(
    last.endPosition,
    newest.position + (head === null ? 0 : SEGMENT_HEAD_BYTES),
  );
  const tornBytes = Math.max(0, newest.position + sizeBytes - end);
  settle(newest.path, tornBytes > 0 ? end - newest.position : sizeBytes);
  const uuid = head?.uuid ?? readHead(files[0]!.path)?.uuid ?? randomBytes(16);
  return {
    uuid,
    nextPosition: Math.max(newest.position + sizeBytes, end, newest.position + 1, seen.position),
    nextOrdinal: Math.max(last.nextOrdinal, head?.firstOrdinal ?? 0, seen.ordinal),
    nextConnectionId: Math.max(last.nextConnectionId, head?.firstConnectionId ?? 1),
    tornBytes,
    segments: files.length,
  };
}

function readBlocks(files: ReturnType<typeof listSegments>): {
  endPosition: number;
  nextOrdinal: number;
  nextConnectionId: number;
} {
  const reader = new JournalReader(files, { position: files[0]!.position });
  let endPosition = 0;
  let nextOrdinal = 0;
  let nextConnectionId = 1;
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
    endPosition = block.endPosition;
    nextOrdinal = block.header.firstOrdinal + block.header.recordCount;
    nextConnectionId = Math.max(nextConnectionId, block.header.connectionId + 1);
  }
  reader.close();
  return { endPosition, nextOrdinal, nextConnectionId };
}

function readHead(path: string): SegmentHead | null {
  const bytes = new Uint8Array(SEGMENT_HEAD_BYTES);
  const fd = openSync(path, 'r');
  try {
    const length = readSync(fd, bytes, 0, SEGMENT_HEAD_BYTES, 0);
    return readSegmentHead(bytes.subarray(0, length));
  } finally {
    closeSync(fd);
  }
}

/**
 * Cuts the file to `bytes` and brings it to the disk: a newer segment will declare all of it
 * settled, and readers may commit positions in it.
 */
function settle(path: string, bytes: number): void {
  const fd = openSync(path, 'r+');
  try {
    ftruncateSync(fd, bytes);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

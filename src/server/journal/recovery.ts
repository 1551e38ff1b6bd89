/**
 * Recovery: what the journal folder says at start, before anything is written.
 *
 * WHY         Positions, ordinals and connection ids must never be given twice, whatever happened;
 *             and the torn end of the newest segment must not hide in front of new blocks.
 * RULES       1. The newest segment is read whole; everything behind the last block whose header
 *                holds and that lies in the file was never published and is cut off (tornBytes).
 *                Damage before it, or in its payload, stays where it is: readers count it.
 *             2. The next position lies above every number seen: ends of files before the cut, and
 *                the positions that readers have committed (`seen`).
 *             3. The next ordinal and connection id lie above those of every block header and head
 *                of the newest segment that has any, and above what readers have committed.
 *             4. The next block ordinal is one above the highest block there, or the head's. No
 *                reader commits one: where a disk lost blocks at the very end, theirs come again,
 *                at positions of their own.
 * COST        one sequential read of at most one segment.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import {
  BLOCK_HEADER_BYTES,
  type BlockHeader,
  makeBlockHeader,
  readBlockFields,
  readSegmentHead,
  SEGMENT_HEAD_BYTES,
  type SegmentHead,
} from './format.ts';
import { JournalReader, listSegments, type SegmentFile } from './reader.ts';

export interface RecoveredJournal {
  readonly uuid: Uint8Array;
  readonly nextPosition: number;
  readonly nextOrdinal: number;
  readonly nextBlockOrdinal: number;
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
      nextBlockOrdinal: 0,
      nextConnectionId: 1,
      tornBytes: 0,
      segments: 0,
    };
  }
  const sizeBytes = statSync(newest.path).size;
  const head = readHead(newest.path);
  const last = readNumbers(newest);
  // Newest segments without a head were torn while they were made: older ones have the numbers.
  for (let i = files.length - 2; i >= 0 && last.isEmpty; i--) {
    const { endPosition } = last;
    Object.assign(last, readNumbers(files[i]!), { endPosition });
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
    nextOrdinal: Math.max(last.nextOrdinal, seen.ordinal),
    nextBlockOrdinal: last.nextBlockOrdinal,
    nextConnectionId: last.nextConnectionId,
    tornBytes,
    segments: files.length,
  };
}

interface Numbers {
  /** Behind the last block; 0 when there is none. */
  endPosition: number;
  nextOrdinal: number;
  nextBlockOrdinal: number;
  nextConnectionId: number;
  /** Neither a head nor a block: it tells nothing. */
  isEmpty: boolean;
}

/** What one segment has given away, by its head and by every block header that holds. */
function readNumbers(file: SegmentFile): Numbers {
  const head = readHead(file.path);
  const numbers: Numbers = {
    endPosition: 0,
    nextOrdinal: head?.firstOrdinal ?? 0,
    nextBlockOrdinal: head?.firstBlockOrdinal ?? 0,
    nextConnectionId: head?.firstConnectionId ?? 1,
    isEmpty: head === null,
  };
  const note = (header: BlockHeader): void => {
    numbers.endPosition = header.position + BLOCK_HEADER_BYTES + header.payloadLength;
    numbers.nextOrdinal = Math.max(numbers.nextOrdinal, header.firstOrdinal + header.recordCount);
    numbers.nextBlockOrdinal = Math.max(numbers.nextBlockOrdinal, header.blockOrdinal + 1);
    numbers.nextConnectionId = Math.max(numbers.nextConnectionId, header.connectionId + 1);
    numbers.isEmpty = false;
  };
  const reader = new JournalReader([file], {
    position: file.position,
    // Everything is looked at: blocks may stand behind a hole of zeros that a power loss left.
    limitPosition: () => POSITION_MAX,
    onDamage: (damage) => {
      if (damage.kind === 'payload') note(readHeader(file, damage.position));
    },
  });
  for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) note(block.header);
  reader.close();
  return numbers;
}

/** The header of a block whose payload is damaged. */
function readHeader(file: SegmentFile, position: number): BlockHeader {
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES);
  const header = makeBlockHeader();
  const fd = openSync(file.path, 'r');
  try {
    readSync(fd, bytes, 0, bytes.length, position - file.position);
    readBlockFields(bytes, new DataView(bytes.buffer), 0, header);
    return header;
  } finally {
    closeSync(fd);
  }
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

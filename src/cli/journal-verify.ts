/**
 * Journal verification: every block read and checked, every damaged place named.
 *
 * Beyond the checksums of the reader it follows the numbers of records and blocks: a step that no
 * damaged block explains means that blocks are missing. The first block of a journal may have any
 * number (retention removes the oldest segments).
 */
import type { BlockHeader } from '../server/journal/format.ts';
import {
  type Damage,
  type DamageKind,
  describeSegment,
  JournalReader,
  listSegments,
} from '../server/journal/reader.ts';

export interface Finding {
  readonly path: string;
  readonly position: number;
  readonly bytes: number;
  /** Records that are lost with it, where that is known. */
  readonly records: number | null;
  readonly what: string;
  /** False for the unfinished block at the end, which was never published. */
  readonly isDamage: boolean;
}

export interface VerifyReport {
  readonly segments: number;
  readonly blocks: number;
  readonly records: number;
  readonly bytes: number;
  readonly damaged: number;
  readonly findings: readonly Finding[];
}

const WHAT: Readonly<Record<DamageKind, string>> = {
  payload: 'the payload checksum does not hold',
  header: 'no valid block header',
  tail: 'no valid block up to the end of the segment',
  'segment-head': 'the segment head is damaged',
};

export type OnProgress = (bytes: number, findings: number) => void;

/** Blocks between two calls of onProgress. */
const PROGRESS_BLOCKS = 64;

export function verifyJournal(folder: string, onProgress: OnProgress = () => {}): VerifyReport {
  const check = new Verification();
  const files = listSegments(folder);
  check.checkHeads(folder);
  const reader = new JournalReader(folder, { onDamage: (damage) => check.addDamage(damage) });
  let bytes = 0;
  let blocks = 0;
  try {
    for (let block = reader.tryNext(); block !== null; block = reader.tryNext()) {
      check.addBlock(block.header, reader.path);
      bytes += block.endPosition - block.header.position;
      if (++blocks % PROGRESS_BLOCKS === 0) onProgress(bytes, check.findings.length);
    }
    const tail = reader.pendingTail();
    if (tail !== null) check.addTail(tail.path, tail.position, tail.bytes);
  } finally {
    reader.close();
  }
  return {
    segments: files.length,
    blocks,
    records: check.records,
    bytes,
    damaged: check.findings.filter((finding) => finding.isDamage).length,
    findings: check.findings,
  };
}

class Verification {
  readonly findings: Finding[] = [];
  records = 0;
  /** Numbers that the next record and the next block must have; null before the first block. */
  #ordinal: number | null = null;
  #blockOrdinal: number | null = null;
  #isExplained = false;

  addDamage({ path, position, bytes, records, kind }: Damage): void {
    // The head holds no records; blocks of the segment are read all the same.
    if (kind !== 'segment-head') this.#isExplained = true;
    this.findings.push({ path, position, bytes, records, what: WHAT[kind], isDamage: true });
  }

  addTail(path: string, position: number, bytes: number): void {
    const what = 'an unfinished block: being written, or torn by a crash';
    this.findings.push({ path, position, bytes, records: null, what, isDamage: false });
  }

  addBlock(header: BlockHeader, path: string): void {
    const { position, firstOrdinal, blockOrdinal, recordCount } = header;
    const step = firstOrdinal - (this.#ordinal ?? firstOrdinal);
    const blockStep = blockOrdinal - (this.#blockOrdinal ?? blockOrdinal);
    // Blocks of before they were counted all have 0.
    const isCounted = blockOrdinal > 0 || this.#blockOrdinal !== 1;
    let what = '';
    if (step !== 0)
      what = step > 0 ? 'records are missing before this block' : 'record numbers go back';
    else if (blockStep !== 0 && isCounted) what = 'block numbers do not follow on each other';
    if (what !== '' && !this.#isExplained) {
      const records = Math.abs(step);
      this.findings.push({ path, position, bytes: 0, records, what, isDamage: true });
    }
    this.#isExplained = false;
    this.#ordinal = firstOrdinal + recordCount;
    this.#blockOrdinal = blockOrdinal + 1;
    this.records += recordCount;
  }

  /** All segments of a folder belong to one journal. */
  checkHeads(folder: string): void {
    let uuid: string | null = null;
    for (const file of listSegments(folder)) {
      const info = describeSegment(file);
      if (uuid !== null && info.uuid !== null && info.uuid !== uuid) {
        const what = 'the segment belongs to another journal';
        const { path, position } = file;
        this.findings.push({ path, position, bytes: 0, records: null, what, isDamage: true });
      }
      uuid ??= info.uuid;
    }
  }
}

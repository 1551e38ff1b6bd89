/**
 * Group file: the epochs of a load-balancing group, on disk before anybody goes by them.
 *
 * LAYOUT     `<group>.epochs`: one line of eight hex digits, the CRC-32 of the rest; then JSON:
 *            { "journal": UUID as hex, "epochs": [{ "position": n, "members": [names] }] }.
 * INVARIANTS The file is replaced by rename(2): after a kill it is the old one or the new one.
 * REFUSED    Slots, as the position files have (its length varies, and it is written once in a
 *            change of members).
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Epoch } from './epochs.ts';

const SUFFIX = '.epochs';
const CRC_DIGITS = 8;

export type EpochsFound =
  | { readonly kind: 'found'; readonly epochs: readonly Epoch[] }
  | { readonly kind: 'new' | 'damaged' | 'other-journal' };

export class GroupFile {
  readonly path: string;
  readonly #journal: string;

  constructor(folder: string, group: string, uuid: Uint8Array) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    this.path = join(folder, `${group}${SUFFIX}`);
    this.#journal = Buffer.from(uuid).toString('hex');
  }

  read(): EpochsFound {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'new' };
      throw error;
    }
    const body = text.slice(CRC_DIGITS + 1);
    if (text.slice(0, CRC_DIGITS) !== checksum(body)) return { kind: 'damaged' };
    const { journal, epochs } = JSON.parse(body) as { journal: string; epochs: Epoch[] };
    if (journal !== this.#journal) return { kind: 'other-journal' };
    return { kind: 'found', epochs };
  }

  /** Throws what open(2), write(2) and rename(2) say; then the old file stands. */
  write(epochs: readonly Epoch[]): void {
    const body = `${JSON.stringify({ journal: this.#journal, epochs })}\n`;
    const temporary = `${this.path}.new`;
    writeFileSync(temporary, `${checksum(body)}\n${body}`, { mode: 0o600 });
    renameSync(temporary, this.path);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}

/** A group of that name has had members. */
export function hasEpochs(folder: string, group: string): boolean {
  return existsSync(join(folder, `${group}${SUFFIX}`));
}

/** Removes the files of all groups but these; what cannot be removed now, stays. */
export function removeUnknownGroups(folder: string, known: ReadonlyMap<string, unknown>): void {
  try {
    for (const name of readdirSync(folder)) {
      const isOther = name.endsWith(SUFFIX) && !known.has(name.slice(0, -SUFFIX.length));
      if (isOther) rmSync(join(folder, name), { force: true });
    }
  } catch {
    // No folder yet; or a disk that says more to whoever writes there next.
  }
}

function checksum(body: string): string {
  return crc32(body).toString(16).padStart(CRC_DIGITS, '0');
}

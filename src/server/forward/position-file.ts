/**
 * Position file: where one channel goes on after a restart, and its ledger up to there.
 *
 * WHY        A channel has no journal of its own: this file is all that it remembers. It is written
 *            with one pwrite(2), some hundred bytes, so that `resend: none` can afford it for each
 *            block, and it survives kill -9 at any moment.
 * LAYOUT     `<channel>.position`, `/` of a channel's name written as `@`: two slots, at 0 and at
 *            SLOT_STRIDE, written in turn. Little endian; numbers are float64, -1 = not known yet.
 *
 *              slot, 256 bytes
 *              0    8  magic "MRFWPOS1"
 *              8    4  CRC-32 of bytes 12..255
 *              12   4  zero
 *              16   8  sequence: the slot with the higher one is the newer
 *              24  16  UUID of the journal
 *              40  8n  the numbers of POSITION_NUMBERS, in that order
 *              192 64  name of the active member (redundancy), padded with zeros
 *
 * OWNERSHIP  The forward worker writes. The main thread reads once, before the first retention, and
 *            when nothing writes.
 * INVARIANTS 1. The slot that is written is never the newer valid one, so that a write that is torn
 *            leaves the state before it. 2. A file of another journal is never taken for ours.
 * REFUSED    A temporary file and rename(2) (three calls and a new inode per block); fsync (after a
 *            power loss an older position is found: docs/guarantees.md); one file for all channels
 *            (a removed channel must take its position with it).
 */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { assert } from '../../toolkit/base/assert.ts';

/** Numbers of a position, in the order of the file. Records, unless said. */
export const POSITION_NUMBERS = [
  /** Journal position (bytes) at which the channel goes on. */
  'position',
  /** Ordinal of the first record there, and of the first record that was this channel's. */
  'ordinal',
  'startOrdinal',
  /** Blocks that lie behind. */
  'blocks',
  /** `resend: none`: records before `position` of which nothing is known. */
  'begun',
  'delivered',
  'filtered',
  'cut',
  'interrupted',
  'lag',
  'retention',
  'damaged',
  'removed',
  'resent',
] as const;
export type PositionNumber = (typeof POSITION_NUMBERS)[number];

/** Mutable: the channel's ledger counts in one of these. */
export type ChannelPosition = Record<PositionNumber, number> & {
  /** Redundancy: name of the member that the stream goes to; else empty. */
  active: string;
};

const MAGIC = Buffer.from('MRFWPOS1', 'latin1');
const SLOT_BYTES = 256;
const SLOT_STRIDE = 512;
const FILE_BYTES = SLOT_STRIDE + SLOT_BYTES;
const CRC_OFFSET = 8;
const CHECKED_OFFSET = 12;
const SEQUENCE_OFFSET = 16;
const UUID_OFFSET = 24;
const UUID_BYTES = 16;
const NUMBERS_OFFSET = 40;
const ACTIVE_OFFSET = 192;
/** What stands for bytes that are not in the file: no slot is padded with it. */
const ABSENT = 0xff;
const SUFFIX = '.position';
assert(NUMBERS_OFFSET + 8 * POSITION_NUMBERS.length <= ACTIVE_OFFSET, 'numbers end before names');

export function makePosition(position: number, ordinal: number): ChannelPosition {
  const made = { active: '' } as ChannelPosition;
  for (const name of POSITION_NUMBERS) made[name] = 0;
  made.position = position;
  made.ordinal = ordinal;
  made.startOrdinal = ordinal;
  return made;
}

/** What stood in the file at its opening. */
export type PositionFound =
  | { readonly kind: 'found'; readonly position: ChannelPosition }
  | { readonly kind: 'new' }
  /** It was made and never written: a kill came between, or a power loss took what was written. */
  | { readonly kind: 'blank' }
  /** Neither slot is valid, or the file is of another journal: a fresh start, to be said. */
  | { readonly kind: 'damaged' | 'other-journal' };

export class PositionFile {
  readonly path: string;
  readonly #bytes = Buffer.alloc(SLOT_BYTES);
  #fd: number;
  #sequence: number;
  #next: number;

  private constructor(path: string, fd: number, sequence: number, next: number, uuid: Uint8Array) {
    this.path = path;
    this.#fd = fd;
    this.#sequence = sequence;
    this.#next = next;
    MAGIC.copy(this.#bytes, 0);
    this.#bytes.set(uuid, UUID_OFFSET);
  }

  /** Opens or makes the file of a channel. Throws what open(2) and read(2) say. */
  static open(
    folder: string,
    channel: string,
    uuid: Uint8Array,
  ): { readonly file: PositionFile; readonly found: PositionFound } {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const path = positionPath(folder, channel);
    const fd = openSync(path, 'a+', 0o600);
    closeSync(fd);
    const writable = openSync(path, 'r+');
    try {
      return PositionFile.#read(path, writable, uuid);
    } catch (error) {
      closeSync(writable);
      throw error;
    }
  }

  static #read(path: string, fd: number, uuid: Uint8Array) {
    const bytes = Buffer.alloc(FILE_BYTES, ABSENT);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    const { newest, slot } = newestSlot(bytes);
    const found = judge(newest, bytes.subarray(0, length), uuid);
    // Both slots get their place on the disk now: a disk that is full later does not matter.
    if (length < FILE_BYTES)
      writeSync(fd, new Uint8Array(FILE_BYTES - length), 0, FILE_BYTES - length, length);
    // Over what is not ours both slots are written anew, beginning with the one that is not newest.
    const file = new PositionFile(path, fd, newest?.sequence ?? 0, slot === 0 ? 1 : 0, uuid);
    return { file, found };
  }

  /** Writes the position into the older slot. Throws what write(2) says; the newer slot stays. */
  write(position: ChannelPosition): void {
    const bytes = this.#bytes;
    const sequence = this.#sequence + 1;
    bytes.writeDoubleLE(sequence, SEQUENCE_OFFSET);
    let at = NUMBERS_OFFSET;
    for (const name of POSITION_NUMBERS) at = bytes.writeDoubleLE(position[name], at);
    bytes.fill(0, ACTIVE_OFFSET);
    bytes.write(position.active, ACTIVE_OFFSET, 'latin1');
    bytes.writeUInt32LE(crc32(bytes.subarray(CHECKED_OFFSET)), CRC_OFFSET);
    const written = writeSync(this.#fd, bytes, 0, SLOT_BYTES, this.#next * SLOT_STRIDE);
    if (written !== SLOT_BYTES) throw new Error(`${this.path}: short write`);
    this.#sequence = sequence;
    this.#next = 1 - this.#next;
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}

export function positionPath(folder: string, channel: string): string {
  return join(folder, `${channel.replaceAll('/', '@')}${SUFFIX}`);
}

/** What a file says to one who only reads it; `unreadable`: nobody knows what it says. */
export type PositionSeen = PositionFound | { readonly kind: 'unreadable'; readonly error: unknown };

/** Reads the file of a channel and changes nothing. Does not throw, and waits for nobody. */
export function readPosition(folder: string, channel: string, uuid: Uint8Array): PositionSeen {
  let fd = -1;
  try {
    // A pipe in its place would be waited for.
    fd = openSync(positionPath(folder, channel), constants.O_RDONLY | constants.O_NONBLOCK);
    const bytes = Buffer.alloc(FILE_BYTES, ABSENT);
    const length = readSync(fd, bytes, 0, bytes.length, 0);
    return judge(newestSlot(bytes).newest, bytes.subarray(0, length), uuid);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { kind: 'new' };
    return { kind: 'unreadable', error };
  } finally {
    if (fd >= 0) closeSync(fd);
  }
}

/** Channels that have a position file; none when there is no such folder. Throws as readdir(3). */
export function listPositions(folder: string): string[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  const ours = names.filter((name) => name.endsWith(SUFFIX)).sort();
  return ours.map((name) => name.slice(0, -SUFFIX.length).replaceAll('@', '/'));
}

/**
 * Removes the position of a channel that the configuration no longer has. Throws what unlink(2)
 * says, but ENOENT.
 */
export function removePosition(folder: string, channel: string): void {
  rmSync(positionPath(folder, channel), { force: true });
}

interface Slot {
  readonly sequence: number;
  readonly uuid: Uint8Array;
  readonly position: ChannelPosition;
}

function newestSlot(bytes: Buffer): { readonly newest: Slot | null; readonly slot: number } {
  const first = readSlot(bytes, 0);
  const second = readSlot(bytes, SLOT_STRIDE);
  if (first === null && second === null) return { newest: null, slot: 1 };
  const isFirst = second === null || (first !== null && first.sequence > second.sequence);
  return isFirst ? { newest: first, slot: 0 } : { newest: second, slot: 1 };
}

function readSlot(bytes: Buffer, start: number): Slot | null {
  const slot = bytes.subarray(start, start + SLOT_BYTES);
  if (!slot.subarray(0, MAGIC.length).equals(MAGIC)) return null;
  if (slot.readUInt32LE(CRC_OFFSET) !== crc32(slot.subarray(CHECKED_OFFSET))) return null;
  const position = makePosition(0, 0);
  for (let i = 0; i < POSITION_NUMBERS.length; i++) {
    position[POSITION_NUMBERS[i]!] = slot.readDoubleLE(NUMBERS_OFFSET + 8 * i);
  }
  const name = slot.toString('latin1', ACTIVE_OFFSET);
  const end = name.indexOf('\0');
  position.active = end < 0 ? name : name.slice(0, end);
  return {
    sequence: slot.readDoubleLE(SEQUENCE_OFFSET),
    uuid: new Uint8Array(slot.subarray(UUID_OFFSET, UUID_OFFSET + UUID_BYTES)),
    position,
  };
}

function judge(newest: Slot | null, bytes: Buffer, uuid: Uint8Array): PositionFound {
  if (bytes.length === 0) return { kind: 'new' };
  if (newest === null) return { kind: bytes.every((byte) => byte === 0) ? 'blank' : 'damaged' };
  if (Buffer.compare(newest.uuid, uuid) !== 0) return { kind: 'other-journal' };
  return { kind: 'found', position: newest.position };
}

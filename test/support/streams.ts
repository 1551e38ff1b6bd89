/**
 * Streams for tests: bytes of a hostile exporter, and a plain reading of the framing rules to
 * compare with (docs/reference/rdrv1.md): the whole stream at once, one byte forward at a time.
 */
import { BAD_PREFIX, frameLength, WELL_FORMED, walkFields } from '../../src/rdr/index.ts';
import {
  GARBAGE_NAMES,
  ITEM_BYTES_MAX,
  namedMix,
  RecordStream,
  SubscriberPool,
  writeGarbage,
} from '../../src/simulator/index.ts';
import type { Prng } from '../../src/toolkit/base/prng.ts';

export interface Framed {
  readonly records: readonly Uint8Array[];
  readonly resyncBytes: number;
  readonly resyncRuns: number;
  readonly truncatedBytes: number;
}

/** The framing rules, read literally. */
export function frameWhole(bytes: Uint8Array): Framed {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const records: Uint8Array[] = [];
  let resyncBytes = 0;
  let resyncRuns = 0;
  let at = 0;
  while (bytes.length - at >= 5) {
    const length = frameLength(bytes, at);
    if (length === BAD_PREFIX) {
      resyncRuns++;
      const from = at;
      while (at < bytes.length && !isAnchor(bytes, view, at)) at++;
      resyncBytes += at - from;
    } else {
      if (at + length > bytes.length) break;
      records.push(bytes.subarray(at, at + length));
      at += length;
    }
  }
  return { records, resyncBytes, resyncRuns, truncatedBytes: bytes.length - at };
}

function isAnchor(bytes: Uint8Array, view: DataView, at: number): boolean {
  if (bytes.length - at < 20) return false;
  const length = frameLength(bytes, at);
  if (length === BAD_PREFIX || at + length > bytes.length) return false;
  if (bytes[at + 15] !== 0xf0 || bytes[at + 16] !== 0xf0) return false;
  if ((bytes[at + 17]! & 0xf0) !== 0xf0) return false;
  return walkFields(bytes, view, at, length) === WELL_FORMED;
}

const subscribers = new SubscriberPool(1_000);

/** About `bytes` of records as a simulated SCE sends them; `faults` of 0 .. 1. */
export function simulatedBytes(seed: number, bytes: number, faults = 0, lies = 0): Uint8Array {
  const stream = new RecordStream({
    seed,
    mix: namedMix('default'),
    subscribers,
    malformedRatio: faults,
    liesRatio: lies,
  });
  const buffer = new Uint8Array(bytes + ITEM_BYTES_MAX);
  return buffer.slice(0, stream.fill(buffer));
}

/** One well-formed frame of exactly `length` bytes (20 .. 10,004), of a known tag. */
export function frameOf(length: number, salt = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(Buffer.from(String(length - 5).padStart(4, '0'), 'latin1'), 1);
  bytes.set([0xf0, 0xf0, 0xf0, 0x00], 15);
  if (length >= 25) {
    bytes[19] = 1;
    bytes[20] = 41;
    new DataView(bytes.buffer).setUint32(21, length - 25);
    for (let i = 25; i < length; i++) bytes[i] = 0x61 + ((i + salt) % 26);
  }
  return bytes;
}

/** Records, long ones, garbage, cut records and flipped bytes, about `bytes` of them. */
export function hostileBytes(prng: Prng, bytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let made = 0; made < bytes; ) {
    const part = hostilePart(prng, bytes - made);
    parts.push(part);
    made += part.length;
  }
  return new Uint8Array(Buffer.concat(parts));
}

function hostilePart(prng: Prng, left: number): Uint8Array {
  const kind = prng.below(8);
  if (kind < 3) return simulatedBytes(prng.nextU32(), Math.min(left, 30_000), 0.05, 0.02);
  if (kind === 3) return frameOf(10_004, prng.below(26));
  if (kind === 4) return frameOf(25 + prng.below(9_900)).slice(0, 1 + prng.below(9_000));
  if (kind === 5) {
    const flipped = simulatedBytes(prng.nextU32(), 5_000).slice();
    for (let i = 0; i < 3; i++) flipped[prng.below(flipped.length)] = prng.below(256);
    return flipped;
  }
  if (kind === 6) {
    const garbage = new Uint8Array(4_096);
    return garbage.slice(0, writeGarbage(garbage, 0, prng.below(GARBAGE_NAMES.length), prng));
  }
  return Uint8Array.from({ length: prng.below(60_000) }, () =>
    prng.chance(0.2) ? 0xf0 : 0x30 + prng.below(12),
  );
}

/**
 * Rendezvous hash: which member of a load-balancing group takes a key.
 *
 * WHY        Each member gets a score for the key, the highest takes it: so all members agree
 *            without talking, and when one goes, only its keys move. (D. Thaler, C. Ravishankar,
 *            "Using name-based mappings to increase hit rates", IEEE/ACM Trans. Networking, 1998.)
 * FUNCTION   hash(bytes) = FNV-1a, 32 bits (draft-eastlake-fnv: offset basis 2166136261, prime
 *            16777619); score(key, member) = fmix32(hash(key) ^ hash(name of the member)), fmix32
 *            the finalizer of MurmurHash3 (A. Appleby, public domain). The first of equals in the
 *            order of names wins. It is part of what users see (which subscriber goes where, also
 *            after a restart and in another version): a test holds vectors; do not change it.
 * REFUSED    A ring of tokens (tables, and uneven with few members); modulo (all keys move when one
 *            member goes); a 64-bit hash (BigInt, or two multiplications for each word).
 */
import { assert } from '../../toolkit/base/assert.ts';

const FNV_BASIS = 2166136261;
const FNV_PRIME = 16777619;

/** FNV-1a of a range of bytes, as u32. */
export function hashBytes(bytes: Uint8Array, offset: number, length: number): number {
  let hash = FNV_BASIS;
  const end = offset + length;
  for (let i = offset; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, FNV_PRIME);
  return hash >>> 0;
}

function fmix32(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** The members among whom keys are shared, and who of them takes one. */
export class Rendezvous {
  /** Sorted, as the order decides between equals. */
  readonly members: readonly string[];
  readonly #hashes: Int32Array;

  constructor(members: readonly string[]) {
    assert(members.length > 0, 'somebody takes each key');
    this.members = [...members].sort();
    this.#hashes = new Int32Array(members.length);
    for (let i = 0; i < members.length; i++) {
      const name = Buffer.from(this.members[i]!, 'utf8');
      this.#hashes[i] = hashBytes(name, 0, name.length);
    }
  }

  /** Index in `members` of who takes the key with this hash. */
  pick(keyHash: number): number {
    let best = 0;
    let bestScore = -1;
    for (let i = 0; i < this.#hashes.length; i++) {
      const score = fmix32(keyHash ^ this.#hashes[i]!);
      if (score > bestScore) {
        bestScore = score;
        best = i;
      }
    }
    return best;
  }
}

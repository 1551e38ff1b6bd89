/**
 * Live tops: who moves the most over the last minute, exactly, and only while somebody looks.
 *
 * WHY         The page asks once a second; SQL over files would be seconds behind and dear.
 *             Unwatched, the cost is one test a block.
 * LAYOUT      Per dimension a table of keys -> id (u32), and per 10-second bucket two arrays by id:
 *             bytes and sessions. The window is the last six buckets and the running one: 60 to 70
 *             s.
 * OWNERSHIP   The store's turn writes; topLive() reads in the same thread.
 * INVARIANTS  A dimension whose ids have grown beyond IDS_BEFORE_SWEEP keeps, at the next new
 *             bucket, only the keys that moved within the window. Sums are exact up to 2^53.
 * REFUSED     Sketches (Count-Min, Space-Saving): not exact, and the exact sums are affordable.
 */
import { decodeText, type RecordColumns, type TextColumn } from '../../rdr/index.ts';
import { grow } from './raw-batch.ts';
import { amountAt, type SumColumns } from './record-sums.ts';
import { TRAFFIC_FAMILY } from './tables.ts';

export type LiveDimension =
  | 'subscribers'
  | 'services'
  | 'packages'
  | 'protocols'
  | 'hosts'
  | 'exporters';

export interface LiveTopRow {
  readonly name: string;
  readonly bytes: number;
  readonly sessions: number;
  /** The same as sessions: one record a session. */
  readonly records: number;
}

export const BUCKET_MS = 10_000;
const BUCKETS = 7;
const LEASE_MS = 5_000;
const IDS_BEFORE_SWEEP = 65_536;
const IDS_MIN = 1024;

interface Bucket {
  bytes: Float64Array;
  sessions: Float64Array;
}

function makeBucket(): Bucket {
  return { bytes: new Float64Array(IDS_MIN), sessions: new Float64Array(IDS_MIN) };
}

/** Byte strings -> ids, by open addressing over 32-bit hashes; the bytes lie in one heap. */
class Interner {
  count = 0;
  #slots = new Int32Array(2 * IDS_MIN).fill(-1);
  #hashes = new Int32Array(IDS_MIN);
  #ends = new Uint32Array(IDS_MIN);
  #heap = new Uint8Array(32 * IDS_MIN);
  #used = 0;

  /** The id of bytes[from .. to); new ones get the next number. */
  intern(bytes: Uint8Array, from: number, to: number): number {
    let hash = (to - from) | 0;
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + bytes[i]!) | 0;
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 15)) & mask;
    for (;;) {
      const id = this.#slots[slot]!;
      if (id < 0) return this.#add(slot, hash, bytes, from, to);
      if (this.#hashes[id] === hash && this.#isSame(id, bytes, from, to)) return id;
      slot = (slot + 1) & mask;
    }
  }

  /** The bytes of an id, borrowed. */
  bytesOf(id: number): Uint8Array {
    return this.#heap.subarray(id === 0 ? 0 : this.#ends[id - 1]!, this.#ends[id]!);
  }

  #isSame(id: number, bytes: Uint8Array, from: number, to: number): boolean {
    const start = id === 0 ? 0 : this.#ends[id - 1]!;
    if (this.#ends[id]! - start !== to - from) return false;
    for (let i = from; i < to; i++) if (this.#heap[start + i - from] !== bytes[i]) return false;
    return true;
  }

  #add(slot: number, hash: number, bytes: Uint8Array, from: number, to: number): number {
    const id = this.count++;
    if (id >= this.#hashes.length) {
      this.#hashes = grow(this.#hashes, id + 1);
      this.#ends = grow(this.#ends, id + 1);
    }
    const need = this.#used + to - from;
    if (need > this.#heap.length) this.#heap = grow(this.#heap, need);
    for (let i = from; i < to; i++) this.#heap[this.#used + i - from] = bytes[i]!;
    this.#used = need;
    this.#hashes[id] = hash;
    this.#ends[id] = need;
    this.#slots[slot] = id;
    if (this.count * 2 > this.#slots.length) this.#rehash();
    return id;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = this.#slots.length - 1;
    for (let id = 0; id < this.count; id++) {
      const hash = this.#hashes[id]!;
      let slot = (hash ^ (hash >>> 15)) & mask;
      while (this.#slots[slot]! >= 0) slot = (slot + 1) & mask;
      this.#slots[slot] = id;
    }
  }
}

/** Sums of one dimension. */
class Dimension {
  #keys = new Interner();
  #buckets: Bucket[] = Array.from({ length: BUCKETS }, makeBucket);

  add(bucket: number, key: Uint8Array, from: number, to: number, bytes: number): void {
    const id = this.#keys.intern(key, from, to);
    const sums = this.#buckets[bucket]!;
    if (id >= sums.bytes.length) {
      sums.bytes = grow(sums.bytes, id + 1);
      sums.sessions = grow(sums.sessions, id + 1);
    }
    sums.bytes[id]! += bytes;
    sums.sessions[id]! += 1;
  }

  /** Empties a bucket for its next use; forgets keys that are in none. */
  clear(bucket: number): void {
    const sums = this.#buckets[bucket]!;
    sums.bytes.fill(0);
    sums.sessions.fill(0);
    if (this.#keys.count > IDS_BEFORE_SWEEP) this.#sweep();
  }

  #total(id: number): { bytes: number; sessions: number } {
    let bytes = 0;
    let sessions = 0;
    for (const bucket of this.#buckets) {
      bytes += bucket.bytes[id] ?? 0;
      sessions += bucket.sessions[id] ?? 0;
    }
    return { bytes, sessions };
  }

  #sweep(): void {
    const keys = new Interner();
    const buckets = Array.from({ length: BUCKETS }, makeBucket);
    for (let id = 0; id < this.#keys.count; id++) {
      if (this.#total(id).sessions === 0) continue;
      const key = this.#keys.bytesOf(id);
      const next = keys.intern(key, 0, key.length);
      buckets.forEach((bucket, i) => {
        const old = this.#buckets[i]!;
        if (next >= bucket.bytes.length) {
          bucket.bytes = grow(bucket.bytes, next + 1);
          bucket.sessions = grow(bucket.sessions, next + 1);
        }
        bucket.bytes[next] = old.bytes[id] ?? 0;
        bucket.sessions[next] = old.sessions[id] ?? 0;
      });
    }
    this.#keys = keys;
    this.#buckets = buckets;
  }

  top(count: number, by: 'bytes' | 'sessions'): LiveTopRow[] {
    const rows: { id: number; bytes: number; sessions: number }[] = [];
    let least = -1;
    for (let id = 0; id < this.#keys.count; id++) {
      const total = this.#total(id);
      if (total.sessions === 0 || total[by] <= least) continue;
      rows.push({ id, ...total });
      if (rows.length < 4 * count) continue;
      rows.sort((a, b) => b[by] - a[by]);
      rows.length = count;
      least = rows[count - 1]![by];
    }
    rows.sort((a, b) => b[by] - a[by]);
    return rows.slice(0, count).map(({ id, bytes, sessions }) => ({
      name: decodeText(this.#keys.bytesOf(id)),
      bytes,
      sessions,
      records: sessions,
    }));
  }
}

const INT_DIMENSIONS: readonly LiveDimension[] = ['services', 'packages', 'protocols'];

export class LiveTops {
  #dimensions: Map<LiveDimension, Dimension> | null = null;
  #leaseEndMs = 0;
  #bucketNumber = 0;
  readonly #scratch = new Uint8Array(64);
  readonly #nowMs: () => number;

  /** `nowMs`: a monotonic clock. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Somebody looks: sums are kept until no call has come for five seconds. */
  get isWatched(): boolean {
    return this.#dimensions !== null;
  }

  /** Renews the lease. */
  watch(): void {
    this.#leaseEndMs = this.#nowMs() + LEASE_MS;
    if (this.#dimensions !== null) return;
    this.#bucketNumber = Math.floor(this.#nowMs() / BUCKET_MS);
    this.#dimensions = new Map();
    for (const name of [...INT_DIMENSIONS, 'subscribers', 'hosts', 'exporters'] as const) {
      this.#dimensions.set(name, new Dimension());
    }
  }

  /** To be called now and then: ends the lease, moves the window on. */
  tick(): void {
    const dimensions = this.#dimensions;
    if (dimensions === null) return;
    const now = this.#nowMs();
    if (now > this.#leaseEndMs) {
      this.#dimensions = null;
      return;
    }
    const bucketNumber = Math.floor(now / BUCKET_MS);
    const steps = Math.min(BUCKETS, bucketNumber - this.#bucketNumber);
    for (let i = 0; i < steps; i++) {
      const bucket = (bucketNumber - i) % BUCKETS;
      for (const dimension of dimensions.values()) dimension.clear(bucket);
    }
    this.#bucketNumber = bucketNumber;
  }

  /** Adds rows from .. to - 1 of a table of the traffic family. */
  addRows(
    columns: RecordColumns,
    sums: SumColumns,
    from: number,
    to: number,
    exporter: string,
  ): void {
    const dimensions = this.#dimensions;
    if (dimensions === null) return;
    const bucket = this.#bucketNumber % BUCKETS;
    const source = TRAFFIC_FAMILY.find(({ table }) => table === columns.tableName)!;
    const text = (name: string): TextColumn =>
      columns.fields.find((field) => field.name === name) as TextColumn;
    const subscriber = text(source.subscriber);
    const host = text(source.host);
    const exporterLength = this.#write(exporter);
    for (let row = from; row < to; row++) {
      const bytes = amountAt(sums.up!, row) + amountAt(sums.down!, row);
      addText(dimensions.get('subscribers')!, bucket, subscriber, row, bytes);
      addText(dimensions.get('hosts')!, bucket, host, row, bytes);
      this.#write(exporter);
      dimensions.get('exporters')!.add(bucket, this.#scratch, 0, exporterLength, bytes);
      for (let i = 0; i < INT_DIMENSIONS.length; i++) {
        const column = sums.keys[i]!;
        if (column.valid[row] === 0) continue;
        const length = this.#write(String(amountAt(column, row)));
        dimensions.get(INT_DIMENSIONS[i]!)!.add(bucket, this.#scratch, 0, length, bytes);
      }
    }
  }

  #write(text: string): number {
    for (let i = 0; i < text.length; i++) this.#scratch[i] = text.charCodeAt(i);
    return text.length;
  }

  /** The n largest of a dimension over the last minute; [] while nothing was watched. */
  topLive(by: LiveDimension, n: number, order: 'bytes' | 'sessions' = 'bytes'): LiveTopRow[] {
    this.watch();
    this.tick();
    return this.#dimensions?.get(by)?.top(n, order) ?? [];
  }
}

function addText(
  dimension: Dimension,
  bucket: number,
  column: TextColumn,
  row: number,
  bytes: number,
): void {
  if (column.valid[row] === 0) return;
  const start = row === 0 ? 0 : column.ends[row - 1]!;
  dimension.add(bucket, column.bytes, start, column.ends[row]!, bytes);
}

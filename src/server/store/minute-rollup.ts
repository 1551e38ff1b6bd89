/**
 * Minute roll-up: sums per key, made while rows pass, written with the rows they come from.
 *
 * WHY         The page and `top` ask for sums per minute all the time. Summing here costs some 40
 *             ns a row; a GROUP BY in DuckDB over each flush costs four times that, and needs all
 *             small tables in DuckDB, which cost 10 ms each (plain-file.ts).
 * LAYOUT      Open addressing, linear probing, power-of-two slots. keys: KEYS numbers a slot
 *             (group, then integers of the record); sums: SUMS numbers a slot (records, sessions,
 *             upstream, downstream), exact up to 2^53. A group stands for (minute, exporter[,
 *             source]).
 * OWNERSHIP   One generation of the store; drained once.
 * INVARIANTS  used <= slots / 2.  A key that is NULL in the record is NULL_KEY here and NULL again
 *             in the file.
 */
import type { Batch } from './batch.ts';
import { GrowingInts, GrowingText } from './raw-batch.ts';

const KEYS = 4;
const SUMS = 4;
const SLOTS_MIN = 1024;
const MINUTE_US = 60_000_000;
/** No integer field reaches it. */
export const NULL_KEY = -Number.MAX_SAFE_INTEGER;

interface Group {
  readonly minute: number;
  readonly exporterText: Uint8Array;
  readonly source: Uint8Array | null;
}

export class MinuteRollup {
  #slots = SLOTS_MIN;
  #keys = new Float64Array(SLOTS_MIN * KEYS);
  #sums = new Float64Array(SLOTS_MIN * SUMS);
  /** 1 = taken. */
  #taken = new Uint8Array(SLOTS_MIN);
  #used = 0;
  readonly #groups: Group[] = [];
  readonly #groupIndexes = new Map<string, number>();

  get rowCount(): number {
    return this.#used;
  }

  /** The number of a group; look it up once a block and table, not once a row. */
  group(minute: number, exporter: string, exporterText: Uint8Array, source: string | null): number {
    const name = `${minute} ${exporter} ${source ?? ''}`;
    const known = this.#groupIndexes.get(name);
    if (known !== undefined) return known;
    const index = this.#groups.length;
    this.#groups.push({
      minute,
      exporterText: exporterText.slice(),
      source: source === null ? null : new TextEncoder().encode(source),
    });
    this.#groupIndexes.set(name, index);
    return index;
  }

  /** Adds one record. */
  add(
    group: number,
    a: number,
    b: number,
    c: number,
    sessions: number,
    up: number,
    down: number,
  ): void {
    const s = this.#place(group, a, b, c) * SUMS;
    const sums = this.#sums;
    sums[s]! += 1;
    sums[s + 1]! += sessions;
    sums[s + 2]! += up;
    sums[s + 3]! += down;
    if (this.#used * 2 > this.#slots) this.#growTable();
  }

  /** The slot of a key, taken now if it is new. */
  #place(group: number, a: number, b: number, c: number): number {
    const keys = this.#keys;
    const mask = this.#slots - 1;
    let hash = Math.imul(group, 0x9e3779b1) ^ Math.imul(a | 0, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ Math.imul(b | 0, 0xc2b2ae35);
    hash = Math.imul(hash ^ (hash >>> 13), 0x297a2d39) ^ Math.imul(c | 0, 0x27d4eb2f);
    let slot = (hash ^ (hash >>> 16)) & mask;
    for (;;) {
      const k = slot * KEYS;
      if (this.#taken[slot] === 0) {
        this.#taken[slot] = 1;
        keys[k] = group;
        keys[k + 1] = a;
        keys[k + 2] = b;
        keys[k + 3] = c;
        this.#used++;
        return slot;
      }
      if (keys[k] === group && keys[k + 1] === a && keys[k + 2] === b && keys[k + 3] === c) {
        return slot;
      }
      slot = (slot + 1) & mask;
    }
  }

  #growTable(): void {
    const keys = this.#keys;
    const sums = this.#sums;
    const taken = this.#taken;
    this.#slots *= 2;
    this.#keys = new Float64Array(this.#slots * KEYS);
    this.#sums = new Float64Array(this.#slots * SUMS);
    this.#taken = new Uint8Array(this.#slots);
    this.#used = 0;
    for (let slot = 0; slot < taken.length; slot++) {
      if (taken[slot] === 0) continue;
      const k = slot * KEYS;
      const to = this.#place(keys[k]!, keys[k + 1]!, keys[k + 2]!, keys[k + 3]!) * SUMS;
      for (let i = 0; i < SUMS; i++) this.#sums[to + i] = sums[slot * SUMS + i]!;
    }
  }

  /**
   * The rows of `traffic_minute` (keyCount 3) or `usage_minute` (source and one key): minute,
   * exporter, [source], keys, records, sessions, upstream, downstream.
   */
  asBatch(keyCount: 1 | 3, hasSource: boolean): Batch {
    const minutes = new GrowingInts();
    const exporters = new GrowingText();
    const sources = new GrowingText();
    const keys = [new GrowingInts(), new GrowingInts(), new GrowingInts()].slice(0, keyCount);
    const valid = keys.map(() => new Uint8Array(this.#used).fill(1));
    const sums = [new GrowingInts(), new GrowingInts(), new GrowingInts(), new GrowingInts()];
    let row = 0;
    for (let slot = 0; slot < this.#slots; slot++) {
      if (this.#taken[slot] === 0) continue;
      const group = this.#groups[this.#keys[slot * KEYS]!]!;
      minutes.set(row, group.minute * MINUTE_US);
      exporters.set(row, group.exporterText, 0, group.exporterText.length);
      if (group.source !== null) sources.set(row, group.source, 0, group.source.length);
      for (let i = 0; i < keyCount; i++) {
        const key = this.#keys[slot * KEYS + 1 + i]!;
        if (key === NULL_KEY) valid[i]![row] = 0;
        keys[i]!.set(row, key === NULL_KEY ? 0 : key);
      }
      for (let i = 0; i < SUMS; i++) sums[i]!.set(row, this.#sums[slot * SUMS + i]!);
      row++;
    }
    return {
      rowCount: row,
      columns: [
        minutes.asColumn(),
        exporters.asColumn(),
        ...(hasSource ? [sources.asColumn()] : []),
        ...keys.map((column, i) => column.asColumn(valid[i]!)),
        ...sums.map((column) => column.asColumn()),
      ],
    };
  }
}

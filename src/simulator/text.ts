/**
 * Texts: subscriber names, hosts, paths and the like, written into one scratch area.
 *
 * WHY        A third and more of all hosts and paths must be new, as in real traffic, or every
 *            dictionary behind the collector looks better than it is. New ones are composed from
 *            random characters, popular ones are slices of a pool; nothing is allocated.
 * LAYOUT     scratch: 0 host of this record, 256 path of this record, 1024 composed text.
 * OWNERSHIP  `source`, `from`, `to` tell where the last text stands; valid until the next call.
 */
import type { Prng } from '../toolkit/base/prng.ts';
import { scramble, subscriberIp } from './subscriber-pool.ts';
import {
  HOSTILE_POOL,
  HOSTS,
  PATH_BACKS,
  PATH_FRONTS,
  PATHS,
  RESOLUTIONS,
  STREAM_TITLES,
  type TextPool,
  USER_AGENTS,
} from './text-pool.ts';

/** Kinds of text that a field can hold. */
export const TEXT = {
  EMPTY: 0,
  SUBSCRIBER: 1,
  HASH: 2,
  HOST: 3,
  PATH: 4,
  URL: 5,
  REFERER: 6,
  COOKIE: 7,
  USER_AGENT: 8,
  TOKEN: 9,
  DATE: 10,
  TITLE: 11,
  RESOLUTION: 12,
  PHONE: 13,
  MAC: 14,
  OPTION_DATA: 15,
  ATTRIBUTE: 16,
} as const;

const HOST_AT = 0;
const PATH_AT = 256;
const WORK_AT = 1024;
const SCRATCH_BYTES = 4096;

const ALPHABET = new TextEncoder().encode('abcdefghijkmnpqrstuvwxyz23456789');
const HEX = new TextEncoder().encode('0123456789abcdef');
const FRESH_HOST_BACK = new TextEncoder().encode('.cdn.test');
const HTTP = new TextEncoder().encode('http://');
const AT_INET = new TextEncoder().encode('@inet');
const NOT_AVAILABLE = new TextEncoder().encode('N/A');
const COOKIE_FRONT = new TextEncoder().encode('sid=');

/** One subscriber in so many has no name, as some deployments send it. */
const NAMELESS_ONE_IN = 256;

export interface TextOptions {
  /** Share of hosts that are new, 0 .. 1. */
  readonly freshHostRatio: number;
  /** Share of paths that are new, 0 .. 1. */
  readonly freshPathRatio: number;
  /** New paths with directories and suffix (about 20 characters), or bare ones (8). */
  readonly longPaths: boolean;
}

/** Makes the texts of one record after another. */
export class TextMaker {
  readonly scratch: Uint8Array = new Uint8Array(SCRATCH_BYTES);
  source: Uint8Array = this.scratch;
  from = 0;
  to = 0;
  /** Index into HOSTILE_NAMES: hosts and paths of this record are that text; -1 is usual. */
  hostile = -1;
  readonly #prng: Prng;
  readonly #options: TextOptions;
  #rank = 0;
  #hostLength = 0;
  #pathLength = 0;
  #dateSeconds = -1;
  #dateBytes: Uint8Array = new Uint8Array(0);

  constructor(prng: Prng, options: TextOptions) {
    this.#prng = prng;
    this.#options = options;
  }

  /** Draws host and path of a record; a number that stays the same for the same popular host. */
  begin(rank: number): number {
    const prng = this.#prng;
    this.#rank = rank;
    const { freshHostRatio, freshPathRatio } = this.#options;
    let hostNumber: number;
    if (prng.unit() < freshHostRatio) {
      hostNumber = prng.nextU32();
      const end = this.#token(HOST_AT, hostNumber, 6);
      this.#hostLength = this.#append(FRESH_HOST_BACK, end) - HOST_AT;
    } else {
      // The product of two draws prefers low indexes: a few hosts take most of the traffic.
      hostNumber = Math.floor(prng.unit() * prng.unit() * HOSTS.count);
      this.#hostLength = this.#pooled(HOSTS, hostNumber, HOST_AT) - HOST_AT;
    }
    if (prng.unit() < freshPathRatio) this.#pathLength = this.#freshPath() - PATH_AT;
    else {
      const index = Math.floor(prng.unit() * prng.unit() * PATHS.count);
      this.#pathLength = this.#pooled(PATHS, index, PATH_AT) - PATH_AT;
    }
    return hostNumber;
  }

  /** Makes the text of a kind; the result stands in `source`, `from`, `to`. */
  make(kind: number, nowSeconds: number): void {
    this.source = this.scratch;
    this.from = WORK_AT;
    switch (kind) {
      case TEXT.SUBSCRIBER:
        this.to = this.#subscriber();
        return;
      case TEXT.HOST:
        if (this.hostile >= 0) this.#slice(HOSTILE_POOL, this.hostile);
        else this.#range(HOST_AT, this.#hostLength);
        return;
      case TEXT.PATH:
        if (this.hostile >= 0) this.#slice(HOSTILE_POOL, this.hostile);
        else this.#range(PATH_AT, this.#pathLength);
        return;
      case TEXT.URL:
        this.to = this.#url();
        return;
      case TEXT.REFERER:
        if (this.#prng.unit() < 0.5) this.to = WORK_AT;
        else this.to = this.#url();
        return;
      case TEXT.USER_AGENT:
        this.#slice(USER_AGENTS, this.#prng.below(USER_AGENTS.count));
        return;
      case TEXT.TITLE:
        this.#slice(STREAM_TITLES, this.#prng.below(STREAM_TITLES.count));
        return;
      case TEXT.RESOLUTION:
        this.#slice(RESOLUTIONS, this.#prng.below(RESOLUTIONS.count));
        return;
      case TEXT.DATE:
        this.#date(nowSeconds);
        return;
      default:
        this.to = this.#composed(kind);
    }
  }

  /** The rarer kinds, composed at WORK_AT: their end. */
  #composed(kind: number): number {
    const prng = this.#prng;
    switch (kind) {
      case TEXT.HASH:
        return this.#hash();
      case TEXT.COOKIE:
        return this.#token(this.#append(COOKIE_FRONT, WORK_AT), prng.nextU32(), 7);
      case TEXT.TOKEN:
        return this.#token(WORK_AT, prng.nextU32(), 7);
      case TEXT.PHONE:
        return this.#decimal(4_900_000_000 + prng.below(90_000_000), WORK_AT);
      case TEXT.MAC:
        return this.#octets(6, WORK_AT);
      case TEXT.OPTION_DATA:
        return this.#octets(prng.below(9), WORK_AT);
      case TEXT.ATTRIBUTE:
        return prng.unit() < 0.5 ? WORK_AT : this.#token(WORK_AT, prng.nextU32(), 6);
      default:
        return WORK_AT;
    }
  }

  #slice(pool: TextPool, index: number): void {
    this.source = pool.bytes;
    this.from = pool.starts[index]!;
    this.to = pool.starts[index + 1]!;
  }

  #range(at: number, length: number): void {
    this.from = at;
    this.to = at + length;
  }

  /** `10.134.213.202@inet`, the form of the one printed record. */
  #subscriber(): number {
    const rank = this.#rank;
    if (rank % NAMELESS_ONE_IN === NAMELESS_ONE_IN - 1) return this.#append(NOT_AVAILABLE, WORK_AT);
    const scratch = this.scratch;
    const ip = subscriberIp(rank);
    let at = this.#octet(ip >>> 24, WORK_AT);
    scratch[at] = 0x2e;
    at = this.#octet((ip >>> 16) & 255, at + 1);
    scratch[at] = 0x2e;
    at = this.#octet((ip >>> 8) & 255, at + 1);
    scratch[at] = 0x2e;
    at = this.#octet(ip & 255, at + 1);
    return this.#append(AT_INET, at);
  }

  /** 32 hexadecimal digits that stand for the subscriber. */
  #hash(): number {
    const scratch = this.scratch;
    let at = WORK_AT;
    for (let part = 0; part < 4; part++) {
      const word = scramble(this.#rank + part * 0x3c6ef372);
      for (let shift = 28; shift >= 0; shift -= 4) scratch[at++] = HEX[(word >>> shift) & 15]!;
    }
    return at;
  }

  #url(): number {
    const scratch = this.scratch;
    let at = this.#append(HTTP, WORK_AT);
    for (let i = 0; i < this.#hostLength; i++) scratch[at++] = scratch[HOST_AT + i]!;
    for (let i = 0; i < this.#pathLength; i++) scratch[at++] = scratch[PATH_AT + i]!;
    return at;
  }

  #freshPath(): number {
    const prng = this.#prng;
    const number = prng.nextU32();
    if (!this.#options.longPaths) {
      this.scratch[PATH_AT] = 0x2f;
      return this.#token(PATH_AT + 1, number, 7);
    }
    const shape = prng.below(PATH_FRONTS.count * PATH_BACKS.count);
    let at = this.#pooled(PATH_FRONTS, shape % PATH_FRONTS.count, PATH_AT);
    at = this.#token(at, number, 7);
    return this.#pooled(PATH_BACKS, Math.floor(shape / PATH_FRONTS.count), at);
  }

  #date(nowSeconds: number): void {
    if (this.#dateSeconds !== nowSeconds) {
      this.#dateSeconds = nowSeconds;
      this.#dateBytes = new TextEncoder().encode(new Date(nowSeconds * 1000).toUTCString());
    }
    this.source = this.#dateBytes;
    this.from = 0;
    this.to = this.#dateBytes.length;
  }

  /** `count` characters (at most 7) that show the bits of `number`: its end. */
  #token(at: number, number: number, count: number): number {
    const scratch = this.scratch;
    let bits = number;
    for (let i = 0; i < count; i++) {
      scratch[at + i] = ALPHABET[bits & 31]!;
      bits >>>= 5;
    }
    return at + count;
  }

  #octets(count: number, at: number): number {
    for (let i = 0; i < count; i++) this.scratch[at + i] = this.#prng.nextU32() >>> 24;
    return at + count;
  }

  #octet(value: number, at: number): number {
    const scratch = this.scratch;
    let end = at;
    if (value >= 100) scratch[end++] = 0x30 + Math.floor(value / 100);
    if (value >= 10) scratch[end++] = 0x30 + (Math.floor(value / 10) % 10);
    scratch[end++] = 0x30 + (value % 10);
    return end;
  }

  #decimal(value: number, at: number): number {
    const text = value;
    let digits = 1;
    for (let limit = 10; limit <= text; limit *= 10) digits++;
    let rest = text;
    for (let i = digits - 1; i >= 0; i--) {
      this.scratch[at + i] = 0x30 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
    return at + digits;
  }

  #append(text: Uint8Array, at: number): number {
    const scratch = this.scratch;
    for (let i = 0; i < text.length; i++) scratch[at + i] = text[i]!;
    return at + text.length;
  }

  #pooled(pool: TextPool, index: number, at: number): number {
    const { bytes, starts } = pool;
    const from = starts[index]!;
    const length = starts[index + 1]! - from;
    for (let i = 0; i < length; i++) this.scratch[at + i] = bytes[from + i]!;
    return at + length;
  }
}

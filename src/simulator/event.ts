/**
 * Event: draws what happens in the simulated network, into the slots that records are written from.
 *
 * VOLUMES  Log-normal-like: the number of bits is a count of coin tosses (binomial, so nearly
 *          normal), the bits below are uniform. Only integer arithmetic, the same on every machine.
 */
import type { Prng } from '../toolkit/base/prng.ts';
import { SERVICE_COUNT, SERVICE_DRAW, SERVICE_DRAW_MASK, SERVICES } from './services.ts';
import { SLOT, SLOT_COUNT } from './slot.ts';
import {
  type SubscriberPool,
  scramble,
  subscriberIp,
  subscriberPackage,
} from './subscriber-pool.ts';
import type { TextMaker } from './text.ts';

const LINKS = 2;
const ZONES = 8;
const SESSIONS_PER_REPORT_MAX = 4096;

export class EventSource {
  readonly slots: Float64Array = new Float64Array(SLOT_COUNT);
  readonly #prng: Prng;
  readonly #subscribers: SubscriberPool;
  readonly #text: TextMaker;

  constructor(prng: Prng, subscribers: SubscriberPool, text: TextMaker) {
    this.#prng = prng;
    this.#subscribers = subscribers;
    this.#text = text;
  }

  /** A session of a subscriber that ends now. */
  drawSession(nowSeconds: number): void {
    const prng = this.#prng;
    const slots = this.slots;
    const rank = this.#subscribers.draw(prng);
    const hostNumber = this.#text.begin(rank);
    const draw = prng.nextU32();
    const serviceId = SERVICE_DRAW[draw & SERVICE_DRAW_MASK]!;
    const service = SERVICES[serviceId - 1]!;
    slots[SLOT.PACKAGE] = subscriberPackage(rank);
    slots[SLOT.SERVICE] = serviceId;
    slots[SLOT.PROTOCOL] = service.protocolId;
    slots[SLOT.SIGNATURE] = service.signature;
    slots[SLOT.IP_PROTOCOL] = service.ipProtocol;
    slots[SLOT.SERVER_IP] = (0x20000000 + (scramble(hostNumber) & 0x7fffffff)) >>> 0;
    slots[SLOT.SERVER_PORT] = service.serverPort;
    slots[SLOT.CLIENT_IP] = subscriberIp(rank);
    slots[SLOT.HASHED_IP] = scramble(rank ^ 0x5bd1e995);
    slots[SLOT.CLIENT_PORT] = 1024 + ((draw >>> 10) & 0xf7ff);
    slots[SLOT.INITIATING_SIDE] = (draw >>> 26) & 7 ? 0 : 1;
    slots[SLOT.ZONE] = 1 + ((draw >>> 29) % ZONES);
    slots[SLOT.NOW] = nowSeconds;
    this.#drawAmounts(nowSeconds);
    slots[SLOT.END_TIME] = nowSeconds;
    slots[SLOT.COUNTER] = serviceId;
    slots[SLOT.LINK] = rank % LINKS;
    slots[SLOT.GENERATOR] = rank & 3;
    slots[SLOT.DIRECTION] = draw >>> 31;
    slots[SLOT.SESSIONS] = 1;
  }

  /** Duration and volumes of a session, in milliseconds and bytes. */
  #drawAmounts(nowSeconds: number): void {
    const prng = this.#prng;
    const slots = this.slots;
    const durationMs = lognormal(prng, 4, 16);
    const seconds = Math.floor(durationMs / 1000);
    const up = lognormal(prng, 4, 18);
    const down = lognormal(prng, 5, 21);
    slots[SLOT.DURATION_MS] = durationMs;
    slots[SLOT.DURATION_SECONDS] = seconds;
    slots[SLOT.START_TIME] = nowSeconds - seconds;
    slots[SLOT.UPSTREAM] = up;
    slots[SLOT.DOWNSTREAM] = down;
    slots[SLOT.TOTAL_VOLUME] = up + down;
    slots[SLOT.PERIOD] = seconds;
    slots[SLOT.COVERED] = seconds;
  }

  /**
   * The report of counter `key` over the period that ended at `endTime` (seconds since 1970).
   * Volumes are kilobytes; one report in 32 is zero, as after a counter fell silent.
   */
  drawReport(key: number, periodSeconds: number, endTime: number, nowSeconds: number): void {
    this.drawSession(nowSeconds);
    const prng = this.#prng;
    const slots = this.slots;
    const rest = Math.floor(key / SERVICE_COUNT);
    const isSilent = prng.below(32) === 0;
    const up = isSilent ? 0 : lognormal(prng, 6, 18);
    const down = isSilent ? 0 : lognormal(prng, 7, 20);
    const sessions = isSilent ? 0 : 1 + prng.below(SESSIONS_PER_REPORT_MAX);
    slots[SLOT.COUNTER] = 1 + (key % SERVICE_COUNT);
    slots[SLOT.LINK] = rest;
    slots[SLOT.ZONE] = 1 + rest;
    slots[SLOT.PACKAGE] = 1 + rest;
    slots[SLOT.DIRECTION] = rest & 1;
    slots[SLOT.GENERATOR] = 0;
    slots[SLOT.PERIOD] = periodSeconds;
    slots[SLOT.COVERED] = periodSeconds;
    slots[SLOT.END_TIME] = endTime;
    slots[SLOT.START_TIME] = endTime - periodSeconds;
    slots[SLOT.UPSTREAM] = up;
    slots[SLOT.DOWNSTREAM] = down;
    slots[SLOT.TOTAL_VOLUME] = up + down;
    slots[SLOT.SESSIONS] = sessions;
    slots[SLOT.DURATION_SECONDS] = sessions * 11;
    slots[SLOT.ACTIVE_SUBSCRIBERS] = Math.min(this.#subscribers.count, 1 + sessions);
  }
}

/** About 2^(lowBits + spread / 2), at most 2^(lowBits + spread + 1); below 2^30. */
function lognormal(prng: Prng, lowBits: number, spread: number): number {
  const bits = lowBits + popcount(prng.nextU32() >>> (32 - spread));
  const base = 1 << bits;
  return base + prng.below(base);
}

/** Number of one bits. */
function popcount(value: number): number {
  let v = value - ((value >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

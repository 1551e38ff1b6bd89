/**
 * Catch-up client: how the forwarder asks for ranges that are not in the page cache.
 *
 * WHY        See catchup-stage.ts. A request never waits: it has an id, and whoever made it looks
 *            whether that is done when the forwarder's eventfd wakes it.
 * OWNERSHIP  The forward worker; writer side of the ring of requests. The segment of a request is
 *            held until the request is done, whatever becomes of the channel that asked.
 * INVARIANTS 1. Requests survive the catch-up worker: its successor does what it had not done.
 *            2. None hangs: one that nobody does for GIVE_UP_MS counts as done, so that its channel
 *               reads for itself, and slowly, rather than never.
 */
import { monotonicMs } from '../../toolkit/base/clock.ts';
import type { SpscProducer } from '../../toolkit/ring/index.ts';
import { IdleStrategy, type IdleWaker, NO_SLOT, SpscRing } from '../../toolkit/ring/index.ts';
import type { CatchupHandle } from '../setup.ts';
import {
  CatchupWords,
  REQUEST_FD,
  REQUEST_ID,
  REQUEST_LENGTH,
  setRequestOffset,
} from './catchup-slot.ts';
import type { OpenSegment, SegmentFiles } from './segment-files.ts';

/** No request: the ring is full. Ids of requests are others. */
export const NO_REQUEST = 0;

/**
 * Far beyond what a disk needs for the requests of all channels; the supervisor starts a catch-up
 * worker that died again within 10 s.
 */
const GIVE_UP_MS = 30_000;

interface Pending {
  readonly id: number;
  readonly segment: OpenSegment;
  readonly askedMs: number;
}

export class CatchupClient {
  readonly #files: SegmentFiles;
  readonly #requests: SpscProducer;
  readonly #words: CatchupWords;
  readonly #waker: IdleWaker;
  readonly #nowMs: () => number;
  /** In the order of their ids. */
  #pending: Pending[] = [];
  #asked = 0;
  #abandoned = 0;

  /** `nowMs` is for tests. */
  constructor(handle: CatchupHandle, files: SegmentFiles, nowMs: () => number = monotonicMs) {
    this.#files = files;
    this.#requests = SpscRing.producer(handle.ring);
    this.#words = new CatchupWords(handle.done);
    this.#waker = IdleStrategy.waker(handle.idle);
    this.#nowMs = nowMs;
  }

  /** Requests that were made. */
  get asked(): number {
    return this.#asked;
  }

  /** Requests that nobody did in time. */
  get abandoned(): number {
    return this.#abandoned;
  }

  /** Bytes that the catch-up worker has read, in all its lives. */
  get bytes(): number {
    return this.#words.bytes;
  }

  /** Asks for a range of a segment; returns the id of the request, or NO_REQUEST. */
  request(segment: OpenSegment, fileOffset: number, length: number): number {
    this.poll();
    const slot = this.#requests.claim();
    if (slot === NO_SLOT) return NO_REQUEST;
    const id = nextId(this.#words.requested);
    const words = this.#requests.slots;
    words[slot + REQUEST_ID] = id;
    words[slot + REQUEST_FD] = segment.fd;
    setRequestOffset(words, slot, fileOffset);
    words[slot + REQUEST_LENGTH] = length;
    this.#files.retain(segment);
    this.#pending.push({ id, segment, askedMs: this.#nowMs() });
    this.#words.requested = id;
    this.#requests.commit();
    this.#waker.wake();
    this.#asked++;
    return id;
  }

  /** True when the request is done, or nobody does it. */
  isDone(id: number): boolean {
    this.poll();
    const pending = this.#pending.find((request) => request.id === id);
    if (pending === undefined) return true;
    if (this.#nowMs() - pending.askedMs < GIVE_UP_MS) return false;
    this.#abandoned++;
    return true;
  }

  /** Lets go of the segments of requests that are done: once a turn. */
  poll(): void {
    const { done } = this.#words;
    while (this.#pending.length > 0 && ((done - this.#pending[0]!.id) | 0) >= 0) {
      this.#files.release(this.#pending.shift()!.segment);
    }
  }

  /** Lets go of the ring and of the segments: at the end of the forwarder. */
  close(): void {
    for (const { segment } of this.#pending) this.#files.release(segment);
    this.#pending = [];
    this.#requests.close();
  }
}

/** Ids wrap, and are never NO_REQUEST. */
function nextId(id: number): number {
  const next = (id + 1) | 0;
  return next === NO_REQUEST ? 1 : next;
}

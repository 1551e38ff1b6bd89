/**
 * Warming cursor: a block cursor that has the catch-up worker read what is cold.
 *
 * WHY        A channel that lags behind the page cache goes on as fast as the disk reads, while the
 *            thread that it shares with the others never waits for the disk.
 * FLOW       The cursor says CURSOR_COLD: a window from there on is asked for, and CURSOR_COLD is
 *            the answer until it is done; the forwarder's eventfd says when. From then on windows
 *            are asked for ahead, half a window before they are needed, until the cursor is among
 *            bytes that were warm without.
 * INVARIANTS 1. One request at a time.  2. What is cold again right after it was read (memory is
 *            short), or cannot be read, is read here, and waited for: slow, but it goes on.
 */
import {
  type BlockCursor,
  CURSOR_BLOCK,
  CURSOR_COLD,
  type CursorBlock,
  type CursorStep,
  type LostRecords,
} from './block-cursor.ts';
import { type CatchupClient, NO_REQUEST } from './catchup-client.ts';

/**
 * 40 ms at 100 MB/s: what another channel's request may have to wait for, while the two wake-ups
 * of a request, 0.1 ms, stay small. A hundred channels have 400 MiB of the page cache in use.
 */
export const WINDOW_BYTES = 4 * 1024 * 1024;

export class WarmingCursor {
  readonly #cursor: BlockCursor;
  readonly #client: CatchupClient;
  #request = NO_REQUEST;
  /** Where the cursor was cold when it asked last. */
  #coldPosition = -1;
  /** End of what was asked for; -1: the cursor is among bytes that are warm by themselves. */
  #askedEnd = -1;
  /** The cursor needs what is asked for. */
  #isWaiting = false;

  constructor(cursor: BlockCursor, client: CatchupClient) {
    this.#cursor = cursor;
    this.#client = client;
  }

  get block(): CursorBlock {
    return this.#cursor.block;
  }

  get position(): number {
    return this.#cursor.position;
  }

  get ordinal(): number {
    return this.#cursor.ordinal;
  }

  get problem(): string {
    return this.#cursor.problem;
  }

  /** As BlockCursor.next; CURSOR_COLD: the catch-up worker is at it, and wakes the forwarder. */
  next(): CursorStep {
    if (this.#request !== NO_REQUEST && this.#client.isDone(this.#request)) {
      this.#request = NO_REQUEST;
      this.#isWaiting = false;
    }
    if (this.#isWaiting) return CURSOR_COLD;
    const step = this.#cursor.next();
    if (step === CURSOR_COLD) return this.#onCold();
    if (step === CURSOR_BLOCK) this.#askAhead();
    return step;
  }

  takeLost(): Readonly<LostRecords> {
    return this.#cursor.takeLost();
  }

  close(): void {
    this.#forget();
    this.#cursor.close();
  }

  /** A request that is under way is done for nobody; the client holds its segment so long. */
  #forget(): void {
    this.#request = NO_REQUEST;
    this.#isWaiting = false;
    this.#coldPosition = -1;
    this.#askedEnd = -1;
  }

  #onCold(): CursorStep {
    const cursor = this.#cursor;
    if (this.#request !== NO_REQUEST) {
      this.#isWaiting = true;
      return CURSOR_COLD;
    }
    const { position } = cursor;
    if (position === this.#coldPosition) {
      cursor.waitBelow(position + 1);
      const step = cursor.next();
      // Not here again, but further on.
      return step === CURSOR_COLD ? this.#onCold() : step;
    }
    if (this.#ask(position, Math.max(WINDOW_BYTES, cursor.coldLength))) {
      this.#coldPosition = position;
      this.#isWaiting = true;
    }
    return CURSOR_COLD;
  }

  /** After a block: the next window, when half of the last one is behind the cursor. */
  #askAhead(): void {
    const end = this.#askedEnd;
    const { position } = this.#cursor;
    if (this.#request !== NO_REQUEST || position <= end - WINDOW_BYTES / 2 || end < 0) return;
    // In its middle: at its beginning stands what the kernel has read ahead.
    if (position <= end && this.#cursor.isCold(end + WINDOW_BYTES / 2)) {
      this.#ask(end, WINDOW_BYTES);
    } else this.#askedEnd = -1;
  }

  #ask(position: number, length: number): boolean {
    const { segment } = this.#cursor;
    if (segment === null) return false;
    this.#request = this.#client.request(segment, position - segment.position, length);
    if (this.#request === NO_REQUEST) return false;
    this.#askedEnd = position + length;
    return true;
  }
}

/**
 * Catch-up stage: reads into the page cache what the forwarder needs from the disk.
 *
 * WHY         One thread sends to all destinations. If it waited for the disk on behalf of one that
 *             lags, all would wait; so this one waits.
 * OWNERSHIP   Reader side of the ring of requests; a buffer of its own. The fds are the
 *             forwarder's, which keeps them open until their request is done.
 * TURN        one request, STEP_BYTES at a time; then `done` is set, the forwarder's eventfd
 *             signalled, the slot given back. A read that fails ends its request: the forwarder
 *             finds what is wrong when it reads.
 * REFUSED     posix_fadvise(WILLNEED), readahead(2) (nobody tells when the bytes are there, and
 *             both read less than asked when they like); threads of libuv for each read (no order,
 *             and the destinations would share four of them with everything else).
 */
import { type IdleSleeper, NO_SLOT, type SpscConsumer } from '../../toolkit/ring/index.ts';
import { eventfdSignal, pread } from '../../toolkit/sys/index.ts';
import type { Control } from '../control.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import {
  type CatchupWords,
  REQUEST_FD,
  REQUEST_ID,
  REQUEST_LENGTH,
  requestOffset,
} from './catchup-slot.ts';

/** The buffer, and the longest time without a look at the control: 10 ms at 100 MB/s. */
const STEP_BYTES = 1024 * 1024;

export interface CatchupDependencies {
  readonly requests: SpscConsumer;
  readonly words: CatchupWords;
  readonly sleeper: IdleSleeper;
  readonly control: Control;
  /** The forwarder's eventfd. */
  readonly wakeFd: number;
}

export class CatchupStage implements Stage {
  readonly roleName = 'catchup';
  readonly #deps: CatchupDependencies;
  readonly #bytes = new Uint8Array(STEP_BYTES);
  readonly #hasWork: () => boolean;
  done = false;

  constructor(deps: CatchupDependencies) {
    this.#deps = deps;
    this.#hasWork = () => deps.requests.used() > 0;
  }

  onStart(): void {}

  doWork(): number {
    const { requests, control, sleeper, words, wakeFd } = this.#deps;
    if (control.isDraining) {
      this.done = true;
      return 0;
    }
    const slot = requests.peek();
    if (slot === NO_SLOT) {
      sleeper.park(IDLE_WAIT_MS, this.#hasWork);
      return 0;
    }
    const { slots } = requests;
    this.#readRange(
      slots[slot + REQUEST_FD]!,
      requestOffset(slots, slot),
      slots[slot + REQUEST_LENGTH]!,
    );
    words.done = slots[slot + REQUEST_ID]!;
    requests.release();
    eventfdSignal(wakeFd);
    return 1;
  }

  onClose(): void {
    this.#deps.requests.close();
    this.#deps.sleeper.close();
    this.#deps.control.close();
  }

  #readRange(fd: number, offset: number, length: number): void {
    for (let read = 0; read < length && !this.#deps.control.isDraining; ) {
      const step = Math.min(STEP_BYTES, length - read);
      const got = pread(fd, this.#bytes, 0, step, offset + read);
      if (got <= 0) return;
      read += got;
      this.#deps.words.addBytes(got);
    }
  }
}

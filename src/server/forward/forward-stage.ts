/**
 * Forward stage: the loop of the forward worker.
 *
 * WHY        One thread serves all channels: none waits for another, and each gets a bounded piece
 *            of every turn. It reads segment files below the published position and no page of the
 *            arena, so that it can never stall the intake.
 * TURN       door (answers, new options) -> each lane reads and hands on -> each destination sends
 *            and hears -> groups -> positions -> report. Then it sleeps in epoll_wait(2), if there
 *            was nothing to do, until a socket, a timer, the journal or the main thread wakes it.
 * LINGER     After a turn that did something, blocks may gather for the shortest linger time: the
 *            journal is not asked to wake us, so that a turn moves several of them. A wake-up and
 *            its cold caches cost about as much as to send a block.
 * ORDER      The lane that comes first changes with each turn.
 * DRAIN      The journal has published its last block. What can be sent is sent, for as long as
 *            something goes on and at most FORWARD_DRAIN_MS; then every connection ends at a record
 *            boundary, positions are written, and what was not begun waits for the next start.
 */
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import type { Control, Tell } from '../control.ts';
import type { ForwardSleep } from '../journal/forward-sleep.ts';
import type { JournalShared } from '../journal/shared.ts';
import { IDLE_WAIT_MS, type Stage } from '../stage.ts';
import type { CatchupClient } from './catchup-client.ts';
import type { Door } from './door.ts';
import type { DoorResolver } from './door-resolver.ts';
import type { Lanes } from './lanes.ts';
import { FORWARD_DRAIN_MS } from './options.ts';
import type { Poller } from './poller.ts';
import type { SegmentFiles } from './segment-files.ts';

/** Blocks that one lane reads in a turn: of 256 KiB each they are more than a socket takes. */
export const BLOCKS_PER_TURN = 16;
export const REPORT_EVERY_MS = 200;
/** Of a drain: what is left for the acknowledgements of what was sent. */
const LAST_ACKS_MS = 500;

export interface ForwardStageParts {
  readonly shared: JournalShared;
  readonly sleep: ForwardSleep;
  readonly poller: Poller;
  readonly door: Door;
  readonly resolver: DoorResolver;
  readonly lanes: Lanes;
  /** null: nobody reads for us. */
  readonly catchup: CatchupClient | null;
  readonly segments: Pick<SegmentFiles, 'openErrors'>;
  readonly control: Control;
  readonly tell: Tell;
  readonly nowMs: () => number;
}

type Phase = 'running' | 'draining' | 'ending' | 'done';

export class ForwardStage implements Stage {
  readonly roleName = 'forward';
  readonly #parts: ForwardStageParts;
  #phase: Phase = 'running';
  #endMs = 0;
  #reportMs = 0;

  constructor(parts: ForwardStageParts) {
    this.#parts = parts;
  }

  get done(): boolean {
    return this.#phase === 'done';
  }

  onStart(): void {
    this.#holdJournal();
    this.#report();
  }

  doWork(): number {
    const { poller, door, resolver, lanes, shared, catchup, nowMs } = this.#parts;
    const now = nowMs();
    if (poller.takeWoken()) door.poll();
    resolver.answer();
    catchup?.poll();
    const options = door.takeOptions();
    const { publishedPosition } = shared;
    if (options !== null) lanes.reload(options, shared, now);
    const isReading = this.#phase === 'running' || this.#phase === 'draining';
    const work = lanes.turn(isReading ? BLOCKS_PER_TURN : 0, shared, now);
    this.#holdJournal();
    if (now >= this.#reportMs) this.#report();
    this.#goOn(work, now);
    if (!this.done) this.#wait(work, publishedPosition, now);
    return work;
  }

  onClose(): void {
    const { lanes, poller, door, control, catchup, nowMs } = this.#parts;
    lanes.close(nowMs());
    catchup?.close();
    this.#holdJournal();
    this.#report();
    poller.close();
    door.close();
    control.close();
  }

  #goOn(work: number, now: number): void {
    const { control, lanes, shared } = this.#parts;
    if (this.#phase === 'running') {
      if (!control.isDraining) return;
      this.#phase = 'draining';
      this.#endMs = now + FORWARD_DRAIN_MS - LAST_ACKS_MS;
    }
    if (this.#phase === 'draining') {
      const isLast = work === 0 && lanes.areStuck(shared.publishedPosition);
      if (!isLast && now < this.#endMs) return;
      this.#phase = 'ending';
      this.#endMs = now + LAST_ACKS_MS;
      lanes.drain(now, LAST_ACKS_MS);
    }
    if (lanes.areClosed || now >= this.#endMs) this.#phase = 'done';
  }

  #wait(work: number, seenPosition: number, now: number): void {
    const { poller, sleep, lanes } = this.#parts;
    if (work > 0) {
      const lingerMs = this.#phase === 'running' ? lanes.lingerMs : 0;
      const mostMs = Math.min(lingerMs, IDLE_WAIT_MS);
      poller.wait(mostMs === 0 ? 0 : Math.max(0, Math.min(mostMs, lanes.nextTimerMs - now)));
      return;
    }
    if (!sleep.arm(seenPosition)) return;
    poller.wait(Math.max(0, Math.min(IDLE_WAIT_MS, lanes.nextTimerMs - now)));
    sleep.disarm(false);
  }

  /** The keeper keeps what the slowest of those that hold has not settled. */
  #holdJournal(): void {
    const { shared, lanes } = this.#parts;
    const position = Math.min(POSITION_MAX, lanes.heldPosition);
    if (shared.forwardPosition !== position) shared.forwardPosition = position;
  }

  #report(): void {
    const { tell, lanes, shared, door, catchup, segments, nowMs } = this.#parts;
    this.#reportMs = nowMs() + REPORT_EVERY_MS;
    const reads = {
      coldReads: catchup?.asked ?? 0,
      catchupBytes: catchup?.bytes ?? 0,
      catchupAbandoned: catchup?.abandoned ?? 0,
      openErrors: segments.openErrors,
    };
    tell({ kind: 'forward', report: { ...lanes.report(shared, door.generation), ...reads } });
  }
}

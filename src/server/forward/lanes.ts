/**
 * Lanes: all lanes of the forward worker, and what a reload makes of them.
 *
 * RELOAD     By name. A channel whose options are the same goes on untouched, its connections
 *            included; so does one whose connections can bear what has changed, with other options
 *            (channel-changes.ts); a new one begins by `from`. One that is gone, or is to be
 *            reopened, ends first: its connections end at a record boundary, for at most ENDING_MS.
 *            Then the position file of the first goes, and the second is opened from its position.
 */
import { wallMs } from '../../toolkit/base/clock.ts';
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { threadCpuUs } from '../../toolkit/sys/index.ts';
import { channelChanges } from './channel-changes.ts';
import type { Groups } from './groups.ts';
import { Lane, type LaneContext } from './lane.ts';
import type { ChannelOptions, ForwardOptions } from './options.ts';
import { readPositions, removePosition } from './position-file.ts';
import type { ForwardReport } from './report.ts';

/** What a lane that ends has, for the record that is under way and its acknowledgement. */
const ENDING_MS = 3_000;
/** A channel whose position file could not be opened. */
const OPEN_AGAIN_MS = 1_000;

/** But for what others count. */
type LanesReport = Omit<ForwardReport, 'coldReads' | 'catchupBytes'>;

/** What the journal has published: JournalShared. */
export interface Published {
  readonly publishedPosition: number;
  readonly publishedOrdinal: number;
}

/** A lane that ends; `next`: what its channel will be, null: it is configured no more. */
interface Ending {
  readonly lane: Lane;
  readonly endMs: number;
  next: ChannelOptions | null;
}

export class Lanes {
  readonly #context: LaneContext;
  readonly #groups: Groups;
  #lanes: Lane[] = [];
  #endings: Ending[] = [];
  #options: ForwardOptions;
  /** Channels that could not be opened, and when to try again. */
  #unopened: ChannelOptions[] = [];
  #openAgainMs = 0;
  #first = 0;
  readonly #startCpuUs = threadCpuUs();

  constructor(
    options: ForwardOptions,
    context: LaneContext,
    groups: Groups,
    published: Published,
    nowMs: number,
  ) {
    this.#context = context;
    this.#groups = groups;
    this.#options = options;
    this.#removeUnknown(options);
    this.#openAll(options.channels, published, nowMs);
  }

  get all(): readonly Lane[] {
    return this.#lanes;
  }

  get nextTimerMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) nextMs = Math.min(nextMs, lane.nextTimerMs);
    for (const { lane, endMs } of this.#endings) nextMs = Math.min(nextMs, lane.nextTimerMs, endMs);
    return nextMs;
  }

  /**
   * How long the next blocks may wait, so that they come together: the shortest linger time, where
   * every lane has handed on all of the journal; else 0.
   */
  get lingerMs(): number {
    if (this.#endings.length > 0) return 0;
    let lingerMs = Number.POSITIVE_INFINITY;
    for (const lane of this.#lanes) lingerMs = Math.min(lingerMs, lane.isAtEnd ? lane.lingerMs : 0);
    return lingerMs;
  }

  /** The lowest position that a holding lane needs; POSITION_MAX: none. */
  get heldPosition(): number {
    let lowest = POSITION_MAX;
    for (const lane of this.#lanes)
      if (lane.isHolding) lowest = Math.min(lowest, lane.writtenPosition);
    for (const { lane, next } of this.#endings) {
      if (next !== null && lane.isHolding) lowest = Math.min(lowest, lane.writtenPosition);
    }
    return lowest;
  }

  get areClosed(): boolean {
    return this.#endings.length === 0 && this.#lanes.every((lane) => lane.isClosed);
  }

  areStuck(publishedPosition: number): boolean {
    return this.#lanes.every((lane) => lane.isStuck(publishedPosition));
  }

  /** One bounded piece of work of each lane. Returns blocks read plus bytes sent. */
  turn(blocks: number, published: Published, nowMs: number): number {
    const count = this.#lanes.length;
    let work = 0;
    this.#first = count === 0 ? 0 : (this.#first + 1) % count;
    for (let i = 0; i < count; i++) {
      const lane = this.#lanes[(this.#first + i) % count]!;
      if (blocks > 0) work += lane.advance(blocks, published.publishedPosition, nowMs);
      work += lane.turn(nowMs);
    }
    if (!this.#isMemberAway) this.#groups.turn(this.#lanes, nowMs);
    if (this.#endings.length > 0) work += this.#end(published, nowMs);
    if (this.#unopened.length > 0 && nowMs >= this.#openAgainMs) {
      const again = this.#unopened;
      this.#unopened = [];
      this.#openAll(again, published, nowMs);
    }
    return work;
  }

  reload(options: ForwardOptions, published: Published, nowMs: number): void {
    this.#options = options;
    const wanted = new Map(options.channels.map((channel) => [channel.name, channel]));
    this.#unopened = [];
    for (const ending of this.#endings) {
      ending.next = wanted.get(ending.lane.name) ?? null;
      wanted.delete(ending.lane.name);
    }
    this.#lanes = this.#lanes.filter((lane) => {
      const next = wanted.get(lane.name) ?? null;
      wanted.delete(lane.name);
      if (next !== null && this.#isKept(lane, next, nowMs)) return true;
      lane.drain(nowMs, ENDING_MS);
      this.#endings.push({ lane, endMs: nowMs + ENDING_MS, next });
      return false;
    });
    this.#context.keepSelectors(options.channels);
    this.#openAll([...wanted.values()], published, nowMs);
  }

  /** False: it must be reopened. */
  #isKept(lane: Lane, next: ChannelOptions, nowMs: number): boolean {
    const { keys, mustReopen } = channelChanges(lane.options, next);
    if (!mustReopen && keys.length > 0) lane.configure(next, nowMs);
    return !mustReopen;
  }

  drain(nowMs: number, waitMs: number): void {
    for (const lane of this.#lanes) lane.drain(nowMs, waitMs);
  }

  /** For good, once. The last report still has all channels, and what they hold stays held. */
  close(nowMs: number): void {
    for (const lane of this.#lanes) lane.close(nowMs);
    for (const { lane } of this.#endings) lane.close(nowMs);
  }

  report({ publishedPosition, publishedOrdinal }: Published, generation: number): LanesReport {
    return {
      timeMs: wallMs(),
      generation,
      channels: this.#lanes.map((lane) => lane.report(publishedPosition, publishedOrdinal)),
      cpuMs: (threadCpuUs() - this.#startCpuUs) / 1000,
    };
  }

  /**
   * A member of a load-balancing group is to be opened, again or still. Its group stays as it is
   * meanwhile: what it has not read goes by epochs that nobody else may need any more.
   */
  get #isMemberAway(): boolean {
    return (
      this.#unopened.some(({ balance }) => balance !== null) ||
      this.#endings.some(({ next }) => next !== null && next.balance !== null)
    );
  }

  /** All begin at the same place, wherever the journal is meanwhile. */
  #openAll(
    channels: readonly ChannelOptions[],
    { publishedPosition, publishedOrdinal }: Published,
    nowMs: number,
  ): void {
    const published = { publishedPosition, publishedOrdinal };
    this.#groups.configure(this.#options.channels, publishedPosition);
    for (const channel of channels) this.#open(channel, published, nowMs);
  }

  #open(channel: ChannelOptions, { publishedPosition }: Published, nowMs: number): void {
    try {
      this.#lanes.push(new Lane(channel, this.#context, publishedPosition, nowMs));
    } catch (error) {
      this.#openAgainMs = nowMs + OPEN_AGAIN_MS;
      this.#unopened.push(channel);
      this.#context.warn('a channel cannot be opened: it is tried again', {
        channel: channel.name,
        error: String(error),
      });
    }
  }

  /** Lanes that end get their turns, and go when they have ended. */
  #end(published: Published, nowMs: number): number {
    let work = 0;
    const ended: Ending[] = [];
    this.#endings = this.#endings.filter((ending) => {
      work += ending.lane.turn(nowMs);
      if (!ending.lane.isClosed && nowMs < ending.endMs) return true;
      ended.push(ending);
      return false;
    });
    for (const { lane, next } of ended) {
      if (next === null) this.#remove(lane, published.publishedOrdinal, nowMs);
      else {
        lane.close(nowMs);
        this.#open(next, published, nowMs);
      }
    }
    return work;
  }

  #remove(lane: Lane, publishedOrdinal: number, nowMs: number): void {
    const records = lane.remove(nowMs, publishedOrdinal);
    this.#context.warn('a destination is configured no more: its rest is not sent', {
      channel: lane.name,
      records,
    });
  }

  /** Position files of channels that were removed while no server ran would hold the journal. */
  #removeUnknown(options: ForwardOptions): void {
    const known = new Set(options.channels.map((channel) => channel.name));
    for (const { channel } of readPositions(this.#context.folder)) {
      if (known.has(channel)) continue;
      removePosition(this.#context.folder, channel);
      this.#context.warn('a position is removed: its channel is configured no more', { channel });
    }
  }
}

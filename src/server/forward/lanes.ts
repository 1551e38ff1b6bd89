/**
 * Lanes: all lanes of the forward worker, and what a reload makes of them.
 *
 * RELOAD     By name. A channel whose options are the same goes on untouched, its connections
 *            included; so does one whose connections can bear what has changed, with other options
 *            (channel-changes.ts); a new one begins by `from`. One that is gone, or is to be
 *            reopened, ends first: its connections end at a record boundary, for at most ENDING_MS.
 *            Then the position file of the first goes, and the second is opened from its position.
 * UNOPENED   What cannot be opened waits apart (unopened.ts): held, reported, tried again.
 */
import { wallMs } from '../../toolkit/base/clock.ts';
import { threadCpuUs } from '../../toolkit/sys/index.ts';
import { channelChanges } from './channel-changes.ts';
import type { PublishedEnd } from './channel-report.ts';
import type { Groups } from './groups.ts';
import { Lane, type LaneContext } from './lane.ts';
import type { ChannelOptions, ForwardOptions } from './options.ts';
import { listPositions, removePosition } from './position-file.ts';
import type { ChannelReport, ForwardReport } from './report.ts';
import { type Awaited, Unopened } from './unopened.ts';

/** What a lane that ends has, for the record that is under way and its acknowledgement. */
const ENDING_MS = 3_000;
/** Position files of channels that are configured no more, when they could not be removed. */
const REMOVE_AGAIN_MS = 10_000;

/** But for what others count. */
type LanesReport = Pick<ForwardReport, 'timeMs' | 'generation' | 'channels' | 'cpuMs'>;

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
  readonly #unopened: Unopened;
  /** When files that belong to nobody are looked for again. */
  #removeMs = Number.POSITIVE_INFINITY;
  #first = 0;
  readonly #startCpuUs = threadCpuUs();

  constructor(
    options: ForwardOptions,
    context: LaneContext,
    groups: Groups,
    published: PublishedEnd,
    nowMs: number,
  ) {
    this.#context = context;
    this.#groups = groups;
    this.#options = options;
    this.#unopened = new Unopened(context);
    this.#removeUnknown(nowMs);
    this.#openAll(options.channels, published, nowMs);
  }

  get all(): readonly Lane[] {
    return this.#lanes;
  }

  get nextTimerMs(): number {
    let nextMs = Math.min(this.#unopened.nextTimerMs, this.#removeMs);
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
    let lowest = this.#unopened.heldPosition;
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
  turn(blocks: number, published: PublishedEnd, nowMs: number): number {
    const count = this.#lanes.length;
    let work = 0;
    this.#first = count === 0 ? 0 : (this.#first + 1) % count;
    for (let i = 0; i < count; i++) {
      const lane = this.#lanes[(this.#first + i) % count]!;
      if (blocks > 0) work += lane.advance(blocks, published.publishedPosition, nowMs);
      work += lane.turn(nowMs);
    }
    this.#groups.turn(this.#lanes, this.#groupsAway, nowMs);
    if (this.#endings.length > 0) work += this.#end(published, nowMs);
    if (nowMs >= this.#unopened.nextTimerMs) this.#openAgain(published, nowMs);
    if (nowMs >= this.#removeMs) this.#removeUnknown(nowMs);
    return work;
  }

  reload(options: ForwardOptions, published: PublishedEnd, nowMs: number): void {
    this.#options = options;
    const wanted = new Map(options.channels.map((channel) => [channel.name, channel]));
    this.#unopened.reload(wanted, nowMs);
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
    const isNew = ({ name }: ChannelOptions): boolean => !this.#unopened.has(name);
    this.#openAll([...wanted.values()].filter(isNew), published, nowMs);
    this.#openAgain(published, nowMs);
    this.#removeUnknown(nowMs);
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

  /** Channels in the order of the configuration. */
  report(published: PublishedEnd, generation: number): LanesReport {
    const lanes = new Map(this.#lanes.map((lane) => [lane.name, lane]));
    const channels: ChannelReport[] = [];
    for (const { name } of this.#options.channels) {
      const lane = lanes.get(name);
      const report = lane?.report(published) ?? this.#unopened.report(name, published);
      if (report !== null) channels.push(report);
    }
    return {
      timeMs: wallMs(),
      generation,
      channels,
      cpuMs: (threadCpuUs() - this.#startCpuUs) / 1000,
    };
  }

  /**
   * Load-balancing groups of which a member is to be opened, again or still. They stay as they are
   * meanwhile: what it has not read goes by epochs that nobody else may need any more.
   */
  get #groupsAway(): ReadonlySet<string> {
    const away = this.#unopened.groups;
    if (this.#endings.length === 0) return away;
    const all = new Set(away);
    for (const { next } of this.#endings) {
      if (next !== null && next.balance !== null) all.add(next.group!);
    }
    return all;
  }

  /** All begin at the same place, wherever the journal is meanwhile. */
  #openAll(
    channels: readonly ChannelOptions[],
    { publishedPosition: beginPosition }: PublishedEnd,
    nowMs: number,
  ): void {
    this.#groups.configure(this.#options.channels, beginPosition);
    for (const channel of channels) this.#open({ channel, beginPosition, before: null }, nowMs);
  }

  #openAgain({ publishedPosition }: PublishedEnd, nowMs: number): void {
    const due = this.#unopened.due(nowMs);
    if (due.length === 0) return;
    this.#groups.configure(this.#options.channels, publishedPosition);
    for (const awaited of due) this.#open(awaited, nowMs);
  }

  #open(awaited: Awaited, nowMs: number): void {
    const { channel, beginPosition } = awaited;
    try {
      this.#lanes.push(new Lane(channel, this.#context, beginPosition, nowMs));
      this.#unopened.opened(channel.name);
    } catch (error) {
      this.#unopened.add(awaited, error, nowMs);
    }
  }

  /** Lanes that end get their turns, and go when they have ended. */
  #end(published: PublishedEnd, nowMs: number): number {
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
        const { publishedPosition: beginPosition } = published;
        this.#open({ channel: next, beginPosition, before: lane }, nowMs);
      }
    }
    return work;
  }

  #remove(lane: Lane, publishedOrdinal: number, nowMs: number): void {
    const records = lane.giveUp(nowMs, publishedOrdinal);
    this.#context.warn('a destination is configured no more: its rest is not sent', {
      channel: lane.name,
      records,
    });
    try {
      removePosition(this.#context.folder, lane.name);
    } catch (error) {
      this.#removeLater(error, nowMs);
    }
  }

  /**
   * A channel that comes back under its name would go on where one went on long ago: the files of
   * those that were removed while no server ran, or while they could not be opened, go.
   */
  #removeUnknown(nowMs: number): void {
    const { folder, warn } = this.#context;
    const known = new Set(this.#options.channels.map((channel) => channel.name));
    for (const { lane } of this.#endings) known.add(lane.name);
    const wasTried = this.#removeMs !== Number.POSITIVE_INFINITY;
    this.#removeMs = Number.POSITIVE_INFINITY;
    try {
      for (const channel of listPositions(folder)) {
        if (known.has(channel)) continue;
        removePosition(folder, channel);
        warn('a position is removed: its channel is configured no more', { channel });
      }
    } catch (error) {
      this.#removeLater(error, nowMs, wasTried);
    }
  }

  #removeLater(error: unknown, nowMs: number, wasTried = false): void {
    this.#removeMs = nowMs + REMOVE_AGAIN_MS;
    if (wasTried) return;
    const fields = { folder: this.#context.folder, error: String(error) };
    this.#context.warn('positions of channels that are gone cannot be removed yet', fields);
  }
}

/**
 * Lane: a channel and its destinations: one, or the members of a redundancy group.
 *
 * WHY        The channel knows the journal, a destination knows sockets; what is between them is
 *            here: to which destination the stream goes, and how both end.
 * OWNERSHIP  Owns its channel, destinations and position file. Used by the forward worker alone.
 * SWITCH     The destination that is left ends as in a drain: one that stands finishes the parcel
 *            that is under way, so that it sees no cut record. Then what it has not settled comes
 *            back from a record boundary on, and goes first to the next one, which gets nothing
 *            before. A new one takes its place, which is probed when it is better than the active.
 */
import { wallMs } from '../../toolkit/base/clock.ts';
import { Channel } from './channel.ts';
import { orderOf } from './channel-changes.ts';
import type { BlockSelector, ChannelCursor, SegmentHolder } from './channel-parts.ts';
import { ledgerNumbers, type PublishedEnd } from './channel-report.ts';
import { describeDestination } from './destination-text.ts';
import type { GatherPool } from './gather.ts';
import type { LaneDestination, MakeDestination } from './lane-parts.ts';
import { Ledger } from './ledger.ts';
import type { ChannelOptions } from './options.ts';
import type { Parcel } from './parcel.ts';
import { type ChannelPosition, PositionFile } from './position-file.ts';
import { type MemberState, Redundancy } from './redundancy.ts';
import type { ChannelReport, ChannelState } from './report.ts';
import { startPosition } from './start-position.ts';

/** What a destination that is left has, for the parcel under way and its acknowledgement. */
export const LEAVING_MS = 1_000;
const NOBODY = -1;

export interface LaneContext {
  readonly folder: string;
  readonly uuid: Uint8Array;
  readonly segments: SegmentHolder;
  readonly makeCursor: (position: ChannelPosition) => ChannelCursor;
  readonly makeDestination: MakeDestination;
  readonly pool: Pick<GatherPool, 'isTight'>;
  readonly selectorOf: (options: ChannelOptions) => BlockSelector;
  /** These are the channels from now on: selectors of others may go. */
  readonly keepSelectors: (channels: readonly ChannelOptions[]) => void;
  /** Where a channel without a position begins in spite of `from`; null: it does not. */
  readonly startOf: (options: ChannelOptions) => number | null;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

export class Lane {
  readonly channel: Channel;
  readonly #context: LaneContext;
  #options: ChannelOptions;
  #selector: BlockSelector;
  #destinations: LaneDestination[];
  #redundancy: Redundancy | null;
  /** The destination that the stream has left, until it has ended. */
  #leaving = NOBODY;
  #leavingEndMs = 0;
  #isEnding = false;
  /** Of its destinations, as last seen. */
  #changes = 0;
  /** Of the turn. */
  #nowMs: number;

  /** Throws what opening the position file says. */
  constructor(
    options: ChannelOptions,
    context: LaneContext,
    publishedPosition: number,
    nowMs: number,
  ) {
    this.#options = options;
    this.#context = context;
    this.#nowMs = nowMs;
    // What may throw comes before the file that would stay open.
    const startAt = context.startOf(options);
    this.#selector = context.selectorOf(options);
    const { file, found } = PositionFile.open(context.folder, options.name, context.uuid);
    const { position, warning } = startPosition(found, options.from, publishedPosition, startAt);
    if (warning !== '') context.warn(warning, { channel: options.name });
    const { resend } = options.destinations[0]!;
    const ledger = new Ledger(position, resend);
    if (ledger.interrupted > 0) {
      context.warn('records were on their way when the server ended: they may have arrived', {
        channel: options.name,
        records: ledger.interrupted,
      });
    }
    this.channel = new Channel({
      name: options.name,
      resend,
      limits: options,
      cursor: context.makeCursor(position),
      selector: this.#selector,
      output: {
        tryAdd: (parcel) => this.#tryAdd(parcel),
        isReady: (exporter) => this.#isReady(exporter),
        giveBack: (isTooOld) => this.#destinations[this.#active]!.giveBack(isTooOld),
      },
      ledger,
      file,
      segments: context.segments,
      pool: context.pool,
    });
    this.#destinations = options.destinations.map((_, index) => this.#make(index));
    this.#redundancy = this.#makeRedundancy(position.active, nowMs);
    this.#noteActive();
    // A new channel keeps its beginning over a kill that comes before its first block.
    this.channel.writePosition(nowMs, true);
  }

  get options(): ChannelOptions {
    return this.#options;
  }

  /**
   * Other options, none of which channel-changes.ts reopens for: connections, position and ledger
   * stay. A redundancy group with other times or priorities looks at its members anew.
   */
  configure(next: ChannelOptions, nowMs: number): void {
    const now = this.#options;
    const order = orderOf(now.destinations, next.destinations);
    const active = now.destinations[this.#active]!.name;
    const isOther =
      order.some((from, to) => from !== to) ||
      now.switchOverMs !== next.switchOverMs ||
      now.switchBackMs !== next.switchBackMs;
    if (now.filter !== next.filter) this.#selector = this.#context.selectorOf(next);
    this.#options = next;
    this.channel.configure(next, this.#selector);
    this.#destinations = order.map((from) => this.#destinations[from]!);
    if (this.#leaving !== NOBODY) this.#leaving = order.indexOf(this.#leaving);
    next.destinations.forEach((one, index) => {
      this.#destinations[index]!.configure(one);
    });
    if (isOther) this.#redundancy = this.#makeRedundancy(active, nowMs);
  }

  get name(): string {
    return this.options.name;
  }

  /** Below it all is settled, and the file says so: the journal need not keep it. */
  get writtenPosition(): number {
    return this.channel.writtenPosition;
  }

  /** Behind all that was looked at. */
  get readPosition(): number {
    return this.channel.readPosition;
  }

  /** Name of its destination; of a redundancy group the best one. */
  get member(): string {
    return this.options.destinations[0]!.name;
  }

  get isHolding(): boolean {
    return this.options.onLag === 'hold';
  }

  /** The active destination, as groups look at it. */
  get state(): MemberState {
    return stateOf(this.#destinations[this.#active]!);
  }

  get nextTimerMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { nextTimerMs } of this.#destinations) nextMs = Math.min(nextMs, nextTimerMs);
    return nextMs;
  }

  /** The active destination's: pieces may wait so long for more. */
  get lingerMs(): number {
    return this.options.destinations[this.#active]!.lingerMs;
  }

  /** All of the journal was handed on. */
  get isAtEnd(): boolean {
    return this.channel.waitsFor === 'journal';
  }

  /** All connections have ended. */
  get isClosed(): boolean {
    return this.#destinations.every((destination) => destination.isClosed);
  }

  /** Nothing more can be done before something changes outside. */
  isStuck(publishedPosition: number): boolean {
    const { channel } = this;
    if (channel.isSettled && channel.ledger.readPosition >= publishedPosition) return true;
    return channel.isBlocked || this.state === 'down';
  }

  advance(blocks: number, publishedPosition: number, nowMs: number): number {
    this.#nowMs = nowMs;
    return this.channel.advance(blocks, publishedPosition);
  }

  /** Connections, and the choice among them. Returns bytes sent, and 1 when there is new room. */
  turn(nowMs: number): number {
    let work = 0;
    for (const destination of this.#destinations) work += destination.turn(nowMs);
    this.#choose(nowMs);
    if (this.#hasChanged()) {
      this.channel.retry();
      work += 1;
    }
    this.channel.writePosition(nowMs);
    return work;
  }

  /** For a member of a load-balancing group that has nothing to send and is looked for. */
  probe(nowMs: number): void {
    this.#destinations[this.#active]!.probe(nowMs);
  }

  drain(nowMs: number, waitMs: number): void {
    this.#isEnding = true;
    for (const destination of this.#destinations) destination.drain(nowMs, waitMs);
  }

  /** Ends at once; what was not sent is sent after the next start. */
  close(nowMs: number): void {
    for (const destination of this.#destinations) destination.close(nowMs);
    this.channel.retract();
    this.channel.writePosition(nowMs, true);
    this.channel.close();
  }

  /** The channel is configured no more. Returns the records that nobody will send. */
  giveUp(nowMs: number, publishedOrdinal: number): number {
    for (const destination of this.#destinations) destination.close(nowMs);
    this.channel.giveUp();
    const { readOrdinal } = this.channel.ledger;
    const unread = readOrdinal < 0 ? 0 : Math.max(0, publishedOrdinal - readOrdinal);
    this.channel.close();
    return this.channel.ledger.totals().removed + unread;
  }

  report(published: PublishedEnd): ChannelReport {
    const numbers = ledgerNumbers(this.channel.ledger, published);
    const oldestMs = this.channel.oldestArrivalMs;
    const lagMs = oldestMs < 0 ? 0 : Math.max(0, wallMs() - oldestMs);
    return {
      name: this.name,
      group: this.options.group,
      mode: this.options.mode,
      state: this.#channelState(numbers.pending, numbers.lagBytes, lagMs),
      why: this.channel.problem,
      ...numbers,
      lagMs,
      destinations: this.#destinations.map((one, index) =>
        describeDestination(
          this.options.destinations[index]!,
          index === this.#active,
          one.report(),
        ),
      ),
    };
  }

  get #active(): number {
    return this.#redundancy?.active ?? 0;
  }

  /** Connections came up or ended: what was refused may be taken now. */
  #hasChanged(): boolean {
    let changes = 0;
    for (const destination of this.#destinations) changes += destination.changes;
    if (changes === this.#changes) return false;
    this.#changes = changes;
    return true;
  }

  #isReady(exporter: string): boolean {
    if (this.#leaving !== NOBODY) return false;
    return this.#destinations[this.#active]!.isReady(exporter, this.#nowMs);
  }

  /** One that is down is given no more than a block when what is too old shall be dropped. */
  #tryAdd(parcel: Parcel): boolean {
    if (this.#leaving !== NOBODY) return false;
    const isDropping = this.options.onLag === 'drop-oldest' && this.channel.ledger.held > 1;
    const destination = this.#destinations[this.#active]!;
    if (!isDropping || this.state !== 'down') return destination.tryAdd(parcel, this.#nowMs);
    destination.probe(this.#nowMs);
    return false;
  }

  #make(index: number): LaneDestination {
    const { mode, balance, destinations } = this.options;
    const isWatched = mode === 'redundancy' || balance !== null;
    return this.#context.makeDestination(destinations[index]!, isWatched, (parcel, settlement) =>
      this.channel.onSettled(parcel, settlement),
    );
  }

  #makeRedundancy(active: string, nowMs: number): Redundancy | null {
    const { destinations, mode, switchOverMs, switchBackMs } = this.options;
    if (mode !== 'redundancy') return null;
    const members = destinations.map(({ name }) => name);
    return new Redundancy({ members, switchOverMs, switchBackMs }, active, nowMs);
  }

  #choose(nowMs: number): void {
    const redundancy = this.#redundancy;
    if (redundancy === null || this.#isEnding) return;
    if (this.#leaving !== NOBODY && !this.#hasLeft(nowMs)) return;
    const left = redundancy.active;
    for (const [index, destination] of this.#destinations.entries()) {
      redundancy.observe(index, stateOf(destination), nowMs);
      if (redundancy.shouldProbe(index)) destination.probe(nowMs);
    }
    if (!redundancy.decide(nowMs)) return;
    this.#leaving = left;
    this.#leavingEndMs = nowMs + LEAVING_MS;
    this.#destinations[left]!.drain(nowMs, LEAVING_MS);
    this.#hasLeft(nowMs);
    this.#noteActive();
    this.#context.warn('the stream goes to another member of the group', {
      channel: this.name,
      from: this.options.destinations[left]!.name,
      to: this.options.destinations[redundancy.active]!.name,
    });
  }

  /** True: what the destination that is left has not settled is back, and it begins anew. */
  #hasLeft(nowMs: number): boolean {
    const left = this.#destinations[this.#leaving]!;
    if (!left.isClosed && nowMs < this.#leavingEndMs) return false;
    left.close(nowMs);
    this.#destinations[this.#leaving] = this.#make(this.#leaving);
    this.#leaving = NOBODY;
    this.channel.retry();
    return true;
  }

  #noteActive(): void {
    if (this.#redundancy === null) return;
    this.channel.ledger.setActive(this.options.destinations[this.#active]!.name);
  }

  #channelState(pending: number, lagBytes: number, lagMs: number): ChannelState {
    const { lagBytesMax, lagMsMax } = this.options;
    const isTooMuch =
      (lagBytesMax > 0 && lagBytes > lagBytesMax) || (lagMsMax > 0 && lagMs > lagMsMax);
    if (this.channel.isBlocked) return 'blocked';
    if (isTooMuch && this.isHolding) return 'held';
    if (this.state === 'down') return 'down';
    return pending > 0 ? 'sending' : 'waiting';
  }
}

function stateOf(destination: LaneDestination): MemberState {
  if (destination.upSinceMs !== null) return 'up';
  return destination.downSinceMs === null ? 'unknown' : 'down';
}

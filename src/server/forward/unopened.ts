/**
 * Unopened: channels that are configured and cannot be opened: EMFILE, EACCES, EIO, ENOSPC ...
 *
 * WHY        What is configured is promised. Until its position file, or the epochs of its group,
 *            can be opened a channel sends nothing; all the same it holds what it will need, stands
 *            in the report with the reason, and is tried again.
 * HOLDS      With `onLag: hold`, from where it will go on: what its file says, if that can be read,
 *            or what it wrote last in this life. Without a position it begins where it would have
 *            begun when it was first tried, and holds from there: `now` is when it was configured.
 *            A file that cannot be read may say anything: then everything is held, up to the cap.
 * BACK-OFF   From AGAIN_MS_MIN to AGAIN_MS_MAX, for each channel.
 */
import { POSITION_MAX } from '../../toolkit/base/limits.ts';
import { longerMs } from './back-off.ts';
import { ledgerNumbers, type PublishedEnd } from './channel-report.ts';
import { makeConnectionCounts } from './connection-counts.ts';
import { describeDestination } from './destination-text.ts';
import { hasEpochs } from './group-file.ts';
import type { Lane, LaneContext } from './lane.ts';
import { Ledger } from './ledger.ts';
import { openProblemOf } from './open-problem.ts';
import type { ChannelOptions } from './options.ts';
import { type PositionSeen, readPosition } from './position-file.ts';
import type { ChannelReport } from './report.ts';
import { neededPosition } from './start-position.ts';

export const AGAIN_MS_MIN = 200;
export const AGAIN_MS_MAX = 10_000;

export type UnopenedContext = Pick<LaneContext, 'folder' | 'uuid' | 'startOf'>;

/** A channel, and where it begins if it has no position. */
export interface Awaited {
  readonly channel: ChannelOptions;
  readonly beginPosition: number;
  /** The lane that it was before, in this life; it is closed. */
  readonly before: Lane | null;
}

interface Entry extends Awaited {
  readonly why: string;
  readonly neededPosition: number;
  /** Null: nobody knows what it counted. */
  readonly ledger: Ledger | null;
  readonly waitMs: number;
  readonly againMs: number;
}

export class Unopened {
  readonly #context: UnopenedContext;
  #entries = new Map<string, Entry>();

  constructor(context: UnopenedContext) {
    this.#context = context;
  }

  get nextTimerMs(): number {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const { againMs } of this.#entries.values()) nextMs = Math.min(nextMs, againMs);
    return nextMs;
  }

  /** The lowest position that one of them holds; POSITION_MAX: none. */
  get heldPosition(): number {
    let lowest = POSITION_MAX;
    for (const { channel, neededPosition: needed } of this.#entries.values()) {
      if (channel.onLag === 'hold') lowest = Math.min(lowest, needed);
    }
    return lowest;
  }

  /** Load-balancing groups of which a member is not open. */
  get groups(): ReadonlySet<string> {
    const names = new Set<string>();
    for (const { channel } of this.#entries.values()) {
      if (channel.balance !== null) names.add(channel.group!);
    }
    return names;
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Opening it has failed, again or for the first time. */
  add(awaited: Awaited, error: unknown, nowMs: number): void {
    const { channel, before } = awaited;
    const { folder, uuid } = this.#context;
    const seen = readPosition(folder, channel.name, uuid);
    const waitedMs = this.#entries.get(channel.name)?.waitMs ?? 0;
    const waitMs = longerMs(waitedMs, AGAIN_MS_MIN, AGAIN_MS_MAX);
    this.#entries.set(channel.name, {
      ...awaited,
      why: openProblemOf(error),
      neededPosition: this.#needed(awaited, seen),
      ledger:
        seen.kind === 'found'
          ? new Ledger({ ...seen.position }, channel.destinations[0]!.resend)
          : (before?.channel.ledger ?? null),
      waitMs,
      againMs: nowMs + waitMs,
    });
  }

  opened(name: string): void {
    this.#entries.delete(name);
  }

  /** Those that it is time to try again. */
  due(nowMs: number): readonly Awaited[] {
    return [...this.#entries.values()].filter(({ againMs }) => nowMs >= againMs);
  }

  /** Another configuration: those that are in it are tried at once, the others are forgotten. */
  reload(wanted: ReadonlyMap<string, ChannelOptions>, nowMs: number): void {
    const entries = new Map<string, Entry>();
    for (const [name, entry] of this.#entries) {
      const channel = wanted.get(name);
      if (channel !== undefined)
        entries.set(name, { ...entry, channel, waitMs: 0, againMs: nowMs });
    }
    this.#entries = entries;
  }

  /** Null: it is not one of them. Without a ledger all is 0, and so is what is left over. */
  report(name: string, published: PublishedEnd): ChannelReport | null {
    const entry = this.#entries.get(name);
    if (entry === undefined) return null;
    const { channel, ledger, why } = entry;
    const numbers = ledger === null ? NOTHING_KNOWN : ledgerNumbers(ledger, published);
    return {
      name,
      group: channel.group,
      mode: channel.mode,
      state: 'blocked',
      why,
      ...numbers,
      lagMs: 0,
      destinations: channel.destinations.map((one, index) =>
        describeDestination(one, index === 0, { ...UNCONNECTED, name: one.name }),
      ),
    };
  }

  #needed({ channel, beginPosition, before }: Awaited, seen: PositionSeen): number {
    if (seen.kind === 'unreadable' && before !== null) return before.writtenPosition;
    return neededPosition(seen, channel.from, beginPosition, this.#startOf(channel));
  }

  /** A group that cannot be opened, and has epochs: its member may begin anywhere. */
  #startOf(channel: ChannelOptions): number | null {
    try {
      return this.#context.startOf(channel);
    } catch {
      return hasEpochs(this.#context.folder, channel.group!) ? 0 : null;
    }
  }
}

const NOTHING_KNOWN = {
  received: 0,
  pending: 0,
  delivered: 0,
  filtered: 0,
  dropped: { cut: 0, interrupted: 0, lag: 0, retention: 0, damaged: 0, removed: 0 },
  resent: 0,
  position: 0,
  lagRecords: 0,
  lagBytes: 0,
} as const;

const UNCONNECTED = {
  ...makeConnectionCounts(),
  state: 'idle',
  address: '',
  reason: '',
  connections: 0,
  connectionsUp: 0,
  parcels: 0,
  mechanism: 'none',
  mechanismWhy: 'its channel is not open',
  cpuMs: 0,
} as const;

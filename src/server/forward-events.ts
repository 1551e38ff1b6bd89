/**
 * Forward events: what changed between two reports of the forwarder, as lines of the log.
 *
 * WHY        An SCE tells its operators by traps that a destination came or went and that it began
 *            or ended to discard. The reports have all of it: the lines are made of them on the
 *            main thread, and the forwarder is left alone. Switch-overs it logs itself.
 * RATE       A subject (a connection, a channel's drops, its holding, its files) is told of
 *            when it changes: LINES_AT_ONCE times at once, and then once in EVENT_EVERY_MS. What
 *            flaps is one line each time in which it stands as it stands then.
 * SHORT      An outage that began and ended between two reports shows in the count of breaks.
 */
import { droppedRecords, isDown } from './forward/health.ts';
import type { ChannelReport, DestinationReport, ForwardReport } from './forward/report.ts';

/** Between two lines about the same thing, in the long run. */
export const EVENT_EVERY_MS = 10_000;
/** A destination that restarts twice is told of as it happens. */
export const LINES_AT_ONCE = 4;

export interface ForwardEvent {
  readonly level: 'info' | 'warn';
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** Subjects of a channel beside its destinations: nothing that could be a destination's name. */
const HOLDING = '(holding)';
const DROPS = '(drops)';
const BLOCKED = '(blocked)';

type Standing = 'well' | 'ill';

interface Subject {
  told: Standing;
  /** Lines that may be told now, and when that was so: a part of one counts. */
  lines: number;
  linesMs: number;
  /** Of a destination: its breaks when it was told of. */
  breaks: number;
}

export class ForwardEvents {
  #subjects = new Map<string, Subject>();
  #before = new Map<string, ChannelReport>();
  /** Drops of a channel when it was last told of as dropping nothing, and when they last grew. */
  readonly #drops = new Map<string, { base: number; seen: number; grewMs: number }>();

  /** The lines that this report is worth. */
  observe({ timeMs, channels }: ForwardReport): readonly ForwardEvent[] {
    const events: ForwardEvent[] = [];
    const known = new Set<string>();
    for (const channel of channels) {
      known.add(channel.name);
      this.#observeHolding(channel, timeMs, events);
      this.#observeBlocked(channel, timeMs, events);
      this.#observeDrops(channel, timeMs, events);
      for (const one of channel.destinations) this.#observeOne(channel, one, timeMs, events);
    }
    this.#before = new Map(channels.map((channel) => [channel.name, channel]));
    for (const name of this.#drops.keys()) if (!known.has(name)) this.#forget(name);
    return events;
  }

  #observeOne(
    channel: ChannelReport,
    one: DestinationReport,
    timeMs: number,
    events: ForwardEvent[],
  ): void {
    const { name: destination, host, port, address, connections, breaks, reconnects, why } = one;
    const isIll = isDown(one);
    // What tries, or has nothing to send, stands as it stood.
    if (!isIll && connections === 0) return;
    const at = { channel: channel.name, destination, host, port };
    const key = `${channel.name}\n${destination}`;
    // The first connection is told of, too.
    const isTurn = this.#turns(key, isIll ? 'ill' : 'well', timeMs, null);
    if (!isTurn && (isIll || !this.#hasBroken(key, breaks, timeMs))) return;
    this.#subjects.get(key)!.breaks = breaks;
    if (isIll) {
      const fields = { ...at, why };
      events.push({ level: 'warn', text: 'a destination is down', fields });
    } else {
      const fields = { ...at, address, connections, breaks, reconnects };
      const text = isTurn ? 'a destination is connected' : 'a destination is connected again';
      events.push({ level: 'info', text, fields });
    }
  }

  #observeHolding(channel: ChannelReport, timeMs: number, events: ForwardEvent[]): void {
    const { name, state, lagRecords, lagBytes, lagMs } = channel;
    const standing = state === 'held' ? 'ill' : 'well';
    if (!this.#turns(`${name}\n${HOLDING}`, standing, timeMs, 'well')) return;
    const fields = { channel: name, lagRecords, lagBytes, lagMs };
    if (standing === 'ill') {
      events.push({ level: 'warn', text: 'a channel lags too far: it holds the journal', fields });
    } else events.push({ level: 'info', text: 'a channel holds the journal no more', fields });
  }

  /** A file that it waits for, or its position that cannot be written. */
  #observeBlocked(channel: ChannelReport, timeMs: number, events: ForwardEvent[]): void {
    const { name, why } = channel;
    const standing = why === '' ? 'well' : 'ill';
    if (!this.#turns(`${name}\n${BLOCKED}`, standing, timeMs, 'well')) return;
    if (standing === 'ill') {
      const fields = { channel: name, why };
      events.push({ level: 'warn', text: 'a channel has trouble with its files', fields });
    } else {
      const fields = { channel: name };
      events.push({ level: 'info', text: 'a channel has no more trouble with its files', fields });
    }
  }

  /** Begun: they grew. Ended: they have not grown for EVENT_EVERY_MS. */
  #observeDrops(channel: ChannelReport, timeMs: number, events: ForwardEvent[]): void {
    const { name, dropped } = channel;
    const sum = droppedRecords(channel);
    let drops = this.#drops.get(name);
    if (drops === undefined) {
      drops = { base: sum, seen: sum, grewMs: Number.NEGATIVE_INFINITY };
      this.#drops.set(name, drops);
    }
    if (sum !== drops.seen) drops.grewMs = timeMs;
    drops.seen = sum;
    const standing = timeMs - drops.grewMs < EVENT_EVERY_MS ? 'ill' : 'well';
    if (!this.#turns(`${name}\n${DROPS}`, standing, timeMs, 'well')) return;
    const records = sum - drops.base;
    if (standing === 'ill') {
      const reasons = grownReasons(this.#before.get(name)?.dropped ?? {}, dropped);
      const fields = { channel: name, records, reasons };
      events.push({ level: 'warn', text: 'a channel drops records', fields });
      return;
    }
    events.push({
      level: 'info',
      text: 'a channel drops no more records',
      fields: { channel: name, records },
    });
    drops.base = sum;
  }

  /** True: it is to be told. `first`: how something that was never told of stands. */
  #turns(key: string, standing: Standing, timeMs: number, first: Standing | null): boolean {
    const subject = this.#subjects.get(key);
    if (subject === undefined) {
      if (standing === first) return false;
      const lines = LINES_AT_ONCE - 1;
      this.#subjects.set(key, { told: standing, lines, linesMs: timeMs, breaks: 0 });
      return true;
    }
    if (subject.told === standing || !mayTell(subject, timeMs)) return false;
    subject.told = standing;
    return true;
  }

  /** True: it is connected as it was told last, but was not all the time. */
  #hasBroken(key: string, breaks: number, timeMs: number): boolean {
    const subject = this.#subjects.get(key)!;
    if (subject.told !== 'well') return false;
    // A new life of the worker counts from 0.
    if (breaks < subject.breaks) subject.breaks = 0;
    return breaks > subject.breaks && mayTell(subject, timeMs);
  }

  #forget(channel: string): void {
    this.#drops.delete(channel);
    for (const key of this.#subjects.keys()) {
      if (key.startsWith(`${channel}\n`)) this.#subjects.delete(key);
    }
  }
}

/** Takes a line, if there is one to be told. */
function mayTell(subject: Subject, timeMs: number): boolean {
  const more = (timeMs - subject.linesMs) / EVENT_EVERY_MS;
  subject.lines = Math.min(LINES_AT_ONCE, subject.lines + Math.max(0, more));
  subject.linesMs = timeMs;
  if (subject.lines < 1) return false;
  subject.lines -= 1;
  return true;
}

function grownReasons(
  before: Readonly<Record<string, number>>,
  now: Readonly<Record<string, number>>,
): readonly string[] {
  return Object.keys(now).filter((reason) => now[reason]! > (before[reason] ?? 0));
}

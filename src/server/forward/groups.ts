/**
 * Groups: the load-balancing groups of the forward worker: who shares, since when, and who looks.
 *
 * WHY        The members of a group are lanes that do not wait for each other; what they have to
 *            agree on is here: the epochs, on disk before anybody goes by them.
 * RELOAD     Other members, an epoch more: lanes whose destination stays go on untouched.
 * OWNERSHIP  The forward worker.
 */
import { type Epoch, Epochs } from './epochs.ts';
import { GroupFile, removeUnknownGroups } from './group-file.ts';
import type { Lane } from './lane.ts';
import { Membership } from './membership.ts';
import type { ChannelOptions } from './options.ts';

/** How often the groups look at their members. */
const LOOK_EVERY_MS = 20;

export interface GroupsContext {
  readonly folder: string;
  readonly uuid: Uint8Array;
  readonly warn: (text: string, fields: Readonly<Record<string, unknown>>) => void;
}

/** Lane, as its group looks at it. */
export type GroupLane = Pick<
  Lane,
  'options' | 'member' | 'state' | 'readPosition' | 'writtenPosition' | 'probe'
>;

interface Group {
  readonly name: string;
  readonly file: GroupFile;
  readonly epochs: Epochs;
  readonly membership: Membership;
  /** Names of the members' destinations, as configured; none before they were looked at. */
  members: readonly string[];
  /** Epochs were there before its first member: a member without a position begins at the last. */
  readonly isOld: boolean;
}

export class Groups {
  readonly #context: GroupsContext;
  readonly #groups = new Map<string, Group>();
  #lookMs = 0;
  /** Published when this life began: a killed one before it may have read, and sent, up to here. */
  #readBefore = -1;

  constructor(context: GroupsContext) {
    this.#context = context;
  }

  /**
   * Takes the groups of these channels; before lanes are opened for them. An epoch that begins now
   * begins at what is published: above all that a member has read, in this life or before.
   */
  configure(channels: readonly ChannelOptions[], publishedPosition: number): void {
    const wanted = new Map<string, ChannelOptions>();
    for (const channel of channels) {
      if (channel.balance !== null) wanted.set(channel.group!, channel);
    }
    if (this.#readBefore < 0) {
      this.#readBefore = publishedPosition;
      // A group of that name that comes later would begin at an epoch of long ago.
      removeUnknownGroups(this.#context.folder, wanted);
    }
    for (const [name, group] of this.#groups) {
      if (wanted.has(name)) continue;
      group.file.remove();
      this.#groups.delete(name);
    }
    for (const [name, channel] of wanted) {
      const group = this.#groups.get(name) ?? this.#tryOpen(name, channel);
      if (group === null) continue;
      const { members } = channel.balance!;
      // Who is new in the configuration begins as a member: whether it is down is found out.
      const added = members.filter((member) => !group.members.includes(member));
      const joined = new Set([...group.epochs.last.members, ...added]);
      for (const member of group.members) {
        if (!members.includes(member)) group.membership.forget(member);
      }
      group.members = members;
      group.membership.times = channel;
      const after = [...joined].filter((member) => members.includes(member));
      this.#change(group, after, publishedPosition);
    }
  }

  /** Throws when the group could not be opened: configure() tries it again. */
  epochsOf(group: string): Epochs {
    return this.#groupOf(group).epochs;
  }

  /** Where a member without a position begins; null: as any other channel. Throws as epochsOf. */
  startOf(group: string): number | null {
    const { isOld, epochs } = this.#groupOf(group);
    return isOld || epochs.list.length > 1 ? epochs.last.position : null;
  }

  /**
   * Looks who is there, and changes epochs where it has to be. `lanes` are all of each group: what
   * one that is left out has not read would be decided, and forgotten, without it.
   */
  turn(lanes: readonly GroupLane[], nowMs: number): void {
    if (this.#groups.size === 0 || nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_EVERY_MS;
    for (const group of this.#groups.values()) this.#look(group, lanes, nowMs);
  }

  #look(group: Group, all: readonly GroupLane[], nowMs: number): void {
    const lanes = all.filter((lane) => lane.options.group === group.name);
    if (lanes.length === 0) return;
    const { epochs, membership } = group;
    for (const lane of lanes) {
      membership.observe(lane.member, lane.state, nowMs);
      if (!epochs.last.members.includes(lane.member)) lane.probe(nowMs);
    }
    const members = membership.decide(group.members, epochs.last.members, nowMs);
    this.#change(group, members, Math.max(...lanes.map((lane) => lane.readPosition)));
    if (epochs.list.length > 1) {
      const lowest = Math.min(...lanes.map((lane) => lane.writtenPosition));
      if (epochs.prune(lowest)) this.#tryWrite(group, epochs.list);
    }
  }

  /** `readTo`: above all that any member has read. */
  #change(group: Group, members: readonly string[], readTo: number): void {
    const { epochs } = group;
    const before = epochs.last.members;
    const after = [...members].sort();
    if (after.length === 0 || after.join() === before.join()) return;
    const position = Math.max(epochs.last.position, readTo, this.#readBefore);
    const next = new Epochs(epochs.list);
    next.add(position, after);
    if (!this.#tryWrite(group, next.list)) return;
    epochs.add(position, after);
    this.#context.warn('the members of a load-balancing group have changed', {
      group: group.name,
      from: before.join(),
      to: after.join(),
      position,
    });
  }

  #tryWrite(group: Group, epochs: readonly Epoch[]): boolean {
    try {
      group.file.write(epochs);
      return true;
    } catch (error) {
      this.#context.warn('the epochs of a group cannot be written: its members stay', {
        group: group.name,
        error: String(error),
      });
      return false;
    }
  }

  #groupOf(name: string): Group {
    const group = this.#groups.get(name);
    if (group === undefined) throw new Error(`the epochs of group ${name} cannot be written`);
    return group;
  }

  /** Null: the disk does not take it, or does not give it. */
  #tryOpen(name: string, channel: ChannelOptions): Group | null {
    try {
      const group = this.#open(name, channel);
      this.#groups.set(name, group);
      return group;
    } catch (error) {
      this.#context.warn('the epochs of a group cannot be opened: its members wait', {
        group: name,
        error: String(error),
      });
      return null;
    }
  }

  #open(name: string, channel: ChannelOptions): Group {
    const { folder, uuid, warn } = this.#context;
    const { members } = channel.balance!;
    const file = new GroupFile(folder, name, uuid);
    const found = file.read();
    const isOld = found.kind === 'found';
    const list = isOld ? found.epochs : [{ position: 0, members: [...members].sort() }];
    if (!isOld) {
      if (found.kind !== 'new') {
        warn('the epochs of a group are gone: its members begin anew', {
          group: name,
          why: found.kind,
        });
      }
      file.write(list);
    }
    const membership = new Membership(channel);
    return { name, file, epochs: new Epochs(list), membership, members: [], isOld };
  }
}

/**
 * Groups: the load-balancing groups of the forward worker: who shares, since when, and who looks.
 *
 * WHY        The members of a group are lanes that do not wait for each other; what they have to
 *            agree on is here: the epochs, on disk before anybody goes by them.
 * BIRTH      The first epoch begins where its members do: at what was published when the group was
 *            first configured, or at 0 if one of them begins with the journal. So a member that has
 *            no position yet, as it could not be opened, or the server was killed between the
 *            writing of the epochs and of the positions, begins there after a restart, too.
 * BOUND      At EPOCHS_MAX nobody is left out or taken back, until the member that is furthest
 *            behind has passed some: shares wait. Only a reload adds more.
 * RELOAD     Other members, an epoch more: lanes whose destination stays go on untouched. When it
 *            cannot be written, and a member is gone, the others wait where it begins: they would
 *            leave to the one that is gone what nobody sends.
 * OWNERSHIP  The forward worker.
 */
import { type Epoch, Epochs } from './epochs.ts';
import { GroupFile, removeUnknownGroups } from './group-file.ts';
import type { Lane } from './lane.ts';
import { Membership } from './membership.ts';
import { errnoOf, openProblem } from './open-problem.ts';
import type { ChannelOptions } from './options.ts';

/** How often the groups look at their members. */
const LOOK_EVERY_MS = 20;
/** 400 KiB of file, written anew with each; a flapping member makes one in 17 s by default. */
export const EPOCHS_MAX = 4_096;

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
  /** Its last change of members could not be made, and that was said. */
  isStuck: boolean;
}

export class Groups {
  readonly #context: GroupsContext;
  readonly #groups = new Map<string, Group>();
  /** Why a group could not be opened, and what was published when it was configured first. */
  readonly #unopened = new Map<string, { error: unknown; readonly bornPosition: number }>();
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
      this.#groups.delete(name);
      try {
        group.file.remove();
      } catch (error) {
        const { warn } = this.#context;
        warn('a group is configured no more, and its file stays', { name, error: String(error) });
      }
    }
    for (const name of this.#unopened.keys()) if (!wanted.has(name)) this.#unopened.delete(name);
    for (const [name, channel] of wanted) {
      const isMember = ({ balance, group }: ChannelOptions): boolean =>
        balance !== null && group === name;
      const group =
        this.#groups.get(name) ?? this.#tryOpen(name, channels.filter(isMember), publishedPosition);
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
      this.#hold(group, publishedPosition);
    }
  }

  /** While one has a share that is configured no more, nobody goes on behind what it had. */
  #hold({ epochs, members }: Group, publishedPosition: number): void {
    const isOurs = epochs.last.members.every((member) => members.includes(member));
    epochs.heldPosition = isOurs
      ? Number.POSITIVE_INFINITY
      : Math.min(epochs.heldPosition, publishedPosition);
  }

  /** Throws what opening the group said: configure() tries it again. */
  epochsOf(group: string): Epochs {
    return this.#groupOf(group).epochs;
  }

  /** Where a member without a position begins; null: as any other channel. Throws as epochsOf. */
  startOf(group: string): number | null {
    const { epochs } = this.#groupOf(group);
    return epochs.last.position > 0 ? epochs.last.position : null;
  }

  /**
   * Looks who is there, and changes epochs where it has to be. `lanes` are all of each group, but
   * of those `away`, which stay as they are: what a member that is not there has not read would be
   * decided, and forgotten, without it.
   */
  turn(lanes: readonly GroupLane[], away: ReadonlySet<string>, nowMs: number): void {
    if (this.#groups.size === 0 || nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + LOOK_EVERY_MS;
    for (const group of this.#groups.values()) {
      if (!away.has(group.name)) this.#look(group, lanes, nowMs);
    }
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
    const readTo = Math.max(...lanes.map((lane) => lane.readPosition));
    this.#change(group, members, readTo, isHeld(epochs) ? Number.POSITIVE_INFINITY : EPOCHS_MAX);
    if (epochs.list.length > 1) {
      const lowest = Math.min(...lanes.map((lane) => lane.writtenPosition));
      if (epochs.prune(lowest)) this.#tryWrite(group, epochs.list);
    }
  }

  /** `readTo`: above all that any member has read. No more than `most` epochs come of it. */
  #change(
    group: Group,
    members: readonly string[],
    readTo: number,
    most = Number.POSITIVE_INFINITY,
  ): void {
    const { epochs } = group;
    const before = epochs.last.members;
    const after = [...members].sort();
    if (after.length === 0 || after.join() === before.join()) return;
    if (epochs.list.length >= most) {
      this.#tellStuck(group, `a member is ${epochs.list.length} changes behind`);
      return;
    }
    // Who is gone may have sent its share up to there; and nobody has decided what is behind.
    const decidedTo = isHeld(epochs) ? epochs.heldPosition : readTo;
    const position = Math.max(epochs.last.position, decidedTo, this.#readBefore);
    const next = new Epochs(epochs.list);
    next.add(position, after);
    if (!this.#tryWrite(group, next.list)) return;
    epochs.add(position, after);
    epochs.heldPosition = Number.POSITIVE_INFINITY;
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
    } catch (error) {
      this.#tellStuck(group, openProblem('its epochs cannot be written', errnoOf(error)));
      return false;
    }
    if (group.isStuck) {
      this.#context.warn('the members of a group can change again', { group: group.name });
    }
    group.isStuck = false;
    return true;
  }

  /** Tried many times a second, said once. */
  #tellStuck(group: Group, why: string): void {
    if (group.isStuck) return;
    group.isStuck = true;
    this.#context.warn('the members of a group stay as they are', { group: group.name, why });
  }

  #groupOf(name: string): Group {
    const group = this.#groups.get(name);
    if (group === undefined) throw this.#unopened.get(name)?.error ?? new Error(`no group ${name}`);
    return group;
  }

  /** Null: the disk does not take it, or does not give it. */
  #tryOpen(
    name: string,
    channels: readonly ChannelOptions[],
    publishedPosition: number,
  ): Group | null {
    const bornPosition = this.#unopened.get(name)?.bornPosition ?? publishedPosition;
    try {
      const isFromStart = channels.some(({ from }) => from === 'journal-start');
      const group = this.#open(name, channels[0]!, isFromStart ? 0 : bornPosition);
      this.#groups.set(name, group);
      this.#unopened.delete(name);
      return group;
    } catch (error) {
      this.#unopened.set(name, { error, bornPosition });
      return null;
    }
  }

  #open(name: string, channel: ChannelOptions, bornPosition: number): Group {
    const { folder, uuid, warn } = this.#context;
    const { members } = channel.balance!;
    const file = new GroupFile(folder, name, uuid);
    const found = file.read();
    const isKnown = found.kind === 'found';
    const list = isKnown
      ? found.epochs
      : [{ position: bornPosition, members: [...members].sort() }];
    if (!isKnown) {
      if (found.kind !== 'new') {
        warn('the epochs of a group are gone: its members begin anew', {
          group: name,
          why: found.kind,
        });
      }
      file.write(list);
    }
    const membership = new Membership(channel);
    return { name, file, epochs: new Epochs(list), membership, members: [], isStuck: false };
  }
}

function isHeld({ heldPosition }: Epochs): boolean {
  return heldPosition < Number.POSITIVE_INFINITY;
}

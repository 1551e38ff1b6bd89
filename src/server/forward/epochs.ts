/**
 * Epochs: who of a load-balancing group shares the journal, from which position on.
 *
 * WHY        Each member walks the whole journal and takes its share. So that no record is taken by
 *            two or by none, all must go by the same members at the same place, whenever they come
 *            there: a member that was dead for an hour comes there an hour later.
 * EPOCH      A position and the members from there on. A new one begins behind everything that any
 *            member has read, so that nobody has decided otherwise already; it is on disk before
 *            anybody reads beyond it.
 * CONSEQUENCE What a member had not taken before its epoch ended stays its own: it waits for it, or
 *            goes by its lag limits. So there is no gap, no double, and order is kept.
 * INVARIANTS 1. Positions grow.  2. No epoch is without members.  3. There is always one for the
 *            lowest position that a member will read.
 */
import { assert } from '../../toolkit/base/assert.ts';

export interface Epoch {
  readonly position: number;
  /** Names, sorted. */
  readonly members: readonly string[];
}

export class Epochs {
  #list: Epoch[];
  /** From here on nobody decides anything: a change that begins here is not on disk yet. */
  heldPosition = Number.POSITIVE_INFINITY;

  /** As they were stored; at least one. */
  constructor(list: readonly Epoch[]) {
    assert(list.length > 0, 'a group has an epoch');
    this.#list = [...list];
  }

  get list(): readonly Epoch[] {
    return this.#list;
  }

  get last(): Epoch {
    return this.#list.at(-1)!;
  }

  /** The epoch of a block; before the first one, the first. */
  at(position: number): Epoch {
    const list = this.#list;
    for (let i = list.length - 1; i > 0; i--) if (list[i]!.position <= position) return list[i]!;
    return list[0]!;
  }

  /** `position`: above everything that any member has read. False: they are the members already. */
  add(position: number, members: readonly string[]): boolean {
    assert(members.length > 0, 'an epoch has members');
    const sorted = [...members].sort();
    const { last } = this;
    if (sorted.join() === last.members.join()) return false;
    assert(position >= last.position, 'epochs begin one after the other');
    // Nobody has read anything of an epoch that begins at the same place.
    if (position === last.position && this.#list.length > 0) this.#list.pop();
    this.#list.push({ position, members: sorted });
    return true;
  }

  /** Forgets the epochs that end at or below what every member has behind it. */
  prune(lowestPosition: number): boolean {
    let count = 0;
    while (count + 1 < this.#list.length && this.#list[count + 1]!.position <= lowestPosition) {
      count++;
    }
    this.#list.splice(0, count);
    return count > 0;
  }
}

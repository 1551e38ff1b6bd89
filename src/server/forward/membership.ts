/**
 * Membership: who of a load-balancing group should share, by what is seen of the destinations.
 *
 * RULES      A member that has been down for switchOverMs is left out; one that has been up, proved
 *            by a connection, for switchBackMs is taken back. Somebody always stays: while all are
 *            down the members are those that were there last, and their shares wait.
 */
import type { MemberState } from './redundancy.ts';

interface Seen {
  state: MemberState;
  sinceMs: number;
}

export interface MembershipTimes {
  readonly switchOverMs: number;
  readonly switchBackMs: number;
}

export class Membership {
  /** A reload may change them. */
  times: MembershipTimes;
  readonly #seen = new Map<string, Seen>();

  constructor(times: MembershipTimes) {
    this.times = times;
  }

  /** What is known of a member now. */
  observe(member: string, state: MemberState, nowMs: number): void {
    const seen = this.#seen.get(member);
    if (seen === undefined) this.#seen.set(member, { state, sinceMs: nowMs });
    else if (seen.state !== state) {
      // It ended in order (idleTimeoutMs): who is looked for is tried again, and proved still.
      if (state === 'unknown' && seen.state === 'up') return;
      seen.state = state;
      seen.sinceMs = nowMs;
    }
  }

  /** No member of the group any more. */
  forget(member: string): void {
    this.#seen.delete(member);
  }

  /** Those who should share now, among `all`; `members`: those who do. */
  decide(all: readonly string[], members: readonly string[], nowMs: number): readonly string[] {
    const { switchOverMs, switchBackMs } = this.times;
    const wanted = all.filter((member) => {
      const seen = this.#seen.get(member);
      const isIn = members.includes(member);
      if (seen === undefined) return isIn;
      const ms = nowMs - seen.sinceMs;
      if (isIn) return seen.state !== 'down' || ms < switchOverMs;
      return seen.state === 'up' && ms >= switchBackMs;
    });
    if (wanted.length > 0) return wanted;
    const stay = members.filter((member) => all.includes(member));
    return stay.length > 0 ? stay : all;
  }
}

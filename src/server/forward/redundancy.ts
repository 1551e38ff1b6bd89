/**
 * Redundancy: which member of a group the one stream goes to.
 *
 * WHY        The SCE's rule: the destination of the highest priority that works. What "works" means
 *            has to be slow enough not to flap and is the whole of this file: a pure decision.
 * RULES      1. The active member is left when it has been down for switchOverMs and another one
 *            is up, proved by a connection: while the active one is down all are tried.  2. A
 *            better member is taken back when it has been up, proved by a connection, for
 *            switchBackMs.  3. When all are down the active one stays, and the first to come up
 *            gets the stream: of several the best.
 * STATE      `up`: a connection stands. `down`: connecting failed, or a connection broke and was
 *            not made again. `unknown`: nobody has tried, or it is being tried for the first
 *            time: no proof (whoever asks is told whom to probe). A standby that closes idle
 *            connections in order, and takes the next one, has been up all the while; one that
 *            resets them, or closes them at once, was down (connection.ts).
 */
export type MemberState = 'up' | 'down' | 'unknown';

export interface RedundancyOptions {
  /** Names by falling priority. */
  readonly members: readonly string[];
  readonly switchOverMs: number;
  readonly switchBackMs: number;
}

export class Redundancy {
  readonly #options: RedundancyOptions;
  readonly #states: MemberState[];
  /** Since when a member has its state. */
  readonly #sinceMs: number[];
  #active: number;

  /** `active`: the name that the position file holds; another or none: the best begins. */
  constructor(options: RedundancyOptions, active: string, nowMs: number) {
    this.#options = options;
    this.#states = options.members.map(() => 'unknown' as const);
    this.#sinceMs = options.members.map(() => nowMs);
    this.#active = Math.max(0, options.members.indexOf(active));
  }

  get active(): number {
    return this.#active;
  }

  /**
   * A member that should be connected although nothing is sent to it: a better one, and any other
   * one while the active one is down.
   */
  shouldProbe(member: number): boolean {
    if (member === this.#active) return false;
    return member < this.#active || this.#states[this.#active] === 'down';
  }

  /** What is known of a member now. */
  observe(member: number, state: MemberState, nowMs: number): void {
    if (this.#states[member] === state) return;
    // It ended in order (idleTimeoutMs), and is tried again: that does not make it less proved.
    if (state === 'unknown' && this.#states[member] === 'up' && this.shouldProbe(member)) return;
    this.#states[member] = state;
    this.#sinceMs[member] = nowMs;
  }

  /** True when the active member has changed; the stream goes on at a record boundary. */
  decide(nowMs: number): boolean {
    const next = this.#next(nowMs);
    if (next === this.#active) return false;
    // One that was left begins anew, so that it is not taken for proved by what was long ago.
    this.#states[this.#active] = 'down';
    this.#sinceMs[this.#active] = nowMs;
    this.#active = next;
    return true;
  }

  #next(nowMs: number): number {
    const { members, switchOverMs, switchBackMs } = this.#options;
    for (let i = 0; i < this.#active; i++) {
      const isProved = this.#states[i] === 'up' && nowMs - this.#sinceMs[i]! >= switchBackMs;
      if (isProved) return i;
    }
    const isDown = this.#states[this.#active] === 'down';
    if (!isDown || nowMs - this.#sinceMs[this.#active]! < switchOverMs) return this.#active;
    for (let i = 0; i < members.length; i++) {
      if (i !== this.#active && this.#states[i] === 'up') return i;
    }
    return this.#active;
  }
}

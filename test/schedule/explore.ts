/**
 * Explore: runs a scenario under every schedule, or under as many as asked.
 *
 * WHY        A lock-free algorithm is wrong for one schedule in a million, and a stress test may
 *            not meet it in a year. Here the schedule is chosen, not met.
 * MODES      full: one schedule of each class of schedules with the same outcome (dpor.ts).
 *            preemptions: every schedule that takes the processor from a thread that could go on at
 *            most so often; most bugs need one or two. random: so many schedules by a seed.
 * HOW        By running anew from the start for each schedule: generators cannot be copied.
 * INVARIANTS A schedule depends on nothing but the choices: scenarios have no time and no chance.
 */
import { type Access, JOIN } from './access.ts';
import { Dependence, indexOfBit, lowestBit, type Node } from './dpor.ts';
import { type Death, Machine, type Scenario, type TraceEntry, Violation } from './machine.ts';

export interface ExploreOptions {
  /** At most so many preemptions. */
  readonly preemptions?: number;
  /** So many random schedules. */
  readonly random?: { readonly runs: number; readonly seed: number };
  readonly deaths?: readonly Death[];
  /** Plain reads that may be stale: exempt from the search for races. */
  readonly isHint?: (access: Access) => boolean;
  /** Where to stop; `schedules` is then one more. */
  readonly schedulesMax?: number;
}

export interface Findings {
  readonly schedules: number;
  readonly violation: { readonly message: string; readonly trace: readonly TraceEntry[] } | null;
  /** Whether all was seen that was asked for. */
  readonly isComplete: boolean;
  /** Threads that died before their end, in any schedule. */
  readonly diedEarly: ReadonlySet<number>;
}

const SCHEDULES_MAX = 1_000_000;

/** Words turned out to be contended that were taken for a thread's own. */
class Grown extends Error {}

export function explore(scenario: Scenario, options: ExploreOptions = {}): Findings {
  const machine = new Machine(scenario, options.deaths, options.isHint);
  for (;;) {
    machine.hasGrown = false;
    const walk = walkOf(machine, options);
    try {
      walk.run();
      return { ...told(walk, machine), violation: null };
    } catch (error) {
      if (error instanceof Grown) continue;
      if (!(error instanceof Violation)) throw error;
      const { message, trace } = error;
      return { ...told(walk, machine), violation: { message, trace } };
    }
  }
}

function told({ schedules, isComplete }: Walk, { diedEarly }: Machine) {
  return { schedules, isComplete, diedEarly };
}

/**
 * Each death of these threads, before the first access, before the second, and so on to the end;
 * of several threads each pair of places.
 */
export function exploreDeaths(
  scenario: Scenario,
  threads: readonly number[],
  options: ExploreOptions = {},
): Findings {
  const [thread, ...others] = threads;
  if (thread === undefined) return explore(scenario, options);
  let schedules = 0;
  for (let access = 0; ; access++) {
    const deaths = [...(options.deaths ?? []), { thread, access }];
    const found = exploreDeaths(scenario, others, { ...options, deaths });
    schedules += found.schedules;
    const isOver = found.violation !== null || !found.isComplete || !found.diedEarly.has(thread);
    if (isOver) return { ...found, schedules };
  }
}

function walkOf(machine: Machine, options: ExploreOptions): Walk {
  const { preemptions, random, schedulesMax = SCHEDULES_MAX } = options;
  if (random !== undefined) return new RandomWalk(machine, random.runs, random.seed);
  if (preemptions !== undefined) return new BoundedWalk(machine, preemptions, schedulesMax);
  return new FullWalk(machine, schedulesMax);
}

abstract class Walk {
  schedules = 0;
  isComplete = false;
  protected readonly machine: Machine;
  readonly #schedulesMax: number;

  constructor(machine: Machine, schedulesMax: number) {
    this.machine = machine;
    this.#schedulesMax = schedulesMax;
  }

  /** Runs schedules until there is none left; throws at the first that is wrong. */
  run(): void {
    do {
      this.schedules += 1;
      this.machine.start();
      if (this.schedules > this.#schedulesMax) return;
      if (this.walk()) this.machine.finish();
      if (this.machine.hasGrown) throw new Grown();
    } while (this.advance());
    this.isComplete = true;
  }

  /** One schedule; false when its outcome is known from another. */
  protected abstract walk(): boolean;

  /** Whether there is another schedule, and which. */
  protected abstract advance(): boolean;
}

class FullWalk extends Walk {
  readonly #nodes: Node[] = [];
  readonly #dependence: Dependence;

  constructor(machine: Machine, schedulesMax: number) {
    super(machine, schedulesMax);
    this.#dependence = new Dependence(machine.threadCount);
  }

  protected walk(): boolean {
    const nodes = this.#nodes;
    this.#dependence.reset();
    const known = nodes.length;
    let sleep = 0;
    let last = 0;
    for (let depth = 0; ; depth++) {
      const enabled = this.machine.enabled();
      if (enabled === 0) return true;
      if (depth >= nodes.length) {
        const free = enabled & ~sleep;
        if (free === 0) return false;
        const bit = (free & last) !== 0 ? last : lowestBit(free);
        nodes.push({ enabled, backtrack: bit, done: 0, sleep, chosen: indexOfBit(bit) });
      }
      const node = nodes[depth]!;
      const stepping = node.chosen;
      last = 1 << stepping;
      const resting = (node.sleep | node.done) & ~last;
      this.#step(stepping, depth, depth >= known - 1);
      sleep = this.#stillAsleep(resting, stepping);
      if (this.machine.hasGrown) return false;
    }
  }

  #step(thread: number, depth: number, isNew: boolean): void {
    const { machine } = this;
    const { pending } = machine.threads[thread]!;
    if (pending.op === JOIN) this.#dependence.join(thread, pending.value);
    machine.step(thread);
    const { footprint, isFootprintWritten } = machine;
    this.#dependence.step(thread, footprint, isFootprintWritten, this.#nodes, depth, isNew);
  }

  #stillAsleep(resting: number, stepped: number): number {
    let asleep = 0;
    for (let mask = resting; mask !== 0; mask &= mask - 1) {
      const bit = lowestBit(mask);
      if (!this.machine.isPendingDependent(indexOfBit(bit), stepped)) asleep |= bit;
    }
    return asleep;
  }

  protected advance(): boolean {
    const nodes = this.#nodes;
    while (nodes.length > 0) {
      const node = nodes[nodes.length - 1]!;
      node.done |= 1 << node.chosen;
      const left = node.backtrack & ~node.done & ~node.sleep;
      if (left !== 0) {
        node.chosen = indexOfBit(lowestBit(left));
        return true;
      }
      nodes.pop();
    }
    return false;
  }
}

class BoundedWalk extends Walk {
  readonly #choices: { readonly threads: readonly number[]; at: number }[] = [];
  readonly #preemptionsMax: number;

  constructor(machine: Machine, preemptionsMax: number, schedulesMax: number) {
    super(machine, schedulesMax);
    this.#preemptionsMax = preemptionsMax;
  }

  protected walk(): boolean {
    let running = -1;
    let preemptions = 0;
    for (let depth = 0; ; depth++) {
      const enabled = this.machine.enabled();
      if (enabled === 0) return true;
      const canGoOn = running >= 0 && (enabled & (1 << running)) !== 0;
      if (depth >= this.#choices.length) {
        const isFree = !canGoOn || preemptions < this.#preemptionsMax;
        const first = canGoOn ? [running] : [];
        const others = isFree ? bitsOf(enabled).filter((thread) => thread !== running) : [];
        this.#choices.push({ threads: [...first, ...others], at: 0 });
      }
      const { threads, at } = this.#choices[depth]!;
      const next = threads[at]!;
      if (canGoOn && next !== running) preemptions += 1;
      running = next;
      this.machine.step(next);
      if (this.machine.hasGrown) return false;
    }
  }

  protected advance(): boolean {
    const choices = this.#choices;
    while (choices.length > 0) {
      const choice = choices[choices.length - 1]!;
      choice.at += 1;
      if (choice.at < choice.threads.length) return true;
      choices.pop();
    }
    return false;
  }
}

class RandomWalk extends Walk {
  readonly #runs: number;
  #state: number;

  constructor(machine: Machine, runs: number, seed: number) {
    super(machine, Number.POSITIVE_INFINITY);
    this.#runs = runs;
    this.#state = seed | 0;
  }

  protected walk(): boolean {
    let running = 0;
    for (;;) {
      const enabled = bitsOf(this.machine.enabled());
      if (enabled.length === 0) return true;
      // Every other time the thread goes on: long stretches of one thread come as well.
      const goesOn = enabled.includes(running) && this.#random() < 0.5;
      if (!goesOn) running = enabled[Math.floor(this.#random() * enabled.length)]!;
      this.machine.step(running);
      if (this.machine.hasGrown) return false;
    }
  }

  protected advance(): boolean {
    return this.schedules < this.#runs;
  }

  /** Mulberry32. */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

function bitsOf(mask: number): number[] {
  const bits: number[] = [];
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits.push(indexOfBit(lowestBit(rest)));
  return bits;
}

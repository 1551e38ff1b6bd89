/**
 * Dependence: which steps of a schedule could as well have come in the other order, so that the
 * other order has to be tried.
 *
 * WHY        Two schedules that differ only in the order of independent steps (other words, or both
 *            only read) have the same outcome, the same answers to every thread and the same races.
 *            One of them is enough, which makes full exploration possible where all interleavings
 *            are far too many.
 * HOW        Dynamic partial-order reduction by source sets, with sleep sets (P. Abdulla, S.
 *            Aronis, B. Jonsson, K. Sagonas, "Optimal dynamic partial order reduction", POPL
 *            2014, algorithm 1). When step e' depends on an earlier step e of another thread and
 *            nothing orders them through steps between, then at the node before e some thread is
 *            tried that can begin the other order: one of the initials of (steps between that do
 *            not come after e, then e').
 * INVARIANTS A blocked thread is no initial; where every initial is blocked there, all threads that
 *            can step are tried (more than is needed is always sound). Waiting for a change counts
 *            as reading every word that is waited for, sleeping and notifying as writing.
 * REFUSED    Dependence by object only; the optimal algorithm (wake-up trees: more text, and what
 *            it saves here is little).
 */

/** A place in the tree of schedules: which threads could step, and which were tried. */
export interface Node {
  readonly enabled: number;
  /** To be tried, or tried. */
  backtrack: number;
  done: number;
  /** Threads whose step from here was seen from another node, up to order. */
  readonly sleep: number;
  chosen: number;
}

export class Dependence {
  readonly #threads: number;
  /** Per thread and other thread: the last step of the other that comes before what is next. */
  readonly #clocks: number[][];
  /** Per step: its thread and its clock. */
  readonly #steps: { readonly thread: number; readonly clock: readonly number[] }[] = [];
  readonly #lastWrite = new Map<number, number>();
  /** Per word: reads since the last write. */
  readonly #lastReads = new Map<number, number[]>();

  constructor(threads: number) {
    this.#threads = threads;
    this.#clocks = Array.from({ length: threads }, () => []);
  }

  reset(): void {
    for (const clock of this.#clocks) clock.splice(0, clock.length, ...this.#never());
    this.#steps.length = 0;
    this.#lastWrite.clear();
    this.#lastReads.clear();
  }

  /** What `thread` does next comes after the end of `other`. */
  join(thread: number, other: number): void {
    this.#include(this.#clocks[thread]!, this.#clocks[other]!);
  }

  /**
   * `thread` has made the step of nodes[nodes.length - 1] on these words; when `isNew`, the other
   * orders are put down in the nodes.
   */
  step(
    thread: number,
    words: readonly number[],
    isWrite: boolean,
    nodes: readonly Node[],
    depth: number,
    isNew: boolean,
  ): void {
    const before = this.#clocks[thread]!;
    const clock = [...before];
    const rivals: number[] = [];
    for (const word of words) {
      this.#meet(thread, this.#lastWrite.get(word), before, clock, rivals);
      if (!isWrite) continue;
      for (const step of this.#lastReads.get(word) ?? []) {
        this.#meet(thread, step, before, clock, rivals);
      }
    }
    clock[thread] = depth;
    this.#steps.push({ thread, clock });
    this.#clocks[thread] = clock;
    if (isNew) for (const rival of rivals) this.#reverse(rival, rivals, nodes, depth);
    for (const word of words) {
      if (isWrite) {
        this.#lastWrite.set(word, depth);
        this.#lastReads.set(word, []);
      } else this.#noteRead(word, depth);
    }
  }

  #never(): number[] {
    return new Array<number>(this.#threads).fill(-1);
  }

  #include(clock: number[], other: readonly number[]): void {
    for (let i = 0; i < clock.length; i++) {
      if (other[i]! > clock[i]!) clock[i] = other[i]!;
    }
  }

  #noteRead(word: number, depth: number): void {
    const reads = this.#lastReads.get(word);
    if (reads === undefined) this.#lastReads.set(word, [depth]);
    else reads.push(depth);
  }

  #meet(
    thread: number,
    step: number | undefined,
    before: readonly number[],
    clock: number[],
    rivals: number[],
  ): void {
    if (step === undefined) return;
    const other = this.#steps[step]!;
    if (other.thread === thread) return;
    if (before[other.thread]! < step && !rivals.includes(step)) rivals.push(step);
    this.#include(clock, other.clock);
  }

  /** Puts down, at the node before `rival`, who can begin the order in which `depth` is first. */
  #reverse(rival: number, rivals: readonly number[], nodes: readonly Node[], depth: number): void {
    const steps = this.#steps;
    const { thread } = steps[rival]!;
    const isBetween = rivals.some(
      (other) => other > rival && steps[other]!.clock[thread]! >= rival,
    );
    if (isBetween) return;
    const firsts = this.#never();
    let initials = 0;
    for (let i = rival + 1; i <= depth; i++) {
      const step = steps[i]!;
      if (i < depth && step.clock[thread]! >= rival) continue;
      if (firsts[step.thread] !== -1) continue;
      firsts[step.thread] = i;
      const isLed = firsts.some(
        (first, other) => other !== step.thread && first !== -1 && step.clock[other]! >= first,
      );
      if (!isLed) initials |= 1 << step.thread;
    }
    const node = nodes[rival]!;
    const wanted = initials & node.enabled;
    if (wanted === 0) node.backtrack |= node.enabled;
    else if ((node.backtrack & wanted) === 0) node.backtrack |= lowestBit(wanted);
  }
}

export function lowestBit(mask: number): number {
  return mask & -mask;
}

export function indexOfBit(bit: number): number {
  return 31 - Math.clz32(bit);
}

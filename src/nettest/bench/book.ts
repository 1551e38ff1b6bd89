/**
 * Book: what was measured, by cell, contestant and round.
 *
 * WHY         A ratio is made of two figures of the same round and cell, and the median is taken
 *             of the ratios, not a ratio of medians: what disturbs a whole round disturbs neither.
 * SHARES      A process's CPU time is exact, how it is split into user and system is sampled 250
 *             times a second: one short run says little. So the split is that of all rounds
 *             together, and a round's user and system time are its exact total in these shares.
 * UNITS       milliseconds of CPU time per GB (10^9 bytes over all connections), GB per second.
 */

import { type Cell, cellName } from './plan.ts';
import type { Sample } from './session.ts';

export interface Figures {
  readonly senderUsrMs: number;
  readonly senderSysMs: number;
  readonly receiverUsrMs: number;
  readonly receiverSysMs: number;
  readonly gbPerSecond: number;
}

export type Pick = (figures: Figures) => number;

export const senderMs: Pick = (of) => of.senderUsrMs + of.senderSysMs;
export const senderSysMs: Pick = (of) => of.senderSysMs;
export const receiverMs: Pick = (of) => of.receiverUsrMs + of.receiverSysMs;
export const bothMs: Pick = (of) => senderMs(of) + receiverMs(of);

/** Median, least and greatest. */
export interface Statistic {
  readonly value: number;
  readonly spread: readonly [number, number];
}

/** Null of no values. */
export function statisticOf(values: readonly number[]): Statistic | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const value =
    sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { value, spread: [sorted[0]!, sorted.at(-1)!] };
}

export function figuresOf({ sender, receiver }: Sample): Figures {
  const gb = Math.max(1, sender.bytes) / 1e9;
  return {
    senderUsrMs: sender.usrUs / 1e3 / gb,
    senderSysMs: sender.sysUs / 1e3 / gb,
    receiverUsrMs: (receiver?.usrUs ?? 0) / 1e3 / gb,
    receiverSysMs: (receiver?.sysUs ?? 0) / 1e3 / gb,
    gbPerSecond: gb / sender.seconds,
  };
}

export class Book {
  readonly #figures = new Map<string, (Figures | undefined)[]>();
  readonly #notes = new Map<string, string>();
  readonly #refusals = new Map<string, string>();

  add(cell: Cell, name: string, round: number, sample: Sample): void {
    const key = keyOf(cell, name);
    const rounds = this.#figures.get(key) ?? [];
    rounds[round] = figuresOf(sample);
    this.#figures.set(key, rounds);
    const { note = '' } = sample.sender;
    if (note !== '') this.#notes.set(key, note);
  }

  refuse(cell: Cell, name: string, reason: string): void {
    this.#refusals.set(keyOf(cell, name), reason);
  }

  refusalOf(cell: Cell, name: string): string | undefined {
    return this.#refusals.get(keyOf(cell, name));
  }

  noteOf(cell: Cell, name: string): string {
    return this.#notes.get(keyOf(cell, name)) ?? '';
  }

  statistic(cell: Cell, name: string, pick: Pick): Statistic | null {
    return statisticOf(
      this.#rounds(cell, name)
        .flatMap((one) => one ?? [])
        .map(pick),
    );
  }

  /** One contestant over another, round by round. */
  ratios(cell: Cell, name: string, base: string, pick: Pick): number[] {
    const above = this.#rounds(cell, name);
    const below = this.#rounds(cell, base);
    const ratios: number[] = [];
    for (let round = 0; round < Math.min(above.length, below.length); round++) {
      const [one, other] = [above[round], below[round]];
      if (one === undefined || other === undefined || pick(other) <= 0) continue;
      ratios.push(pick(one) / pick(other));
    }
    return ratios;
  }

  /** Whose median is least; null: none of them was measured. */
  bestOf(cell: Cell, names: readonly string[], pick: Pick): string | null {
    let best: { name: string; value: number } | null = null;
    for (const name of names) {
      const value = this.statistic(cell, name, pick)?.value;
      if (value !== undefined && (best === null || value < best.value)) best = { name, value };
    }
    return best?.name ?? null;
  }

  /** The figures by round, in the shares of all rounds. */
  #rounds(cell: Cell, name: string): readonly (Figures | undefined)[] {
    const rounds = this.#figures.get(keyOf(cell, name)) ?? [];
    const known = rounds.filter((one) => one !== undefined);
    const sender = shareOf(known, (of) => of.senderUsrMs, senderMs);
    const receiver = shareOf(known, (of) => of.receiverUsrMs, receiverMs);
    return rounds.map((one) =>
      one === undefined
        ? undefined
        : {
            senderUsrMs: senderMs(one) * sender,
            senderSysMs: senderMs(one) * (1 - sender),
            receiverUsrMs: receiverMs(one) * receiver,
            receiverSysMs: receiverMs(one) * (1 - receiver),
            gbPerSecond: one.gbPerSecond,
          },
    );
  }
}

function shareOf(rounds: readonly Figures[], part: Pick, whole: Pick): number {
  let parts = 0;
  let all = 0;
  for (const figures of rounds) {
    parts += part(figures);
    all += whole(figures);
  }
  return all > 0 ? parts / all : 0;
}

function keyOf(cell: Cell, name: string): string {
  return `${cellName(cell)} ${name}`;
}

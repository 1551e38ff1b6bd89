/**
 * Subjects: what can be measured, C++ or JavaScript, by one face.
 */
import { schedGetAffinity } from '../../src/toolkit/sys/index.ts';
import type { RingPeer } from './peer.ts';
import { threadsOf } from './plan.ts';
import type { Section } from './section.ts';
import { RingTeam } from './team.ts';

export class Subject {
  readonly name: string;
  readonly #caseName: string;
  readonly #peer: RingPeer;
  readonly #team: RingTeam | null;
  readonly #cpus: readonly number[];
  /** More threads than CPUs: they wait, and their switches say nothing. */
  readonly isCrowded: boolean;

  private constructor(
    name: string,
    peer: RingPeer,
    team: RingTeam | null,
    cpus: readonly number[],
  ) {
    this.name = name;
    this.#caseName = name.slice(name.indexOf(':') + 1);
    this.#peer = peer;
    this.#team = team;
    this.#cpus = cpus;
    this.isCrowded = new Set(cpus).size < cpus.length;
  }

  static async start(name: string, peer: RingPeer): Promise<Subject> {
    const cpus = cpusFor(...threadsOf(name));
    const isCrowded = new Set(cpus).size < cpus.length;
    const [side, caseName] = name.split(':') as [string, string];
    const team = side === 'js' ? await RingTeam.start(caseName, cpus, isCrowded) : null;
    return new Subject(name, peer, team, cpus);
  }

  /** One timed section; `isFifo`: no other program can take the CPUs meanwhile. */
  async run(items: number, isFifo: boolean): Promise<Section> {
    const fifo = isFifo && !this.isCrowded;
    if (this.#team === null) return await this.#peer.run(this.#caseName, items, this.#cpus, fifo);
    if (!fifo) return await this.#team.run(items);
    await this.#peer.setFifo(this.#team.threadIds, true);
    try {
      return await this.#team.run(items);
    } finally {
      await this.#peer.setFifo(this.#team.threadIds, false);
    }
  }

  async close(): Promise<void> {
    await this.#team?.close();
  }
}

/** Senders first; a sender and its receiver are apart where it can be. */
function cpusFor(senders: number, receivers: number): readonly number[] {
  const allowed = schedGetAffinity();
  const senderPlaces = Array.from({ length: senders }, (_, index) => 2 * index);
  const receiverPlaces = Array.from({ length: receivers }, (_, index) => 2 * index + 1);
  return [...senderPlaces, ...receiverPlaces].map((place) => allowed[place % allowed.length]!);
}

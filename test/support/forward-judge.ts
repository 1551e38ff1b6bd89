/**
 * Forward judge: holds what destinations got against what the server took in.
 *
 * WHY       "Nothing is lost and nothing is doubled" is a statement about every single record, so
 *           every one is looked at: a swap, a gap, a double, half a record in the middle, a record
 *           of somebody else each have a finding of their own. It knows nothing of the forwarder
 *           but what docs/guarantees.md promises.
 * RULES     1. A connection is whole records, but for half a one at the end of a broken one.
 *           2. Each record is one that was taken in, byte for byte, and one that was chosen.
 *           3. Records of one incoming connection rise on each connection.
 *           4. Nothing is missing, but what TCP had acknowledged when the destination broke the
 *              connection (`unacked`), or what was under way when it broke (`none`), where
 *              forward-gaps.ts says, or as many as the ledger says were dropped.
 *           5. A double comes only with `unacked`, only on a connection behind a broken one, and in
 *              a balanced group from one member only. What is new in front of it on its connection
 *              lies before all that the connection carried that brought it first: it was lost
 *              unread, and the stream went back behind it.
 *           6. Hash: in the order of the journal the records of one key change their destination
 *              at most as often as the membership changed.
 *           7. One connection for each exporter carries records of that exporter alone.
 */

import { ForwardGaps } from './forward-gaps.ts';
import type { ReceivedConnection } from './forward-received.ts';
import { type ForwardTruth, HOLE, type TrueStream } from './forward-truth.ts';

export const FINDING_KINDS = [
  'garbage',
  'cut',
  'unknown',
  'foreign',
  'order',
  'gap',
  'double',
  'split',
  'exporters',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export interface Finding {
  readonly kind: FindingKind;
  readonly text: string;
}

export interface ReceivedDestination {
  readonly name: string;
  readonly connections: readonly ReceivedConnection[];
}

export interface JudgeOptions {
  readonly truth: ForwardTruth;
  /** One for a destination alone or of a multicast group, all of another group. */
  readonly members: readonly ReceivedDestination[];
  readonly mode?: 'single' | 'redundancy' | 'hash' | 'block';
  readonly resend?: 'none' | 'unacked';
  readonly connections?: 'per-exporter' | 'merged';
  /** Whether a record was to be forwarded; all, where it is left out. */
  readonly chosen?: (stream: TrueStream, sequence: number) => boolean;
  /** Where each stream begins for these members (`from: now`); 0 where it is left out. */
  readonly firstOf?: (mark: number) => number;
  /** Hash: how often a member came or went. */
  readonly membershipChanges?: number;
  /** Records that the ledger says were dropped or cut. */
  readonly droppedRecords?: number;
  /** `none`: bytes that may be under way when a connection breaks. */
  readonly underWayBytesMax?: number;
}

export interface Verdict {
  readonly findings: readonly Finding[];
  readonly received: number;
  readonly doubles: number;
  readonly missing: number;
  readonly missingBytes: number;
  readonly cut: number;
}

/** What the judge knows of one stream at the members of one group. */
interface Seen {
  readonly stream: TrueStream;
  /** By ordinal: index + 1 of the member that got it first; 0: nobody. */
  readonly member: Uint8Array;
  /** By ordinal: the ordinal of the connection on which that was. */
  readonly connection: Uint32Array;
}

const FINDINGS_MAX = 50;

export function judge(options: JudgeOptions): Verdict {
  return new Judge(options).run();
}

class Judge {
  readonly #options: JudgeOptions;
  readonly #findings: Finding[] = [];
  readonly #seen = new Map<number, Seen>();
  /** Ordinal of a connection -> mark -> the first record of that stream on it. */
  readonly #firsts = new Map<number, Map<number, number>>();
  #received = 0;
  #doubles = 0;
  #cut = 0;
  #missing = 0;
  #missingBytes = 0;

  constructor(options: JudgeOptions) {
    this.#options = options;
    for (const [mark, stream] of options.truth.streams) {
      const { length } = stream.checksums;
      const member = new Uint8Array(length);
      this.#seen.set(mark, { stream, member, connection: new Uint32Array(length) });
    }
  }

  run(): Verdict {
    const { members, mode } = this.#options;
    const all = members.flatMap(({ connections }, index) => {
      return connections.map((connection) => ({ connection, index }));
    });
    all.sort((a, b) => a.connection.ordinal - b.connection.ordinal);
    for (const [at, { connection, index }] of all.entries()) {
      const isBehindBreak = all.slice(0, at).some((before) => before.connection.isBroken);
      this.#checkConnection(connection, index, isBehindBreak);
    }
    this.#checkGaps(all.map(({ connection }) => connection));
    if (mode === 'hash') this.#checkSplit();
    return {
      findings: this.#findings,
      received: this.#received,
      doubles: this.#doubles,
      missing: this.#missing,
      missingBytes: this.#missingBytes,
      cut: this.#cut,
    };
  }

  #find(kind: FindingKind, text: string): void {
    if (this.#findings.length < FINDINGS_MAX) this.#findings.push({ kind, text });
  }

  #checkConnection(connection: ReceivedConnection, member: number, isBehindBreak: boolean): void {
    const name = `${this.#options.members[member]!.name}, connection ${connection.ordinal}`;
    if (connection.resyncBytes > 0) {
      this.#find('garbage', `${name}: ${connection.resyncBytes} bytes that are no records`);
    }
    if (connection.cutBytes > 0) {
      this.#cut++;
      if (!connection.isBroken) {
        this.#find('cut', `${name}: ${connection.cutBytes} bytes cut, end ${connection.end}`);
      }
    }
    const last = new Map<number, number>();
    const firsts = new Map<number, number>();
    this.#firsts.set(connection.ordinal, firsts);
    const news = new Map<number, number>();
    const exporters = new Set<string>();
    for (let i = 0; i < connection.records; i++) {
      const mark = connection.marks[i]!;
      const sequence = connection.sequences[i]!;
      const seen = this.#known(name, mark, sequence, connection.checksums[i]!);
      if (seen === null) continue;
      this.#received++;
      exporters.add(seen.stream.exporter);
      const before = last.get(mark) ?? -1;
      if (sequence <= before) {
        this.#find('order', `${name}: stream ${mark} has ${sequence} behind ${before}`);
      }
      last.set(mark, Math.max(before, sequence));
      if (!firsts.has(mark)) firsts.set(mark, sequence);
      const newest = news.get(mark) ?? -1;
      const isAllowed = isBehindBreak && newest < this.#firstBeside(seen, sequence);
      if (this.#checkDouble(name, seen, sequence, member, isAllowed)) continue;
      seen.connection[sequence] = connection.ordinal;
      news.set(mark, sequence);
    }
    if (this.#options.connections !== 'merged' && exporters.size > 1) {
      this.#find('exporters', `${name}: carries ${[...exporters].join(', ')}`);
    }
  }

  /** Where the connection that brought a record first began with its stream. */
  #firstBeside({ stream, connection }: Seen, sequence: number): number {
    return this.#firsts.get(connection[sequence]!)?.get(stream.mark) ?? 0;
  }

  /** Rules 2: the stream, or null when there is no such record. */
  #known(name: string, mark: number, sequence: number, checksum: number): Seen | null {
    const seen = this.#seen.get(mark);
    if (seen === undefined || seen.stream.checksums[sequence] !== checksum) {
      this.#find('unknown', `${name}: record ${sequence} of stream ${mark} was not taken in so`);
      return null;
    }
    if (!this.#isWanted(seen.stream, sequence)) {
      this.#find('foreign', `${name}: record ${sequence} of stream ${mark} was not chosen`);
    }
    return seen;
  }

  #isWanted(stream: TrueStream, sequence: number): boolean {
    const { chosen, firstOf } = this.#options;
    if (stream.checksums[sequence] === HOLE) return false;
    if (sequence < (firstOf?.(stream.mark) ?? 0)) return false;
    return chosen === undefined || chosen(stream, sequence);
  }

  #checkDouble(
    name: string,
    seen: Seen,
    sequence: number,
    member: number,
    isAllowed: boolean,
  ): boolean {
    const { resend = 'unacked', mode = 'single' } = this.#options;
    const owner = seen.member[sequence]!;
    if (owner === 0) {
      seen.member[sequence] = member + 1;
      return false;
    }
    this.#doubles++;
    const isBalanced = mode === 'hash' || mode === 'block';
    const isShared = isBalanced && owner !== member + 1;
    if (resend === 'none' || !isAllowed || isShared) {
      const { mark } = seen.stream;
      const before = `first on connection ${seen.connection[sequence]}`;
      this.#find('double', `${name}: record ${sequence} of stream ${mark} twice, ${before}`);
    }
    return true;
  }

  /** Rule 4. */
  #checkGaps(connections: readonly ReceivedConnection[]): void {
    const isBalanced = this.#options.mode === 'hash' || this.#options.mode === 'block';
    const isSettled = isBalanced || this.#options.droppedRecords !== undefined;
    const gaps = isSettled ? null : new ForwardGaps(connections);
    for (const seen of this.#seen.values()) {
      const { stream, member } = seen;
      let previous = -1;
      let begin = -1;
      for (let sequence = 0; sequence <= member.length; sequence++) {
        const isMissing =
          sequence < member.length && member[sequence] === 0 && this.#isWanted(stream, sequence);
        if (isMissing) {
          this.#missing++;
          this.#missingBytes += stream.lengths[sequence]!;
          if (begin < 0) begin = sequence;
          continue;
        }
        if (begin >= 0 && previous >= 0) {
          const found = gaps?.find(seen, begin, sequence, previous) ?? '';
          if (found !== '') this.#find('gap', found);
        }
        begin = -1;
        if (sequence < member.length && member[sequence] !== 0) previous = sequence;
      }
    }
    this.#checkMissingSum(connections);
  }

  #checkMissingSum(connections: readonly ReceivedConnection[]): void {
    const { resend = 'unacked', underWayBytesMax = 0, droppedRecords } = this.#options;
    if (droppedRecords !== undefined) {
      if (this.#missing > droppedRecords) {
        this.#find('gap', `${this.#missing} records missing, the ledger dropped ${droppedRecords}`);
      }
      return;
    }
    let bytesMax = 0;
    for (const connection of connections) {
      if (!connection.isBroken) continue;
      bytesMax += connection.lossBytesMax + (resend === 'none' ? underWayBytesMax : 0);
    }
    if (this.#missingBytes > bytesMax) {
      this.#find('gap', `${this.#missing} records missing: ${this.#missingBytes} > ${bytesMax} B`);
    }
  }

  /** Rule 6. */
  #checkSplit(): void {
    const byPlace: { place: number; key: string; member: number }[] = [];
    for (const { stream, member } of this.#seen.values()) {
      for (const [sequence, owner] of member.entries()) {
        if (owner === 0) continue;
        const place = stream.places[sequence]!;
        byPlace.push({ place, key: stream.keys[sequence]!, member: owner });
      }
    }
    byPlace.sort((a, b) => a.place - b.place);
    const now = new Map<string, { member: number; changes: number }>();
    const changesMax = this.#options.membershipChanges ?? 0;
    for (const { key, member } of byPlace) {
      const at = now.get(key);
      if (at === undefined) now.set(key, { member, changes: 0 });
      else if (at.member !== member) {
        at.member = member;
        at.changes++;
        if (at.changes === changesMax + 1) {
          this.#find('split', `${key} changed its destination more than ${changesMax} times`);
        }
      }
    }
  }
}

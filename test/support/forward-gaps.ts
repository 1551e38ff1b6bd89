/**
 * Forward gaps: may records be missing here?
 *
 * WHY     A broken connection explains lost bytes, but not everywhere: what was on its way is the
 *         end of what it carried. So a run of missing records of a stream must begin
 *         1. behind the last record of the stream on a broken connection; or
 *         2. between two connections, where the first ended in order (a member that was left, an
 *            idle timeout) and a third one that broke in their time shows nothing of the stream:
 *            what it was given, it lost whole.
 * TOLD    A finding names the connections: where the stream stood, where it goes on.
 */
import type { ReceivedConnection } from './forward-received.ts';
import type { TrueStream } from './forward-truth.ts';

/** Of one stream, by ordinal: the ordinal of the connection that brought a record first. */
export interface SeenOn {
  readonly stream: TrueStream;
  readonly connection: Uint32Array;
}

/** The lowest and the highest ordinal of a stream on a connection. */
interface Span {
  first: number;
  last: number;
}

interface Carrier {
  readonly connection: ReceivedConnection;
  /** By mark. */
  readonly spans: Map<number, Span>;
}

export class ForwardGaps {
  readonly #carriers = new Map<number, Carrier>();

  constructor(connections: readonly ReceivedConnection[]) {
    for (const connection of connections) {
      this.#carriers.set(connection.ordinal, { connection, spans: spansOf(connection) });
    }
  }

  /**
   * What is wrong with a run of missing records; '': nothing. `previous` arrived, and so did `end`,
   * unless the stream ends there.
   */
  find(seen: SeenOn, begin: number, end: number, previous: number): string {
    const { mark } = seen.stream;
    for (const { connection, spans } of this.#carriers.values()) {
      if (connection.isBroken && spans.get(mark)?.last === previous) return '';
    }
    const before = this.#carriers.get(seen.connection[previous]!)!;
    const after = this.#carriers.get(seen.connection[end] ?? -1) ?? null;
    const isLast = before.spans.get(mark)!.last === previous;
    const isFirst = after === null || after.spans.get(mark)!.first === end;
    if (isLast && isFirst && this.#isLostWhole(mark, before, after)) return '';
    const next = after === null ? 'nowhere' : `at ${end}, ${textOf(after, mark)}`;
    const where = `${textOf(before, mark)}; goes on ${next}`;
    return `stream ${mark}: ${begin} is missing behind ${previous}, in the midst: ${where}`;
  }

  #isLostWhole(mark: number, before: Carrier, after: Carrier | null): boolean {
    const fromOrdinal = before.connection.ordinal;
    const toOrdinal = after?.connection.endOrdinal ?? Number.MAX_SAFE_INTEGER;
    return [...this.#carriers.values()].some(({ connection, spans }) => {
      const isInTime = connection.endOrdinal > fromOrdinal && connection.ordinal < toOrdinal;
      return connection.isBroken && isInTime && !spans.has(mark);
    });
  }
}

function spansOf({ records, marks, sequences }: ReceivedConnection): Map<number, Span> {
  const spans = new Map<number, Span>();
  for (let i = 0; i < records; i++) {
    const last = sequences[i]!;
    const span = spans.get(marks[i]!);
    if (span === undefined) spans.set(marks[i]!, { first: last, last });
    else span.last = last;
  }
  return spans;
}

function textOf({ connection, spans }: Carrier, mark: number): string {
  const { ordinal, endOrdinal, peer, end, isOrphan, records, cutBytes } = connection;
  const span = spans.get(mark);
  const killed = isOrphan ? ', its server killed' : '';
  return (
    `connection ${ordinal} of ${peer} (${end} at ${endOrdinal}${killed}, ${records} records, ` +
    `${cutBytes} bytes cut, the stream ${span?.first ?? '-'} to ${span?.last ?? '-'})`
  );
}

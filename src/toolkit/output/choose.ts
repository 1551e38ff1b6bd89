/**
 * Choice of a mechanism: from what the kernel does, where the peer is, and what is sent.
 *
 * WHY         One table, in one place, that can be walked by a test over all its inputs: no choice
 *             may ever let a page be rewritten while somebody reads it.
 * RULES       payload  tee where one was prepared, else splice: bytes that never change are safe
 *                      with any peer
 *             file     sendfile on any stream
 *             pages    TCP to another machine: splice until acknowledged, else MSG_ZEROCOPY, else
 *                      io_uring. To this machine: splice when the peer's own queue, or its word,
 *                      proves what it has read; else a copy. UDP to another machine: MSG_ZEROCOPY,
 *                      else io_uring; to this machine a copy.
 *             SCTP and UNIX datagrams: a copy, whatever is sent.
 *             doubleBuffer: never.
 * INVARIANTS  1. pure: same input, same choice  2. what is chosen is safe for every peer that the
 *             statements of the caller allow  3. each candidate has a verdict and a reason
 * REFUSED     a choice by kernel version (probe.ts tries); falling back in silence from a mechanism
 *             asked for by name (an error says why it is not to be had).
 */
import { MillraceError } from '../base/errors.ts';
import { type CopySizes, copySizes } from './choose-sizes.ts';
import type { SocketClass } from './classify.ts';
import type { Mechanism } from './output-writer.ts';
import type { KernelProbe } from './probe.ts';
import type { ReclaimName } from './reclaim-policy.ts';
import { type Judgement, judge } from './suitability.ts';

/** What most writes of a connection send: see output-source.ts. */
export const PAYLOAD_KINDS = ['pages', 'payload', 'file'] as const;
export type PayloadKind = (typeof PAYLOAD_KINDS)[number];

export interface ChooseInput {
  readonly probe: KernelProbe;
  readonly socket: SocketClass;
  readonly payload: PayloadKind;
  /** The caller states: the peer takes its bytes by recv(2) or read(2), which copy. */
  readonly peerReceives?: boolean;
  /** The socket of the peer was found on this machine, or is the other end of a UNIX stream. */
  readonly peerFound?: boolean;
  /** The caller states: the peer acknowledges what it has consumed, and the caller passes it on. */
  readonly peerAcknowledges?: boolean;
  /** The payload lies in master pipes already. */
  readonly isPrepared?: boolean;
  /** By name: this or an error. */
  readonly mechanism?: Mechanism;
  readonly reclaim?: ReclaimName;
}

export interface Considered extends Judgement {
  readonly mechanism: Mechanism;
  /** Null: the bytes are free at once. */
  readonly reclaim: ReclaimName | null;
}

export interface OutputChoice extends CopySizes {
  readonly mechanism: Mechanism;
  readonly reclaim: ReclaimName | null;
  readonly reason: string;
  readonly considered: readonly Considered[];
}

type Candidate = readonly [Mechanism, ReclaimName | null];

/** The cheapest first. */
const CANDIDATES: Readonly<Record<PayloadKind, readonly Candidate[]>> = {
  pages: [
    ['splice', 'ackedBytes'],
    ['splice', 'peerQueue'],
    ['splice', 'applicationAck'],
    ['msgZerocopy', 'notification'],
    ['uringZerocopy', 'notification'],
    ['copy', null],
    ['splice', 'doubleBuffer'],
    ['null', null],
  ],
  payload: [
    ['tee', 'immutable'],
    ['splice', 'immutable'],
    ['msgZerocopy', 'notification'],
    ['uringZerocopy', 'notification'],
    ['copy', null],
    ['null', null],
  ],
  file: [
    ['file', 'immutable'],
    ['null', null],
  ],
};

/**
 * Chooses. Throws MR_OUTPUT_MECHANISM when nothing can send this payload here, or when what was
 * asked for by name is not offered, or would not be safe.
 */
export function chooseOutput(input: ChooseInput): OutputChoice {
  const isNamed = input.mechanism !== undefined || input.reclaim !== undefined;
  const judged = CANDIDATES[input.payload].map(([mechanism, reclaim]): Considered => {
    return { mechanism, reclaim, ...judge(mechanism, reclaim, input) };
  });
  const eligible = judged.filter(
    ({ mechanism, reclaim, verdict }) =>
      (verdict === 'allowed' || (isNamed && (verdict === 'dearer' || verdict === 'named'))) &&
      mechanism === (input.mechanism ?? mechanism) &&
      reclaim === (input.reclaim ?? reclaim),
  );
  const chosen = eligible[0];
  if (chosen === undefined) throw notOffered(input, judged);
  const { mechanism, reclaim } = chosen;
  // What the peer acknowledges counts the whole stream: copies in between would be taken for pages.
  const mayMix = mechanism !== 'copy' && reclaim !== 'applicationAck' && !isNamed;
  return {
    mechanism,
    reclaim,
    ...copySizes(mayMix ? mechanism : 'copy'),
    reason: reasonOf(chosen, judged),
    considered: judged.map((one) => (one === chosen ? { ...one, verdict: 'chosen' } : one)),
  };
}

/** Why a copy, too: what the first of the others lacks. */
function reasonOf(chosen: Considered, judged: readonly Considered[]): string {
  if (chosen.mechanism !== 'copy') return chosen.reason;
  const other = judged.find(({ verdict }) => verdict === 'unsafe' || verdict === 'unavailable');
  if (other === undefined) return chosen.reason;
  return `${chosen.reason}; ${other.mechanism} is ${other.verdict}: ${other.reason}`;
}

function notOffered(input: ChooseInput, judged: readonly Considered[]): MillraceError {
  const { mechanism, reclaim, payload, socket } = input;
  const asked = [mechanism, reclaim].filter((word) => word !== undefined).join(' with ');
  const matching = judged.filter(
    (one) =>
      one.mechanism === (mechanism ?? one.mechanism) && one.reclaim === (reclaim ?? one.reclaim),
  );
  const why = matching.map((one) => one.reason).join('; ') || `it does not send ${payload}`;
  const target = `${socket.kind} socket, ${socket.place} peer`;
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `${asked || 'output'} is not to be had for ${payload} on this socket (${target}): ${why}`,
    payload === 'file'
      ? 'read the file into memory and send that, or use a stream'
      : 'leave the mechanism out: auto picks what is safe here; `millrace nettest probe` says why',
  );
}

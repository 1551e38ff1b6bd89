/**
 * openOutput: a writer for a connection, chosen by what the kernel does and where the peer is.
 *
 * WHY         Most callers want the cheapest way that is safe, and one word about what it is. What
 *             comes out of here never lets a page be rewritten while somebody reads it, also where
 *             a mechanism or a policy is asked for by name. Who wants it otherwise constructs a
 *             writer himself.
 * STEPS       classify the socket, probe the kernel (once), look for the peer's socket when the
 *             caller states that the peer receives by copy, choose, construct. What cannot be
 *             constructed after all (the socket was used before, no memory) becomes a copy, with
 *             the reason, unless it was asked for by name.
 */
import { MillraceError } from '../base/errors.ts';
import { AckedBytesReclaim } from './acked-bytes-reclaim.ts';
import { type ApplicationAckReclaim, SharedAckReclaim } from './application-ack-reclaim.ts';
import { AutoWriter } from './auto-writer.ts';
import { type ChooseInput, chooseOutput, type OutputChoice, type PayloadKind } from './choose.ts';
import { classifySocket, type SocketClass } from './classify.ts';
import { CopyWriter } from './copy-writer.ts';
import { FileWriter } from './file-writer.ts';
import { ImmutableReclaim } from './immutable-reclaim.ts';
import { MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
import { NullWriter } from './null-writer.ts';
import type { Mechanism, OutputWriter } from './output-writer.ts';
import { PeerQueueReclaim } from './peer-queue-reclaim.ts';
import { type KernelProbe, probeKernel } from './probe.ts';
import type { ReclaimName, ReclaimPolicy } from './reclaim-policy.ts';
import { type SpliceOptions, SpliceWriter } from './splice-writer.ts';
import type { TeePayload } from './tee-payload.ts';
import { TeeWriter } from './tee-writer.ts';
import { UringZerocopyWriter } from './uring-zerocopy-writer.ts';

export interface OpenOutputOptions {
  /** What most writes send; `pages` when left out. Other sources are sent, too. */
  readonly payload?: PayloadKind;
  /** By name: this, or MR_OUTPUT_MECHANISM. */
  readonly mechanism?: Mechanism;
  readonly reclaim?: ReclaimName;
  /** Rules of this machine, whatever the route says: for proxies that nobody sees from here. */
  readonly override?: 'local';
  /** The caller states: the peer takes its bytes by recv(2) or read(2), and does not splice. */
  readonly peerReceives?: boolean;
  /** The caller states: the peer acknowledges what it consumed, and tells this policy of it. */
  readonly applicationAck?: ApplicationAckReclaim;
  /** The payload, laid into master pipes: most writes send this. */
  readonly tee?: TeePayload;
  /** Bytes of the pipe, and how many gather there, for splice and tee. */
  readonly pipe?: SpliceOptions;
  /** Another probe than that of this process: for tests. */
  readonly probe?: KernelProbe;
}

/**
 * `fd`: a connected, non-blocking socket, owned by the caller. Errors: MR_OUTPUT_MECHANISM (no
 * socket; what was asked for by name is not offered or not safe here; a file on a datagram socket),
 * MR_USAGE (an override towards the unsafe side), MR_ADDON.
 */
export function openOutput(fd: number, options: OpenOutputOptions = {}): AutoWriter {
  const { mechanism, reclaim, tee } = options;
  const payload = options.payload ?? (tee === undefined ? 'pages' : 'payload');
  const override = options.override === undefined ? {} : { override: options.override };
  const socket = classifySocket(fd, override);
  const peerQueue = payload === 'pages' ? findPeerQueue(fd, socket, options) : null;
  const choice = chooseOutput({
    probe: options.probe ?? probeKernel(),
    socket,
    payload,
    peerReceives: options.peerReceives === true,
    peerFound: peerQueue !== null,
    peerAcknowledges: options.applicationAck !== undefined,
    isPrepared: tee !== undefined,
    ...(mechanism === undefined ? {} : { mechanism }),
    ...(reclaim === undefined ? {} : { reclaim }),
  } satisfies ChooseInput);
  // Asked only by reclaim(), when the writer is there.
  const otherBytes = (): number => auto.otherBytes;
  let auto: AutoWriter;
  try {
    const writer = makeWriter(fd, choice, options, { peerQueue, otherBytes });
    auto = new AutoWriter({ fd, writer, choice, socket, tee });
    return auto;
  } catch (error) {
    const isNamed = mechanism !== undefined || reclaim !== undefined;
    if (isNamed || payload === 'file' || !isRefusal(error)) throw error;
    const copying = copyInstead(choice, error);
    return new AutoWriter({ fd, writer: new CopyWriter(fd), choice: copying, socket });
  }
}

function isRefusal(error: unknown): error is MillraceError {
  return error instanceof MillraceError && error.code === 'MR_OUTPUT_MECHANISM';
}

/** The policy, when the caller's statement calls for it and the peer's socket is here. */
function findPeerQueue(
  fd: number,
  socket: SocketClass,
  { peerReceives, reclaim }: OpenOutputOptions,
): PeerQueueReclaim | null {
  if (peerReceives !== true || socket.place === 'remote') return null;
  if (reclaim !== undefined && reclaim !== 'peerQueue') return null;
  try {
    return new PeerQueueReclaim(fd, { reader: 'recv' });
  } catch (error) {
    if (isRefusal(error)) return null;
    throw error;
  }
}

/** What a policy needs besides the socket. */
interface PolicyParts {
  readonly peerQueue: PeerQueueReclaim | null;
  readonly otherBytes: () => number;
}

function makeWriter(
  fd: number,
  choice: OutputChoice,
  options: OpenOutputOptions,
  parts: PolicyParts,
): OutputWriter {
  // What was asked for by name is not given up for a copy.
  const notified =
    options.mechanism === undefined ? {} : { copiedCallsMax: Number.POSITIVE_INFINITY };
  switch (choice.mechanism) {
    case 'copy':
      return new CopyWriter(fd);
    case 'null':
      return new NullWriter();
    case 'file':
      return new FileWriter(fd);
    case 'tee':
      return new TeeWriter(fd, options.tee!, options.pipe);
    case 'splice':
      return new SpliceWriter(fd, policyOf(fd, choice, options, parts), options.pipe);
    case 'msgZerocopy':
      return new MsgZerocopyWriter(fd, notified);
    case 'uringZerocopy':
      return new UringZerocopyWriter(fd, notified);
  }
}

/** chooseOutput has judged that the policy holds here. */
function policyOf(
  fd: number,
  { reclaim }: OutputChoice,
  options: OpenOutputOptions,
  { peerQueue, otherBytes }: PolicyParts,
): ReclaimPolicy {
  switch (reclaim) {
    case 'ackedBytes':
      return new AckedBytesReclaim(fd, { peer: 'remote' });
    case 'peerQueue':
      return peerQueue!;
    case 'applicationAck':
      return new SharedAckReclaim(options.applicationAck!, otherBytes);
    default:
      return new ImmutableReclaim();
  }
}

function copyInstead(choice: OutputChoice, error: MillraceError): OutputChoice {
  const considered = choice.considered.map((one) => {
    if (one.mechanism === 'copy') return { ...one, verdict: 'chosen' as const };
    if (one.verdict !== 'chosen') return one;
    return { ...one, verdict: 'unavailable' as const, reason: error.message };
  });
  const reason = `a copy, because ${error.message}`;
  return {
    mechanism: 'copy',
    reclaim: null,
    copyBelowBytes: 0,
    turnBelowBytes: 0,
    reason,
    considered,
  };
}

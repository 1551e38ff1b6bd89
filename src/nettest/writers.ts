/**
 * Writers: which OutputWriter a run of xmit uses, over which messages, and why.
 *
 * WHY        What may be sent by reference depends on who may still read it. Pages that are filled
 *            again need a policy that holds for this peer; messages that never change need none. So
 *            the mechanism, the policy and the kind of messages are chosen together, once the
 *            connection shows where the peer is.
 * THE RULE   auto is openOutput of the toolkit. What was asked for by name is taken, or refused
 *            with the reason. `splice` without a policy takes ackedBytes for a peer on another
 *            machine, and for one on this machine messages that never change, as no policy holds
 *            there however the peer reads.
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import {
  AckedBytesReclaim,
  type AutoWriter,
  CopyWriter,
  classifySocket,
  DOUBLE_BUFFER_WARNING,
  DoubleBufferReclaim,
  FileWriter,
  ImmutableReclaim,
  type KernelProbe,
  type Mechanism,
  MsgZerocopyWriter,
  NullWriter,
  type OutputWriter,
  openOutput,
  PeerQueueReclaim,
  type ProbeName,
  probeKernel,
  type ReclaimName,
  type ReclaimPolicy,
  type SocketClass,
  SpliceWriter,
  TeePayload,
  TeeWriter,
  UringZerocopyWriter,
} from '../toolkit/output/index.ts';
import { SocketAckReclaim } from './ack-reclaim.ts';
import {
  alignedStride,
  type FeedOptions,
  type MessageFeed,
  makeFileFeed,
  makePageFeed,
  makePayloadFeed,
} from './message-feed.ts';
import type { XmitOptions } from './options.ts';

/** The ring of the old program: four pipes of 64 KiB. */
const OLD_RING_BYTES = 256 * 1024;
/** Master pipes count against the user's share of pipe memory: a ring of messages, not a pool. */
const TEE_BYTES_MAX = 1024 * 1024;
/** What was asked for by name is measured, also where the kernel copies in the end. */
const NEVER_GIVE_UP = { copiedCallsMax: Number.POSITIVE_INFINITY };

/** How a run sends. */
export interface RunChoice {
  readonly mechanism: Mechanism;
  readonly reclaim: ReclaimName | null;
  readonly isSafe: boolean;
  /** Why this, for people; empty where it was asked for. */
  readonly reason: string;
  /** Once, before the writers. */
  makeFeed(): MessageFeed;
  makeWriter(fd: number): OutputWriter;
  /** After the writers. */
  readonly close: () => void;
}

/**
 * `fd`: one of the connections, connected.
 * Errors: MR_OUTPUT_MECHANISM (not for this socket or kernel), MR_SYSCALL.
 */
export function chooseRun(options: XmitOptions, fd: number): RunChoice {
  const { mechanism } = options;
  if (mechanism === 'auto') return chooseAuto(options, fd);
  const socket = classifySocket(fd);
  requireMechanism(probeKernel(), mechanism, socket);
  switch (mechanism) {
    case 'splice':
      return chooseSplice(options, socket);
    case 'tee':
      return overTee(options);
    case 'file':
      return overFile(options);
    default:
      return overPages(options, mechanism);
  }
}

/** What a mechanism needs of the kernel. */
const NEEDS: Readonly<Partial<Record<Mechanism, readonly ProbeName[]>>> = {
  file: ['sendfile'],
  tee: ['vmsplice', 'tee'],
  splice: ['vmsplice'],
  msgZerocopy: ['msgZerocopy'],
  uringZerocopy: ['uringZerocopy'],
};

/** Throws MR_OUTPUT_MECHANISM where the kernel lacks what the mechanism needs. */
export function requireMechanism(
  probe: KernelProbe,
  mechanism: Mechanism,
  { kind }: Pick<SocketClass, 'kind'>,
): void {
  const needs = [...(NEEDS[mechanism] ?? [])];
  if (needs.includes('vmsplice')) needs.push(kind === 'unixStream' ? 'spliceUnix' : 'spliceTcp');
  for (const name of needs) {
    const { available, detail } = probe[name];
    if (available) continue;
    throw new MillraceError(
      'MR_OUTPUT_MECHANISM',
      `this kernel (${probe.kernel}) does not offer ${mechanism}: ${name}: ${detail}`,
      'leave --mechanism out, or give --mechanism copy; see millrace nettest probe',
    );
  }
}

/** What openOutput picks: writers that copy what is cheaper copied. */
function chooseAuto(options: XmitOptions, fd: number): RunChoice {
  const isFixed = options.fill === 'once' || options.fill === 'none';
  const prepared = isFixed && options.fanOut > 1 ? prepareTee(options) : null;
  const open = (socketFd: number): AutoWriter =>
    openOutput(socketFd, {
      payload: isFixed ? 'payload' : 'pages',
      peerReceives: options.peerReceives,
      ...(prepared === null ? {} : { tee: prepared.tee }),
    });
  const first = openFirst(open, fd, prepared);
  const { mechanism, reclaim, copyBelowBytes, reason } = first.choice;
  const isSmall = mechanism !== 'copy' && options.messageBytes < copyBelowBytes;
  return {
    mechanism,
    reclaim,
    isSafe: true,
    reason: isSmall ? `${reason}; writes under ${copyBelowBytes} bytes are copied` : reason,
    makeFeed() {
      if (prepared !== null) return prepared.feed;
      return isFixed ? makeAlignedFeed(options) : makePageFeed(feedOptions(options));
    },
    makeWriter: (socketFd) => (socketFd === fd ? first : open(socketFd)),
    close() {
      prepared?.tee.close();
    },
  };
}

function openFirst(
  open: (fd: number) => AutoWriter,
  fd: number,
  prepared: { readonly tee: TeePayload } | null,
): AutoWriter {
  try {
    return open(fd);
  } catch (error) {
    prepared?.tee.close();
    throw error;
  }
}

function chooseSplice(options: XmitOptions, socket: SocketClass): RunChoice {
  const { fill } = options;
  const name = options.reclaim?.name;
  // checkXmitOptions has refused `notification`, which is no policy of splice.
  if (name === 'immutable' || name === 'notification') return overPayload(options, '');
  if (name !== undefined) {
    const reason = name === 'doubleBuffer' ? DOUBLE_BUFFER_WARNING : '';
    return spliceOverPages(options, socket, name, reason);
  }
  if (fill === 'once' || fill === 'none') {
    return overPayload(options, 'messages never change, so nothing has to be proved');
  }
  if (socket.place === 'remote') {
    return spliceOverPages(options, socket, 'ackedBytes', socket.reason);
  }
  if (fill !== 'always') {
    return overPayload(options, `${socket.reason}, so messages are filled once and never change`);
  }
  throw new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `splice has no policy for --fill always that holds for every peer here: ${socket.reason}`,
    'give --fill once; or, when the receiver is recv -r: --reclaim peerQueue',
  );
}

function feedOptions(options: XmitOptions): FeedOptions {
  return { ...options, fill: options.fill ?? 'always' };
}

/** Everything but splice, tee and file. */
function overPages(options: XmitOptions, mechanism: Mechanism): RunChoice {
  const isNotified = mechanism === 'msgZerocopy' || mechanism === 'uringZerocopy';
  const makeWriter = (fd: number): OutputWriter => {
    if (mechanism === 'msgZerocopy') return new MsgZerocopyWriter(fd, NEVER_GIVE_UP);
    if (mechanism === 'uringZerocopy') return new UringZerocopyWriter(fd, NEVER_GIVE_UP);
    return mechanism === 'null' ? new NullWriter() : new CopyWriter(fd);
  };
  return {
    mechanism,
    reclaim: isNotified ? 'notification' : null,
    isSafe: true,
    reason: '',
    makeFeed: () => makePageFeed(feedOptions(options)),
    makeWriter,
    close() {},
  };
}

function spliceOverPages(
  options: XmitOptions,
  socket: SocketClass,
  reclaim: PagePolicy,
  reason: string,
): RunChoice {
  const isOld = reclaim === 'doubleBuffer';
  const poolBytes = isOld
    ? ringCount(options) * alignedStride(options.messageBytes)
    : options.poolBytes;
  return {
    mechanism: 'splice',
    reclaim,
    isSafe: !isOld,
    reason,
    makeFeed: () => makePageFeed({ ...feedOptions(options), poolBytes }),
    makeWriter: (fd) => new SpliceWriter(fd, makePolicy(fd, reclaim, options, socket)),
    close() {},
  };
}

/** The policies of splice under which pages are filled again. */
type PagePolicy = Exclude<ReclaimName, 'immutable' | 'notification'>;

/** The memory of the old program: as many messages as the ring holds, filled in turn. */
function ringCount({ messageBytes, reclaim }: XmitOptions): number {
  return Math.max(1, Math.floor((reclaim?.ringBytes ?? OLD_RING_BYTES) / messageBytes));
}

function makePolicy(
  fd: number,
  name: PagePolicy,
  options: XmitOptions,
  socket: SocketClass,
): ReclaimPolicy {
  switch (name) {
    case 'doubleBuffer':
      // A message is filled again when the rest of the ring went out after it.
      return new DoubleBufferReclaim((ringCount(options) - 1) * options.messageBytes);
    case 'applicationAck':
      return new SocketAckReclaim(fd);
    case 'peerQueue':
      return new PeerQueueReclaim(fd, { reader: 'recv' });
    case 'ackedBytes':
      // A peer on this machine is refused by the policy itself.
      return new AckedBytesReclaim(fd, { peer: socket.place as 'remote' });
  }
}

/** Messages that never change, by vmsplice. */
function overPayload(options: XmitOptions, reason: string): RunChoice {
  return {
    mechanism: 'splice',
    reclaim: 'immutable',
    isSafe: true,
    reason,
    makeFeed: () => makeAlignedFeed(options),
    makeWriter: (fd) => new SpliceWriter(fd, new ImmutableReclaim()),
    close() {},
  };
}

function makeAlignedFeed(options: XmitOptions): MessageFeed {
  const strideBytes = alignedStride(options.messageBytes);
  return makePayloadFeed(feedOptions(options), strideBytes, options.poolBytes);
}

/** Messages without gaps, because tee takes a pipe from its front only. */
function prepareTee(options: XmitOptions): { feed: MessageFeed; tee: TeePayload } {
  const bytesMax = Math.min(options.poolBytes, TEE_BYTES_MAX);
  const feed = makePayloadFeed(feedOptions(options), options.messageBytes, bytesMax);
  return { feed, tee: TeePayload.fill(feed.payload) };
}

function overTee(options: XmitOptions): RunChoice {
  const { feed, tee } = prepareTee(options);
  return {
    mechanism: 'tee',
    reclaim: 'immutable',
    isSafe: true,
    reason: '',
    makeFeed: () => feed,
    makeWriter: (fd) => new TeeWriter(fd, tee),
    close() {
      tee.close();
    },
  };
}

function overFile(options: XmitOptions): RunChoice {
  return {
    mechanism: 'file',
    reclaim: 'immutable',
    isSafe: true,
    reason: '',
    makeFeed: () => makeFileFeed(feedOptions(options)),
    makeWriter: (fd) => new FileWriter(fd),
    close() {},
  };
}

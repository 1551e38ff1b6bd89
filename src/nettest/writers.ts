/**
 * Writers: which OutputWriter a run of xmit uses, over which messages, and why.
 *
 * WHY        What may be sent by reference depends on who may still read it. Pages that are filled
 *            again need a policy that holds for this peer; messages that never change need none. So
 *            the mechanism, the policy and the kind of messages are chosen together, once the
 *            connection shows where the peer is.
 * THE RULE   a policy that was asked for is taken, or refused by its own constructor; without one
 *            `splice` takes ackedBytes for a peer on another machine, and for one on this machine
 *            messages that never change, as there is no policy that holds however the peer reads.
 */
import { MillraceError } from '../toolkit/base/errors.ts';
import { classifySocket, type SocketClass } from '../toolkit/output/classify.ts';
import {
  AckedBytesReclaim,
  CopyWriter,
  DOUBLE_BUFFER_WARNING,
  DoubleBufferReclaim,
  ImmutableReclaim,
  MsgZerocopyWriter,
  NullWriter,
  type OutputWriter,
  PeerQueueReclaim,
  type ReclaimName,
  type ReclaimPolicy,
  SpliceWriter,
  UringZerocopyWriter,
} from '../toolkit/output/index.ts';
import { SocketAckReclaim } from './ack-reclaim.ts';
import {
  alignedStride,
  type FeedOptions,
  type MessageFeed,
  makePageFeed,
  makePayloadFeed,
} from './message-feed.ts';
import type { XmitOptions } from './options.ts';

/** The ring of the old program: four pipes of 64 KiB. */
const OLD_RING_BYTES = 256 * 1024;
/** Slots of a pipe are OS pages: this much for one message, and some for those before it. */
const PIPE_BYTES_MIN = 256 * 1024;
const PIPE_BYTES_MAX = 1024 * 1024;

/** What was asked for by name is measured, also where the kernel copies in the end. */
const NEVER_GIVE_UP = { copiedCallsMax: Number.POSITIVE_INFINITY };

export interface OutputChoice {
  readonly mechanism: string;
  readonly reclaim: ReclaimName | null;
  readonly isSafe: boolean;
  /** Why this, for people; empty where it was asked for. */
  readonly reason: string;
  makeFeed(): MessageFeed;
  makeWriter(fd: number): OutputWriter;
  close(): void;
}

/**
 * `fd`: one of the connections, connected.
 * Errors: MR_OUTPUT_MECHANISM (not for this socket or kernel), MR_USAGE, MR_SYSCALL.
 */
export function chooseOutput(options: XmitOptions, fd: number): OutputChoice {
  switch (options.mechanism) {
    case 'copy':
      return overPages(options, 'copy', '', (socket) => new CopyWriter(socket));
    case 'null':
      return overPages(options, 'null', 'nothing is sent', () => new NullWriter());
    case 'splice':
      return chooseSplice(options, classifySocket(fd));
    case 'auto':
      return chooseAuto(options, classifySocket(fd));
    case 'msgZerocopy':
      return overPages(
        options,
        'msgZerocopy',
        '',
        (socket) => new MsgZerocopyWriter(socket, NEVER_GIVE_UP),
        'notification',
      );
    case 'uringZerocopy':
      return overPages(
        options,
        'uringZerocopy',
        '',
        (socket) => new UringZerocopyWriter(socket, NEVER_GIVE_UP),
        'notification',
      );
    default:
      throw new MillraceError(
        'MR_OUTPUT_MECHANISM',
        `${options.mechanism} is not in this build`,
        'give --mechanism copy or splice',
      );
  }
}

function feedOptions(options: XmitOptions): FeedOptions {
  return { ...options, fill: options.fill ?? 'always' };
}

type MakeWriter = (fd: number) => OutputWriter;

function overPages(
  options: XmitOptions,
  mechanism: string,
  reason: string,
  makeWriter: MakeWriter,
  reclaim: ReclaimName | null = null,
  isSafe = true,
): OutputChoice {
  const makeFeed = (): MessageFeed => makePageFeed(feedOptions(options));
  return { mechanism, reclaim, isSafe, reason, makeFeed, makeWriter, close() {} };
}

function chooseSplice(options: XmitOptions, socket: SocketClass): OutputChoice {
  const { reclaim, fill } = options;
  if (reclaim === null && (fill === 'once' || fill === 'none')) {
    return overPayload(options, 'messages never change, so nothing has to be proved');
  }
  if (reclaim === null && socket.place === 'local') {
    if (fill !== 'always') {
      return overPayload(options, `${socket.reason}: messages are filled once and never change`);
    }
    throw new MillraceError(
      'MR_OUTPUT_MECHANISM',
      `splice has no policy for --fill always that holds for every peer here: ${socket.reason}`,
      'give --fill once; or, when the receiver is recv -r: --reclaim peerQueue',
    );
  }
  const name = reclaim?.name ?? 'ackedBytes';
  if (name === 'immutable') return overPayload(options, '');
  const reason = reclaim === null ? socket.reason : reasonOf(name);
  const pipeBytes = pipeBytesFor(options);
  return overPages(
    options,
    'splice',
    reason,
    (fd) => new SpliceWriter(fd, makePolicy(fd, name, options, socket), { pipeBytes }),
    name,
    name !== 'doubleBuffer',
  );
}

function reasonOf(name: ReclaimName): string {
  return name === 'doubleBuffer' ? DOUBLE_BUFFER_WARNING : '';
}

function overPayload(options: XmitOptions, reason: string): OutputChoice {
  const pipeBytes = pipeBytesFor(options);
  return {
    mechanism: 'splice',
    reclaim: 'immutable',
    isSafe: true,
    reason,
    makeFeed: () => {
      const strideBytes = alignedStride(options.messageBytes);
      return makePayloadFeed(feedOptions(options), strideBytes, options.poolBytes);
    },
    makeWriter: (fd) => new SpliceWriter(fd, new ImmutableReclaim(), { pipeBytes }),
    close() {},
  };
}

/** Room for a message and one more slot, as an unaligned one touches one more OS page. */
function pipeBytesFor({ messageBytes }: XmitOptions): number {
  return Math.min(PIPE_BYTES_MAX, Math.max(PIPE_BYTES_MIN, alignedStride(messageBytes)));
}

function makePolicy(
  fd: number,
  name: ReclaimName,
  options: XmitOptions,
  socket: SocketClass,
): ReclaimPolicy {
  switch (name) {
    case 'doubleBuffer':
      return new DoubleBufferReclaim(options.reclaim?.ringBytes ?? OLD_RING_BYTES);
    case 'applicationAck':
      return new SocketAckReclaim(fd);
    case 'peerQueue':
      return new PeerQueueReclaim(fd, { reader: 'recv' });
    case 'ackedBytes':
      // A peer on this machine is refused by the policy itself.
      return new AckedBytesReclaim(fd, { peer: socket.place as 'remote' });
    default:
      throw new MillraceError('MR_USAGE', `splice has no policy ${name}`, 'see --help');
  }
}

function chooseAuto(options: XmitOptions, socket: SocketClass): OutputChoice {
  const { fill } = options;
  if (fill === 'once' || fill === 'none') {
    return overPayload(options, 'messages never change, so nothing has to be proved');
  }
  if (socket.place === 'remote') return chooseSplice(options, socket);
  return overPages(options, 'copy', socket.reason, (fd) => new CopyWriter(fd));
}

/**
 * Reclaim policy `peerQueue`: what a peer on this machine has taken out of its receive queue.
 *
 * WHY         On loopback, veth and UNIX sockets our pages lie in the receive queue of the peer: an
 *             acknowledgement says that they arrived there, not that they were read. The only
 *             signal is the queue of the peer itself. Opt-in: the caller states that the peer takes
 *             its bytes with recv(2), read(2) or the like, which copy them.
 * PROOF       TCP: A = sent - SIOCOUTQ is acknowledged, read FIRST. Then, SECOND, inet_diag gives
 *             the peer's Recv-Q = rcv_nxt - copied_seq. What is acknowledged was in the queue
 *             before: A <= rcv_nxt at the second moment. So A - Recv-Q <= copied_seq, the bytes
 *             that recv has copied and passed. The other way round, bytes that come in between
 *             would count as acknowledged and not as queued: not safe.
 *             That the socket found is our peer: it has our two addresses and ports swapped, in the
 *             namespace of our own socket (checked by its inode), which allows one such connection
 *             only; from then on the kernel compares its cookie.
 *             For a connection that both sides have ended a stand-in answers (TIME_WAIT), with a
 *             queue of 0 although the peer may have everything to read yet: that is no answer.
 *             UNIX stream: SIOCOUTQ is the memory of everything that the peer has not taken, whole
 *             buffers, never less than their bytes, in order: sent - SIOCOUTQ was copied to it.
 *             Bytes sent before the writer started, and a FIN, make both smaller, hence safer.
 * FAILS       A peer that splices or tees onward, uses TCP_ZEROCOPY_RECEIVE, sockmap (a service
 *             mesh may) or kernel TLS: it passes on references to our pages. A packet tap (tcpdump)
 *             may see rewritten bytes; the stream is right. A peer in another namespace, or behind
 *             a redirecting rule: not found, refused at construction.
 * INVARIANTS  Whatever goes wrong later (the peer is gone, no memory, a failed call), the answer is
 *             the last one that was proved.
 */
import { fstatSync } from 'node:fs';
import { MillraceError } from '../base/errors.ts';
import { errnoName } from '../sys/errno.ts';
import { bytesUnacked, localName, peerName, SOCKADDR_BYTES_MAX } from '../sys/index.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';
import {
  type SockDiag,
  type SocketQuestion,
  sockDiagOfThread,
  socketQuestion,
} from './sock-diag.ts';
import { kindError, socketKind } from './socket-kind.ts';

export interface PeerQueueOptions {
  /** How the peer reads: a statement of the caller. Anything but 'recv' (or read) is refused. */
  readonly reader: 'recv';
  /** For TCP; the one of this thread when left out. */
  readonly diag?: SockDiag;
}

export class PeerQueueReclaim implements ReclaimPolicy {
  readonly name = 'peerQueue';
  readonly isSafe = true;
  readonly #fd: number;
  /** Null: a UNIX stream. */
  readonly #peer: { readonly diag: SockDiag; readonly question: SocketQuestion } | null;
  #safeBytes = 0;

  /**
   * `fd`: a connected TCP or UNIX stream socket. Throws MR_OUTPUT_MECHANISM for any other, and
   * where the peer's socket is not in the namespace of this thread.
   */
  constructor(fd: number, options: PeerQueueOptions) {
    const kind = socketKind(fd);
    const reader: string = options.reader;
    if (reader !== 'recv') throw readerError(reader);
    if (kind !== 'tcp' && kind !== 'unixStream') {
      throw kindError('peerQueue', kind, 'use the mechanism copy');
    }
    this.#fd = fd;
    if (kind === 'unixStream') {
      this.#peer = null;
      return;
    }
    const diag = options.diag ?? sockDiagOfThread();
    this.#peer = { diag, question: findPeer(fd, diag) };
  }

  safeBytes(sentBytes: number): number {
    // First: what is acknowledged (UNIX: taken).
    const unacked = bytesUnacked(this.#fd);
    if (unacked < 0) return this.#safeBytes;
    let safe = sentBytes - unacked;
    if (safe <= this.#safeBytes) return this.#safeBytes;
    if (this.#peer !== null) {
      // Second: what of it is still in the peer's queue.
      const { diag, question } = this.#peer;
      if (diag.ask(question) < 0) return this.#safeBytes;
      safe -= diag.receiveQueueBytes;
    }
    if (safe > this.#safeBytes) this.#safeBytes = safe;
    return this.#safeBytes;
  }
}

/** The question about the peer's socket, pinned to it. */
function findPeer(fd: number, diag: SockDiag): SocketQuestion {
  const local = nameOf(fd, localName);
  const peer = nameOf(fd, peerName);
  const ours = diag.ask(socketQuestion(local, peer));
  if (ours < 0) throw notFound(`sock_diag does not show our own socket: ${errnoName(ours)}`);
  if (diag.inode !== fstatSync(fd).ino) {
    throw notFound('our own socket belongs to another network namespace');
  }
  const question = socketQuestion(peer, local);
  const found = diag.ask(question);
  if (found < 0) throw notFound(`the socket of the peer is not here: ${errnoName(found)}`);
  diag.pin(question);
  return question;
}

function nameOf(fd: number, read: (fd: number, sockaddr: Uint8Array) => number): Uint8Array {
  const sockaddr = new Uint8Array(SOCKADDR_BYTES_MAX);
  const length = read(fd, sockaddr);
  if (length < 0) throw notFound(`the addresses of the socket: ${errnoName(length)}`);
  return sockaddr.slice(0, length);
}

function notFound(found: string): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `peerQueue needs a peer in this network namespace; ${found}`,
    'use ackedBytes for a peer on another machine, else applicationAck or the mechanism copy',
  );
}

function readerError(reader: string): MillraceError {
  return new MillraceError(
    'MR_OUTPUT_MECHANISM',
    `peerQueue does not work for a peer that reads by ${reader}`,
    'use copy, or applicationAck',
  );
}

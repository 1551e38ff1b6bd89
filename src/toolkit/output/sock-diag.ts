/**
 * sock_diag: asks the kernel about a TCP socket of this network namespace, by its addresses.
 *
 * WHY         What the peer on this machine has not read yet is known to its own socket only, and
 *             inet_diag tells it to everybody of the same namespace, without privileges.
 * LAYOUT      A question is one netlink message of 72 bytes, made once per connection; seq is
 *             written before each use. Little or big endian as the machine, ports and addresses
 *             big endian.
 *                nlmsghdr           0 length  4 type   6 flags  8 seq  12 port id
 *                inet_diag_req_v2  16 family 17 protocol 18 ext 20 states
 *                inet_diag_sockid  24 local port  26 remote port  28 local address (16)
 *                                  44 remote address (16)  60 interface  64 cookie (8)
 *             The answer has nlmsghdr, then inet_diag_msg: 16 family, 17 state, 20 sockid (as
 *             above from 24), 68 expires, 72 Recv-Q, 76 Send-Q, 80 uid, 84 inode.
 * OWNERSHIP   One netlink socket per SockDiag, best one per thread (sockDiagOfThread, ended with
 *             the thread); close() ends it.
 * COST        2 system calls, 5 to 6 us a question (Linux 6.18, EPYC): the kernel answers inside
 *             send(2), so nothing is waited for.
 * INVARIANTS  An answer is taken only with our sequence number; a listener, which the kernel gives
 *             when the connection itself is gone, counts as not found.
 * REFUSED     dumps with a filter (they walk every socket of the machine).
 * Sources: sock_diag(7), include/uapi/linux/inet_diag.h, net/ipv4/inet_diag.c.
 */
import { endianness } from 'node:os';
import { MillraceError } from '../base/errors.ts';
import { EAGAIN, EBADF, EIO, ENOENT, errnoName } from '../sys/errno.ts';
import { closeFd, recv, send, socketCreate } from '../sys/index.ts';
import {
  AF_INET,
  AF_INET6,
  sockaddrAddress,
  sockaddrFamily,
  sockaddrPort,
} from '../sys/sockaddr.ts';

const LITTLE = endianness() === 'LE';
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const IPPROTO_TCP = 6;
/**
 * States of enum tcp_state whose answer says nothing about a receive queue. TIME_WAIT is a small
 * stand-in with the addresses and the cookie of a socket that both sides have ended; what that has
 * received may still be unread, and the stand-in's queue is 0.
 */
const TCP_TIME_WAIT = 6;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
const TCP_NEW_SYN_RECV = 12;
const STATES_WITHOUT_QUEUE = new Set([TCP_TIME_WAIT, TCP_CLOSE, TCP_LISTEN, TCP_NEW_SYN_RECV]);

const LENGTH_OFFSET = 0;
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
const SEQ_OFFSET = 8;
const NETLINK_HEADER_BYTES = 16;
const ERROR_OFFSET = 16;

const REQUEST_FAMILY_OFFSET = 16;
const REQUEST_PROTOCOL_OFFSET = 17;
const REQUEST_STATES_OFFSET = 20;
const REQUEST_ID_OFFSET = 24;
const REQUEST_BYTES = 72;

const ANSWER_STATE_OFFSET = 17;
const ANSWER_ID_OFFSET = 20;
const ANSWER_RECEIVE_QUEUE_OFFSET = 72;
const ANSWER_INODE_OFFSET = 84;
const ANSWER_BYTES = 88;

/** Inside a sockid. */
const LOCAL_PORT_OFFSET = 0;
const REMOTE_PORT_OFFSET = 2;
const LOCAL_ADDRESS_OFFSET = 4;
const REMOTE_ADDRESS_OFFSET = 20;
const INTERFACE_OFFSET = 36;
const COOKIE_OFFSET = 40;
const COOKIE_BYTES = 8;

/** Room for an answer with its attributes, or for several left over from a failed question. */
const ANSWERS_BYTES = 8192;
/** Answers to earlier questions that are passed over before we give up. */
const STALE_ANSWERS_MAX = 64;
/** Offset of sin6_scope_id in struct sockaddr_in6. */
const SCOPE_ID_OFFSET = 24;

/** A question about one socket, to be asked again and again. */
export interface SocketQuestion {
  readonly message: Uint8Array;
  readonly view: DataView;
}

/**
 * The question about the TCP socket whose own address is `local` and whose peer is `remote`, as
 * localName and peerName write them. IPv4 inside IPv6 is asked as IPv4.
 */
export function socketQuestion(local: Uint8Array, remote: Uint8Array): SocketQuestion {
  const message = new Uint8Array(REQUEST_BYTES);
  const view = new DataView(message.buffer);
  view.setUint32(LENGTH_OFFSET, REQUEST_BYTES, LITTLE);
  view.setUint16(TYPE_OFFSET, SOCK_DIAG_BY_FAMILY, LITTLE);
  view.setUint16(FLAGS_OFFSET, NLM_F_REQUEST, LITTLE);
  view.setUint8(REQUEST_PROTOCOL_OFFSET, IPPROTO_TCP);
  view.setUint32(REQUEST_STATES_OFFSET, 0xffff_ffff, LITTLE);
  view.setUint16(REQUEST_ID_OFFSET + LOCAL_PORT_OFFSET, sockaddrPort(local));
  view.setUint16(REQUEST_ID_OFFSET + REMOTE_PORT_OFFSET, sockaddrPort(remote));
  const from = sockaddrAddress(local);
  const to = sockaddrAddress(remote);
  const isMapped = isIpv4(from) && isIpv4(to);
  view.setUint8(REQUEST_FAMILY_OFFSET, isMapped ? AF_INET : AF_INET6);
  message.set(isMapped ? from.subarray(12) : from, REQUEST_ID_OFFSET + LOCAL_ADDRESS_OFFSET);
  message.set(isMapped ? to.subarray(12) : to, REQUEST_ID_OFFSET + REMOTE_ADDRESS_OFFSET);
  view.setUint32(REQUEST_ID_OFFSET + INTERFACE_OFFSET, scopeOf(local), LITTLE);
  const cookie = REQUEST_ID_OFFSET + COOKIE_OFFSET;
  message.fill(0xff, cookie, cookie + COOKIE_BYTES);
  return { message, view };
}

function isIpv4(address: Uint8Array): boolean {
  return (
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 0xff &&
    address[11] === 0xff
  );
}

function scopeOf(sockaddr: Uint8Array): number {
  if (sockaddrFamily(sockaddr) !== AF_INET6) return 0;
  return new DataView(sockaddr.buffer, sockaddr.byteOffset).getUint32(SCOPE_ID_OFFSET, LITTLE);
}

let threadDiag: SockDiag | null = null;

/** The one of this thread, made now if need be; it ends with the thread. */
export function sockDiagOfThread(): SockDiag {
  if (threadDiag === null) {
    threadDiag = new SockDiag();
    process.once('exit', closeThreadDiag);
  }
  return threadDiag;
}

/** Ends the one of this thread; who still has it gets -EBADF. */
export function closeThreadDiag(): void {
  threadDiag?.close();
  threadDiag = null;
  process.removeListener('exit', closeThreadDiag);
}

export class SockDiag {
  /** Of the socket that ask() found last: bytes that its reader has not taken, */
  receiveQueueBytes = 0;
  /** and its inode, as fstat(2) gives it; 0 once its owner has closed it. */
  inode = 0;
  #fd: number;
  #seq = 0;
  readonly #answers = new Uint8Array(ANSWERS_BYTES);
  readonly #view = new DataView(this.#answers.buffer);

  /** Throws MR_OUTPUT_MECHANISM where the kernel or a seccomp profile has no NETLINK_SOCK_DIAG. */
  constructor() {
    this.#fd = socketCreate('netlink', 'datagram', NETLINK_SOCK_DIAG);
    if (this.#fd >= 0) return;
    throw new MillraceError(
      'MR_OUTPUT_MECHANISM',
      `sock_diag cannot be had: ${errnoName(this.#fd)}`,
      'use a policy that needs no queue of the peer: applicationAck, or the mechanism copy',
    );
  }

  /**
   * Asks about one socket: 0 when it was found, see the fields; -ENOENT when this namespace does
   * not have it any more, or never had it, or has another one there (pin); or -errno.
   */
  ask(question: SocketQuestion): number {
    if (this.#fd < 0) return -EBADF;
    this.#seq = (this.#seq + 1) >>> 0;
    question.view.setUint32(SEQ_OFFSET, this.#seq, LITTLE);
    const sent = send(this.#fd, question.message, 0, REQUEST_BYTES);
    if (sent !== REQUEST_BYTES) return sent < 0 ? sent : -EIO;
    for (let tries = 0; tries < STALE_ANSWERS_MAX; tries += 1) {
      const received = recv(this.#fd, this.#answers, 0, ANSWERS_BYTES);
      if (received < 0) return received === -EAGAIN ? -EIO : received;
      const result = this.#readAnswers(question, received);
      if (result <= 0) return result;
    }
    return -EIO;
  }

  /** From now on the question is about the very socket that ask() found last, and no other. */
  pin(question: SocketQuestion): void {
    const from = ANSWER_ID_OFFSET + COOKIE_OFFSET;
    question.message.set(
      this.#answers.subarray(from, from + COOKIE_BYTES),
      REQUEST_ID_OFFSET + COOKIE_OFFSET,
    );
  }

  close(): void {
    if (this.#fd >= 0) closeFd(this.#fd);
    this.#fd = -1;
  }

  /** 0 or -errno: the answer to our question; 1: it is not among these. */
  #readAnswers(question: SocketQuestion, received: number): number {
    const view = this.#view;
    let at = 0;
    while (at + NETLINK_HEADER_BYTES <= received) {
      const length = view.getUint32(at + LENGTH_OFFSET, LITTLE);
      if (length < NETLINK_HEADER_BYTES || at + length > received) return -EIO;
      if (view.getUint32(at + SEQ_OFFSET, LITTLE) === this.#seq) {
        return this.#readAnswer(question, at, length);
      }
      at += (length + 3) & ~3;
    }
    return 1;
  }

  #readAnswer(question: SocketQuestion, at: number, length: number): number {
    const view = this.#view;
    const type = view.getUint16(at + TYPE_OFFSET, LITTLE);
    if (type === NLMSG_DONE) return -ENOENT;
    if (type === NLMSG_ERROR) {
      const result = length < ERROR_OFFSET + 4 ? -EIO : view.getInt32(at + ERROR_OFFSET, LITTLE);
      return result < 0 ? result : -EIO;
    }
    if (type !== SOCK_DIAG_BY_FAMILY || length < ANSWER_BYTES) return -EIO;
    if (STATES_WITHOUT_QUEUE.has(view.getUint8(at + ANSWER_STATE_OFFSET))) return -ENOENT;
    // Both ports in one word.
    const ports = view.getUint32(at + ANSWER_ID_OFFSET, LITTLE);
    if (ports !== question.view.getUint32(REQUEST_ID_OFFSET, LITTLE)) return -ENOENT;
    this.receiveQueueBytes = view.getUint32(at + ANSWER_RECEIVE_QUEUE_OFFSET, LITTLE);
    this.inode = view.getUint32(at + ANSWER_INODE_OFFSET, LITTLE);
    // pin() reads the cookie at the start of the buffer.
    if (at > 0) this.#answers.copyWithin(0, at, at + length);
    return 0;
  }
}

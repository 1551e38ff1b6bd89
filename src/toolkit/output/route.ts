/**
 * Routes: asks the kernel by which device, and to where, the bytes of a connection go.
 *
 * WHY         Whether a page is free after an ACK depends on the way to the peer (classify.ts).
 * LAYOUT      rtnetlink(7). A message: length u32, type u16, flags u16, sequence u32, port u32;
 *             then struct rtmsg (12 bytes) or struct ifinfomsg (16); then attributes: length u16,
 *             type u16, value, padded to 4 bytes. Byte order of the machine, addresses big endian.
 * OWNERSHIP   A netlink socket is opened and closed for one question; the kernel has answered when
 *             send(2) returns, so nothing waits.
 * REFUSED     /sys/class/net for the device: it shows the network namespace in which /sys was
 *             mounted, so that in another one a veth named eth0 looks like a network card. The
 *             attribute IFLA_PARENT_DEV_NAME is the same fact (the name that X/device points to)
 *             of our own namespace. Kernels before 5.14 lack it: no hardware is seen there.
 */
import { endianness } from 'node:os';
import { closeFd, EINVAL, recv, send, socketCreate } from '../sys/index.ts';

const LITTLE = endianness() === 'LE';

const NETLINK_ROUTE = 0;
const HEADER_BYTES = 16;
const ATTRIBUTE_HEADER_BYTES = 4;
const NLM_F_REQUEST = 1;
const NLMSG_ERROR = 2;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
const REPLY_BYTES_MAX = 32_768;
const REQUEST_BYTES_MAX = 256;

const ROUTE_BYTES = 12;
const ROUTE_TYPE_OFFSET = 7;
const LINK_BYTES = 16;
const LINK_FLAGS_OFFSET = 8;
const IFF_LOOPBACK = 0x8;

/** Attributes of a route. */
const RTA_DST = 1;
const RTA_SRC = 2;
const RTA_OIF = 4;
const RTA_MARK = 16;
const RTA_IP_PROTO = 27;
const RTA_SPORT = 28;
const RTA_DPORT = 29;

/** Attributes of a device. */
const IFLA_IFNAME = 3;
const IFLA_LINKINFO = 18;
const IFLA_PARENT_DEV_NAME = 56;
const IFLA_INFO_KIND = 1;

/** Types of a route that we tell apart: rtnetlink(7) RTN_*. */
export const ROUTE_UNICAST = 1;
export const ROUTE_LOCAL = 2;

export interface RouteQuestion {
  /** 4 or 16 bytes, both of one length. */
  readonly target: Uint8Array;
  readonly source: Uint8Array;
  readonly targetPort: number;
  readonly sourcePort: number;
  /** 6 TCP, 17 UDP, 132 SCTP */
  readonly protocol: number;
  /** Index of the only device allowed, 0: any. */
  readonly device: number;
  readonly mark: number;
}

export interface Route {
  /** ROUTE_UNICAST, ROUTE_LOCAL or another number of RTN_*. */
  readonly type: number;
  /** Index of the output device, 0: none. */
  readonly device: number;
}

export interface Device {
  readonly name: string;
  readonly isLoopback: boolean;
  /** Kind of a device that is made by software: veth, bridge, tun ...; '' for others. */
  readonly kind: string;
  /** Name of the hardware behind it, '' where there is none, or the kernel does not say. */
  readonly hardware: string;
}

/** RTM_GETROUTE for one flow: the route, or -errno (ENETUNREACH, EHOSTUNREACH, EACCES ...). */
export function routeOf(question: RouteQuestion): Route | number {
  const { target, source } = question;
  const request = new Request(RTM_GETROUTE, ROUTE_BYTES);
  const isV4 = target.length === 4;
  request.body.setUint8(0, isV4 ? AF_INET : AF_INET6);
  request.body.setUint8(1, target.length * 8);
  request.add(RTA_DST, target);
  if (source.some((byte) => byte !== 0)) {
    request.body.setUint8(2, source.length * 8);
    request.add(RTA_SRC, source);
  }
  if (question.device !== 0) request.addWord(RTA_OIF, question.device);
  if (question.mark !== 0) request.addWord(RTA_MARK, question.mark);
  request.add(RTA_IP_PROTO, Uint8Array.of(question.protocol));
  request.add(RTA_SPORT, bigEndian(question.sourcePort));
  request.add(RTA_DPORT, bigEndian(question.targetPort));
  const reply = ask(request.bytes(), RTM_NEWROUTE, ROUTE_BYTES);
  if (typeof reply === 'number') return reply;
  const device = reply.attributes.get(RTA_OIF);
  return {
    type: reply.body.getUint8(ROUTE_TYPE_OFFSET),
    device: device?.length === 4 ? viewOf(device).getUint32(0, LITTLE) : 0,
  };
}

/** RTM_GETLINK of one device: what it is, or -errno (ENODEV). */
export function deviceOf(index: number): Device | number {
  const request = new Request(RTM_GETLINK, LINK_BYTES);
  request.body.setInt32(4, index, LITTLE);
  const reply = ask(request.bytes(), RTM_NEWLINK, LINK_BYTES);
  if (typeof reply === 'number') return reply;
  const info = reply.attributes.get(IFLA_LINKINFO);
  const kind = info === undefined ? undefined : attributesOf(info).get(IFLA_INFO_KIND);
  return {
    name: textOf(reply.attributes.get(IFLA_IFNAME)),
    isLoopback: (reply.body.getUint32(LINK_FLAGS_OFFSET, LITTLE) & IFF_LOOPBACK) !== 0,
    kind: textOf(kind),
    hardware: textOf(reply.attributes.get(IFLA_PARENT_DEV_NAME)),
  };
}

const AF_INET = 2;
const AF_INET6 = 10;

class Request {
  readonly body: DataView;
  readonly #bytes = new Uint8Array(REQUEST_BYTES_MAX);
  #length: number;

  constructor(type: number, bodyBytes: number) {
    const header = viewOf(this.#bytes);
    header.setUint16(4, type, LITTLE);
    header.setUint16(6, NLM_F_REQUEST, LITTLE);
    header.setUint32(8, 1, LITTLE);
    this.body = new DataView(this.#bytes.buffer, HEADER_BYTES, bodyBytes);
    this.#length = HEADER_BYTES + bodyBytes;
  }

  add(type: number, value: Uint8Array): void {
    const view = viewOf(this.#bytes);
    view.setUint16(this.#length, ATTRIBUTE_HEADER_BYTES + value.length, LITTLE);
    view.setUint16(this.#length + 2, type, LITTLE);
    this.#bytes.set(value, this.#length + ATTRIBUTE_HEADER_BYTES);
    this.#length += align(ATTRIBUTE_HEADER_BYTES + value.length);
  }

  addWord(type: number, value: number): void {
    const word = new Uint8Array(4);
    viewOf(word).setUint32(0, value, LITTLE);
    this.add(type, word);
  }

  bytes(): Uint8Array {
    viewOf(this.#bytes).setUint32(0, this.#length, LITTLE);
    return this.#bytes.subarray(0, this.#length);
  }
}

interface Reply {
  readonly body: DataView;
  readonly attributes: ReadonlyMap<number, Uint8Array>;
}

function ask(request: Uint8Array, replyType: number, bodyBytes: number): Reply | number {
  const fd = socketCreate('netlink', 'datagram', NETLINK_ROUTE);
  if (fd < 0) return fd;
  try {
    const sent = send(fd, request, 0, request.length);
    if (sent < 0) return sent;
    const bytes = new Uint8Array(REPLY_BYTES_MAX);
    const length = recv(fd, bytes, 0, bytes.length);
    return length < 0 ? length : readReply(bytes.subarray(0, length), replyType, bodyBytes);
  } finally {
    closeFd(fd);
  }
}

function readReply(bytes: Uint8Array, replyType: number, bodyBytes: number): Reply | number {
  if (bytes.length < HEADER_BYTES + ATTRIBUTE_HEADER_BYTES) return -EINVAL;
  const header = viewOf(bytes);
  const length = header.getUint32(0, LITTLE);
  const type = header.getUint16(4, LITTLE);
  if (type === NLMSG_ERROR) return Math.min(header.getInt32(HEADER_BYTES, LITTLE), -1);
  const start = HEADER_BYTES + bodyBytes;
  if (type !== replyType || length > bytes.length || length < start) return -EINVAL;
  return {
    body: new DataView(bytes.buffer, bytes.byteOffset + HEADER_BYTES, bodyBytes),
    attributes: attributesOf(bytes.subarray(start, length)),
  };
}

/** Attributes by type; one that overruns ends the list. */
export function attributesOf(bytes: Uint8Array): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  const view = viewOf(bytes);
  for (let offset = 0; offset + ATTRIBUTE_HEADER_BYTES <= bytes.length; ) {
    const length = view.getUint16(offset, LITTLE);
    if (length < ATTRIBUTE_HEADER_BYTES || offset + length > bytes.length) break;
    // The two upper bits say nested and big endian.
    const type = view.getUint16(offset + 2, LITTLE) & 0x3fff;
    found.set(type, bytes.subarray(offset + ATTRIBUTE_HEADER_BYTES, offset + length));
    offset += align(length);
  }
  return found;
}

function align(length: number): number {
  return (length + 3) & ~3;
}

function bigEndian(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function textOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return '';
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

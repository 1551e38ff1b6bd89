/**
 * Addresses as the kernel reads them: struct sockaddr_in, sockaddr_in6, sockaddr_un, sockaddr_nl.
 *
 * The family is a u16 in the byte order of the machine, ports and IP addresses are big endian.
 * Sources: ip(7), ipv6(7), unix(7), netlink(7).
 */
import { endianness } from 'node:os';

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
const AF_NETLINK = 16;

const LITTLE = endianness() === 'LE';
const V4_BYTES = 16;
const V6_BYTES = 28;
const NETLINK_BYTES = 12;
/** Path of a UNIX socket, without the zero at its end. */
const UNIX_PATH_BYTES_MAX = 107;

function make(bytes: number, family: number): DataView {
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint16(0, family, LITTLE);
  return view;
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer);
}

function isMapped(address: Uint8Array): boolean {
  return (
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 0xff &&
    address[11] === 0xff
  );
}

/** Address of 16 bytes (IPv4 as ::ffff:a.b.c.d) and port; null: not an IPv4 address. */
export function ipSockaddr(
  family: 4 | 6,
  address: Uint8Array,
  port: number,
  scopeId = 0,
): Uint8Array | null {
  if (address.length !== 16) throw new RangeError('an address has 16 bytes');
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new RangeError(`port must be an integer from 0 to 65535, found ${port}`);
  }
  if (family === 4) {
    if (!isMapped(address)) return null;
    const view = make(V4_BYTES, AF_INET);
    view.setUint16(2, port);
    bytesOf(view).set(address.subarray(12), 4);
    return bytesOf(view);
  }
  const view = make(V6_BYTES, AF_INET6);
  view.setUint16(2, port);
  bytesOf(view).set(address, 8);
  view.setUint32(24, scopeId, LITTLE);
  return bytesOf(view);
}

/** A path of at most 107 bytes, or a name in the abstract space when it starts with a zero. */
export function unixSockaddr(path: string): Uint8Array {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > UNIX_PATH_BYTES_MAX) {
    throw new RangeError(`a UNIX socket has a path of 1 to ${UNIX_PATH_BYTES_MAX} bytes`);
  }
  const isAbstract = name[0] === 0;
  const view = make(2 + name.length + (isAbstract ? 0 : 1), AF_UNIX);
  bytesOf(view).set(name, 2);
  return bytesOf(view);
}

/** The kernel's end of a netlink socket, and our own: port and groups 0. */
export const NETLINK_SOCKADDR: Uint8Array = bytesOf(make(NETLINK_BYTES, AF_NETLINK));

/** Family of a sockaddr: AF_UNIX, AF_INET, AF_INET6. */
export function sockaddrFamily(sockaddr: Uint8Array): number {
  return new DataView(sockaddr.buffer, sockaddr.byteOffset).getUint16(0, LITTLE);
}

/** Port of an IP sockaddr. */
export function sockaddrPort(sockaddr: Uint8Array): number {
  return (sockaddr[2]! << 8) | sockaddr[3]!;
}

/** The 16 bytes of an IP sockaddr's address, IPv4 as ::ffff:a.b.c.d. */
export function sockaddrAddress(sockaddr: Uint8Array): Uint8Array {
  if (sockaddrFamily(sockaddr) === AF_INET6) return sockaddr.slice(8, 24);
  const address = new Uint8Array(16);
  address.set([0xff, 0xff], 10);
  address.set(sockaddr.subarray(4, 8), 12);
  return address;
}

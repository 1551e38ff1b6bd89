/**
 * Classification of a socket: may its pages be free when the peer has acknowledged them?
 *
 * WHY         On a network card an acknowledged byte is read by nobody any more. On this machine
 *             (loopback, veth, bridge, UNIX) the peer's receive queue holds our very pages, long
 *             after the ACK. So `remote` needs evidence, and what is unknown is `local`.
 * PROOF       remote: the kernel routes this flow (addresses, ports, mark, bound device) as unicast
 *             to a device that is no software device and has hardware behind it. What such a device
 *             sends has left our memory when a later byte is acknowledged.
 * LIMITS      Valid when asked: a route that is turned to a software device later is not seen; a
 *             proxy on this machine that takes over connections to remote addresses (REDIRECT,
 *             sockmap, a sidecar) is not seen either, and address translation (Kubernetes services,
 *             published container ports) only as far as address-translation.ts: the override to
 *             `local` is for them. A bond
 *             or VLAN over a network card counts as software, hence local.
 */
import { MillraceError } from '../base/errors.ts';
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  errnoName,
  getSocketOption,
  localName,
  peerName,
  SOCKADDR_BYTES_MAX,
  sockaddrAddress,
  sockaddrPort,
  tcpUpperProtocol,
} from '../sys/index.ts';
import { addressTranslation } from './address-translation.ts';
import { type Device, deviceOf, ROUTE_LOCAL, ROUTE_UNICAST, type Route, routeOf } from './route.ts';
import { type SocketKindName, socketKind } from './socket-kind.ts';

export const SOCKET_KINDS = [
  'tcp',
  'udp',
  'sctp',
  'unixStream',
  'unixDatagram',
  /** Anything else: raw, MPTCP, VSOCK ... */
  'other',
] as const satisfies readonly (SocketKindName | 'sctp')[];
export type OutputSocketKind = (typeof SOCKET_KINDS)[number];

export type Place = 'local' | 'remote';

export interface SocketClass {
  readonly family: 4 | 6 | 'unix' | 'other';
  readonly kind: OutputSocketKind;
  /** Under which rules pages are given back: those of this machine, or of a network card. */
  readonly place: Place;
  /** Output device, '' where there is none. */
  readonly device: string;
  /** One sentence for people: why `place` is what it is. */
  readonly reason: string;
}

export interface ClassifyOptions {
  /** What the caller knows better: towards the safe side only. */
  readonly override?: 'local';
}

const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
const IPPROTO_SCTP = 132;

/**
 * Classifies a socket. Errors: MR_OUTPUT_MECHANISM when `fd` is no open socket, MR_USAGE for an
 * override other than `local`.
 */
export function classifySocket(fd: number, options: ClassifyOptions = {}): SocketClass {
  const { override } = options;
  if (override !== undefined && override !== 'local') {
    throw new MillraceError(
      'MR_USAGE',
      `a socket cannot be declared ${String(override)}: its pages might be rewritten in flight`,
      "leave the override out, or say 'local'",
    );
  }
  const known = socketKind(fd);
  const isSctp = known === 'other' && getSocketOption(fd, 'protocol') === IPPROTO_SCTP;
  const kind = isSctp ? 'sctp' : known;
  const found = override === 'local' ? local('', 'the caller says so') : whereTo(fd, kind);
  return { family: familyOf(fd), kind, ...found };
}

type Finding = Pick<SocketClass, 'place' | 'device' | 'reason'>;

function local(device: string, reason: string): Finding {
  return { place: 'local', device, reason };
}

function familyOf(fd: number): SocketClass['family'] {
  const domain = getSocketOption(fd, 'domain');
  if (domain === AF_INET) return 4;
  if (domain === AF_INET6) return 6;
  return domain === AF_UNIX ? 'unix' : 'other';
}

function whereTo(fd: number, kind: OutputSocketKind): Finding {
  if (kind === 'unixStream' || kind === 'unixDatagram') {
    return local('', 'a UNIX socket ends on this machine');
  }
  if (kind === 'other') return local('', 'no kind of socket that is known here');
  const peer = new Uint8Array(SOCKADDR_BYTES_MAX);
  const self = new Uint8Array(SOCKADDR_BYTES_MAX);
  const failed = Math.min(peerName(fd, peer), localName(fd, self));
  if (failed < 0) return local('', `not connected (${errnoName(failed)})`);
  const upper = kind === 'tcp' ? tcpUpperProtocol(fd) : '';
  if (upper !== '') return local('', `the kernel's ${upper} stands between TCP and us`);
  const translation = addressTranslation();
  if (translation !== '') return local('', `addresses may be translated here: ${translation}`);
  const target = plainAddress(sockaddrAddress(peer));
  const source = plainAddress(sockaddrAddress(self));
  if (source.length !== target.length) return local('', 'addresses of two families');
  const boundDevice = getSocketOption(fd, 'boundDevice');
  // A mark with its highest bit set looks like an errno as well.
  const mark = getSocketOption(fd, 'mark');
  const unread = Math.min(boundDevice, mark);
  if (unread < 0) return local('', `what it is bound to cannot be read (${errnoName(unread)})`);
  const route = routeOf({
    target,
    source,
    targetPort: sockaddrPort(peer),
    sourcePort: sockaddrPort(self),
    protocol: PROTOCOLS[kind],
    device: boundDevice || scopeOf(peer, target),
    mark,
  });
  if (typeof route === 'number')
    return local('', `the kernel names no route (${errnoName(route)})`);
  if (route.device === 0) return placeOfRoute(route, null);
  const device = deviceOf(route.device);
  if (typeof device !== 'number') return placeOfRoute(route, device);
  return local('', `the kernel does not describe the output device (${errnoName(device)})`);
}

const PROTOCOLS = { tcp: IPPROTO_TCP, udp: IPPROTO_UDP, sctp: IPPROTO_SCTP } as const;

/** The rule, without the kernel. */
export function placeOfRoute(route: Route, device: Device | null): Finding {
  if (route.type === ROUTE_LOCAL) {
    return local(device?.name ?? '', 'the peer has an address of this machine');
  }
  if (route.type !== ROUTE_UNICAST) return local(device?.name ?? '', 'not a route to one host');
  if (device === null) return local('', 'a route without an output device');
  const { name, kind, hardware, isLoopback } = device;
  if (isLoopback) return local(name, `${name} is the loopback device`);
  if (kind !== '') return local(name, `${name} is a software device (${kind})`);
  if (hardware === '') return local(name, `${name} has no hardware behind it`);
  return { place: 'remote', device: name, reason: `routed to ${name}, hardware ${hardware}` };
}

/** 4 bytes of an IPv4-mapped address, else all 16. */
function plainAddress(address: Uint8Array): Uint8Array {
  const isMapped =
    address[10] === 0xff &&
    address[11] === 0xff &&
    address.subarray(0, 10).every((byte) => byte === 0);
  return isMapped ? address.subarray(12) : address;
}

/** sin6_scope_id: the device of a link-local address, else 0. */
function scopeOf(peer: Uint8Array, target: Uint8Array): number {
  if (target.length !== 16) return 0;
  return new Uint32Array(peer.slice(24, 28).buffer)[0]!;
}

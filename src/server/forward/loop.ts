/**
 * Loop: is a destination one of our own listening sockets?
 *
 * WHY      What we forward to ourselves comes back, is journaled and forwarded again, without end.
 *          Asked of the configuration, where hosts are still names (isOwnEndpoint), and again of
 *          each connected socket, before anything is sent (loopOfSocket): a name, a second address
 *          or 0.0.0.0 hides it in the configuration.
 * RULE     The port is a listener's, the address is this machine's, and the listener hears on it:
 *          on all addresses means those of its family (collect/listener.ts: IPV6_V6ONLY).
 * ITSELF   Where nobody listens at a port of this machine that the kernel may lend (32,768 and
 *          above), it lends that very port to one of some ten thousand attempts to connect, and
 *          connects the socket with itself. It would take, acknowledge and hear all that is sent.
 * UNSEEN   What a NAT or a proxy in between hides.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import {
  localName,
  peerName,
  SOCKADDR_BYTES_MAX,
  sockaddrAddress,
  sockaddrPort,
} from '../../toolkit/sys/index.ts';
import { addressBytes, type Endpoint, formatAddress, isLoopback } from '../address.ts';

/** Of a connected socket. Addresses are 16 bytes. */
export type LoopCheck = (peer: Uint8Array, port: number, local: Uint8Array) => boolean;

/** Names and wildcards that mean this machine: where a connect to them goes. */
const HERE: Readonly<Record<string, readonly string[]>> = {
  localhost: ['127.0.0.1', '::1'],
  '0.0.0.0': ['127.0.0.1'],
  '::': ['::1'],
};

/** One text for each address, IPv4 also where it is mapped; a name in lower case. */
function canonical(host: string): string {
  const bytes = addressBytes(host.toLowerCase());
  return bytes === null ? host.toLowerCase() : formatAddress(bytes);
}

/** A socket on all addresses takes those of its family (collect/listener.ts: IPV6_V6ONLY). */
function isOfWildcard(wildcard: string, address: string): boolean {
  return (wildcard === '::' && isIPv6(address)) || (wildcard === '0.0.0.0' && isIPv4(address));
}

function isHere(address: string, locals: readonly string[]): boolean {
  return isLoopback(address) || locals.some((local) => canonical(local) === address);
}

/** The addresses of this machine's interfaces, as they are now. */
export function localAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address));
}

/**
 * True when a connect to host (an address, `localhost`, or a name as a listener has it) and port
 * would meet one of the listeners. `locals`: addresses of this machine, for listeners on all.
 */
export function isOwnEndpoint(
  host: string,
  port: number,
  listeners: readonly Endpoint[],
  locals: readonly string[],
): boolean {
  const name = canonical(host);
  const targets = HERE[name] ?? [name];
  return listeners.some((listener) => {
    if (listener.port !== port) return false;
    const at = canonical(listener.host);
    const places = at === 'localhost' ? HERE.localhost! : [at];
    return targets.some(
      (target) => places.includes(target) || (isOfWildcard(at, target) && isHere(target, locals)),
    );
  });
}

export function makeLoopCheck(listeners: readonly Endpoint[]): LoopCheck {
  return (peer, port, local) => {
    const atPort = listeners.filter((listener) => listener.port === port);
    if (atPort.length === 0) return false;
    const address = formatAddress(peer);
    const locals = [...localAddresses(), formatAddress(local)];
    if (isOwnEndpoint(address, port, atPort, locals)) return true;
    // A listener by name is this machine's; which address it took does not matter for a refusal.
    return isHere(address, locals) && atPort.some(({ host }) => addressBytes(host) === null);
  };
}

/** What is at both ends of a connected socket. */
export const LOOP_NONE = 0;
/** One of our listeners. */
export const LOOP_LISTENER = 1;
/** The socket itself. */
export const LOOP_ITSELF = 2;

/** Asks about both ends of a connected socket: one of LOOP_*, or -errno: ENOTCONN. */
export function loopOfSocket(fd: number, isLoop: LoopCheck): number {
  const peer = new Uint8Array(SOCKADDR_BYTES_MAX);
  const local = new Uint8Array(SOCKADDR_BYTES_MAX);
  const named = Math.min(peerName(fd, peer), localName(fd, local));
  if (named < 0) return named;
  const address = sockaddrAddress(peer);
  const port = sockaddrPort(peer);
  const here = sockaddrAddress(local);
  if (port === sockaddrPort(local) && Buffer.compare(address, here) === 0) return LOOP_ITSELF;
  return isLoop(address, port, here) ? LOOP_LISTENER : LOOP_NONE;
}

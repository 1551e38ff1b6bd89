/**
 * Loop check: is the peer of a connection one of our own listeners?
 *
 * WHY      A destination that is ourselves makes every record arrive again, for ever. A name, a
 *          second address or 0.0.0.0 hides it in the configuration; a connected socket tells.
 * RULE     The port is a listener's, the peer's address is this machine's (127.0.0.0/8, an
 *          interface's, or the same as our own end's), and the listener hears on that address.
 * UNSEEN   What a NAT or a proxy in between hides.
 */
import { networkInterfaces } from 'node:os';
import {
  localName,
  peerName,
  SOCKADDR_BYTES_MAX,
  sockaddrAddress,
  sockaddrPort,
} from '../../toolkit/sys/index.ts';
import { addressBytes, formatAddress, isLoopback } from '../address.ts';

export interface Listener {
  readonly host: string;
  readonly port: number;
}

/** Addresses are 16 bytes. */
export type LoopCheck = (peer: Uint8Array, port: number, local: Uint8Array) => boolean;

const WILDCARDS: ReadonlySet<string> = new Set(['', '0.0.0.0', '::']);

export function makeLoopCheck(listeners: readonly Listener[]): LoopCheck {
  return (peer, port, local) => {
    const atPort = listeners.filter((listener) => listener.port === port);
    if (atPort.length === 0 || !(isSame(peer, local) || isOwn(peer))) return false;
    return atPort.some(({ host }) => hears(host, peer));
  };
}

/** Asks about both ends of a connected socket: 1 a loop, 0 none, or -errno: ENOTCONN. */
export function isLoopSocket(fd: number, isLoop: LoopCheck): number {
  const peer = new Uint8Array(SOCKADDR_BYTES_MAX);
  const local = new Uint8Array(SOCKADDR_BYTES_MAX);
  const named = Math.min(peerName(fd, peer), localName(fd, local));
  if (named < 0) return named;
  return isLoop(sockaddrAddress(peer), sockaddrPort(peer), sockaddrAddress(local)) ? 1 : 0;
}

function hears(host: string, peer: Uint8Array): boolean {
  if (WILDCARDS.has(host)) return true;
  const bytes = addressBytes(host);
  // A listener by name is this machine's; which address it took does not matter for a refusal.
  return bytes === null || isSame(bytes, peer);
}

function isOwn(address: Uint8Array): boolean {
  if (isLoopback(formatAddress(address))) return true;
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .some((own) => isSame(addressBytes(own.address), address));
}

function isSame(a: Uint8Array | null, b: Uint8Array): boolean {
  return a !== null && Buffer.compare(a, b) === 0;
}

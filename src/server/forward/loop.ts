/**
 * Loop: is a destination one of our own listening sockets?
 *
 * WHY      What we forward to ourselves comes back, is journaled and forwarded again, without end.
 *          Asked of the configuration, where hosts are still names, and again of each address that
 *          a name was resolved to, before it is connected.
 * REFUSED  Asking the kernel which socket a connection met: it is too late then, records were sent.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { addressBytes, type Endpoint, formatAddress, isLoopback } from '../address.ts';

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
  const isHere = (target: string): boolean =>
    isLoopback(target) || locals.some((local) => canonical(local) === target);
  return listeners.some((listener) => {
    if (listener.port !== port) return false;
    const at = canonical(listener.host);
    const places = at === 'localhost' ? HERE.localhost! : [at];
    return targets.some(
      (target) => places.includes(target) || (isOfWildcard(at, target) && isHere(target)),
    );
  });
}

/**
 * Target: where xmit connects and recv listens: an IP address and a port, or a UNIX socket.
 *
 * The command line gives `[HOST] PORT` or `unix:PATH` (`unix:@name` is the abstract space). The old
 * programs knew IPv4 only; without HOST we connect to 127.0.0.1 and listen on 0.0.0.0, as they did.
 */
import { lookup } from 'node:dns/promises';
import { isIPv4, isIPv6 } from 'node:net';
import { MillraceError } from '../toolkit/base/errors.ts';
import { ipSockaddr, unixSockaddr } from '../toolkit/sys/index.ts';

const PORT_MAX = 65_535;
const UNIX_PREFIX = 'unix:';
const ADDRESS_BYTES = 16;

export interface IpTarget {
  readonly kind: 'ip';
  readonly host: string;
  readonly port: number;
}

export interface UnixTarget {
  readonly kind: 'unix';
  /** Path; the abstract space is `@name`. */
  readonly path: string;
}

export type Target = IpTarget | UnixTarget;

/** What the system calls need. */
export interface ResolvedTarget {
  readonly family: 4 | 6 | 'unix';
  readonly sockaddr: Uint8Array;
}

/** The words behind the options. Errors: MR_USAGE; a port below `portMin` or above 65535. */
export function parseTarget(words: readonly string[], defaultHost: string, portMin: 0 | 1): Target {
  const first = words[0] ?? '';
  if (first.startsWith(UNIX_PREFIX)) {
    const path = first.slice(UNIX_PREFIX.length);
    if (words.length > 1) refuse(`"${words[1]}" behind ${first}`, 'a UNIX socket has no port');
    if (path === '' || path === '@') refuse(`"${first}" names no path`, 'write unix:/tmp/nettest');
    return { kind: 'unix', path };
  }
  if (words.length > 2) {
    refuse(`${words.length} words where [HOST] PORT is expected`, 'see --help');
  }
  const host = words.length === 2 ? first.replace(/^\[(.*)\]$/, '$1') : defaultHost;
  const text = words.at(-1) ?? '';
  const port = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(port >= portMin && port <= PORT_MAX)) {
    refuse(`"${text}" is no port`, `give [HOST] PORT, a port from ${portMin} to ${PORT_MAX}`);
  }
  return { kind: 'ip', host, port };
}

/** As the old programs print it: `127.0.0.1/5500`. */
export function formatTarget(target: Target): string {
  return target.kind === 'unix' ? `${UNIX_PREFIX}${target.path}` : `${target.host}/${target.port}`;
}

/** Looks the host up. Errors: MR_ADDRESS. */
export async function resolveTarget(target: Target): Promise<ResolvedTarget> {
  if (target.kind === 'unix') return { family: 'unix', sockaddr: unixAddress(target.path) };
  const address =
    isIPv4(target.host) || isIPv6(target.host) ? target.host : await find(target.host);
  const family = isIPv4(address) ? 4 : 6;
  const sockaddr = ipSockaddr(family, addressBytes(address), target.port);
  if (sockaddr === null) throw unknownHost(target.host);
  return { family, sockaddr };
}

function unixAddress(path: string): Uint8Array {
  try {
    return unixSockaddr(path.startsWith('@') ? `\0${path.slice(1)}` : path);
  } catch (cause) {
    throw new MillraceError(
      'MR_ADDRESS',
      `unix:${path} is no address: ${(cause as Error).message}`,
      'give a shorter path, such as unix:/tmp/nettest',
      { cause },
    );
  }
}

async function find(host: string): Promise<string> {
  try {
    return (await lookup(host)).address;
  } catch (cause) {
    throw unknownHost(host, cause);
  }
}

function unknownHost(host: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'MR_ADDRESS',
    `the host "${host}" cannot be resolved`,
    'give an address, such as 127.0.0.1 or ::1',
    { cause },
  );
}

/** The 16 bytes of a literal address, IPv4 as ::ffff:a.b.c.d. */
export function addressBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  if (isIPv4(text)) {
    bytes.set([0xff, 0xff], 10);
    bytes.set(text.split('.').map(Number), 12);
    return bytes;
  }
  // The URL parser writes every literal in hextets, without a dotted end.
  if (text.includes('%')) throw unknownHost(text);
  const [left = '', right] = new URL(`http://[${text}]`).hostname.slice(1, -1).split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const view = new DataView(bytes.buffer);
  head.forEach((part, index) => {
    view.setUint16(index * 2, Number.parseInt(part, 16));
  });
  tail.forEach((part, index) => {
    view.setUint16(ADDRESS_BYTES - (tail.length - index) * 2, Number.parseInt(part, 16));
  });
  return bytes;
}

function refuse(found: string, remedy: string): never {
  throw new MillraceError('MR_USAGE', found, remedy);
}

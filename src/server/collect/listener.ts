/**
 * Listeners: the sockets that exporters connect to, opened before any worker starts.
 *
 * WHY        A port in use or a wrong address must be one clear error at start, not a log line of a
 *            worker. The fds are shared by all collectors; the supervisor closes them.
 */
import { lookup } from 'node:dns/promises';
import { MillraceError } from '../../toolkit/base/errors.ts';
import {
  bind,
  closeFd,
  EADDRINUSE,
  errnoName,
  listen,
  localPort,
  setSocketOption,
  socketCreate,
} from '../../toolkit/sys/index.ts';
import {
  addressBytes,
  type Endpoint,
  formatEndpoint,
  isMappedIpv4,
  parseEndpoint,
} from '../address.ts';

const BACKLOG = 128;

export interface Listener {
  readonly fd: number;
  readonly host: string;
  readonly port: number;
}

/**
 * Opens all, or none: on an error those already open are closed. Throws MR_PORT_IN_USE, MR_LISTEN.
 */
export async function openListeners(
  texts: readonly string[],
  receiveBufferBytes = 0,
): Promise<readonly Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const text of texts) {
      listeners.push(await openListener(parseEndpoint(text), receiveBufferBytes));
    }
  } catch (error) {
    for (const listener of listeners) closeFd(listener.fd);
    throw error;
  }
  return listeners;
}

async function openListener(endpoint: Endpoint, receiveBufferBytes: number): Promise<Listener> {
  const bytes = addressBytes(endpoint.host) ?? (await resolveHost(endpoint));
  const family = isMappedIpv4(bytes) ? 4 : 6;
  const fd = socketCreate(family);
  if (fd < 0) throw listenError(endpoint, fd);
  setSocketOption(fd, 'reuseAddress', 1);
  if (family === 6) setSocketOption(fd, 'ipv6Only', 1);
  // Before listen: the window scale of a connection is settled by its first packet (tcp(7)).
  if (receiveBufferBytes > 0) setSocketOption(fd, 'receiveBufferBytes', receiveBufferBytes);
  let result = bind(fd, family, bytes, 0, endpoint.port);
  if (result >= 0) result = listen(fd, BACKLOG);
  if (result < 0) {
    closeFd(fd);
    throw listenError(endpoint, result);
  }
  return { fd, host: endpoint.host, port: localPort(fd) };
}

async function resolveHost(endpoint: Endpoint): Promise<Uint8Array> {
  try {
    const { address } = await lookup(endpoint.host);
    const bytes = addressBytes(address);
    if (bytes !== null) return bytes;
  } catch {
    // Falls through: not resolvable is told below.
  }
  throw new MillraceError(
    'MR_ADDRESS',
    `the host "${endpoint.host}" cannot be resolved`,
    'give an address of this machine, such as 127.0.0.1 or 0.0.0.0',
  );
}

function listenError(endpoint: Endpoint, result: number): MillraceError {
  const where = formatEndpoint(endpoint);
  if (result === -EADDRINUSE) {
    return new MillraceError(
      'MR_PORT_IN_USE',
      `${where} is in use by another program`,
      `find it with "ss -ltnp sport = :${endpoint.port}", or listen elsewhere: --listen HOST:PORT`,
    );
  }
  return new MillraceError(
    'MR_LISTEN',
    `cannot listen on ${where}: ${errnoName(result)}`,
    'give an address of this machine; ports below 1024 need the right to use them',
  );
}

/**
 * Security: what every answer carries, and which requests get none.
 *
 * WHY      The page shows texts that come from the network (subscriber ids, hosts), and it has no
 *          log-in. So: no script but our own files, only GET, nothing for other origins, and on a
 *          loopback address only Host headers that mean this machine (a foreign page could
 *          otherwise point its own name at 127.0.0.1 and read us: DNS rebinding).
 */
import { isIP } from 'node:net';

export const SECURITY_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
};

export function isLoopback(host: string): boolean {
  const bare = bareHost(host);
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

/**
 * Whether a request with this Host header may be answered by a server bound to `boundHost`. Any
 * port is allowed: a tunnel (ssh -L) has its own. Not bound to loopback: every name is, as we
 * cannot know ours.
 */
export function isHostAllowed(header: string | undefined, boundHost: string): boolean {
  if (!isLoopback(boundHost)) return true;
  if (header === undefined) return false;
  const name = hostOfHeader(header);
  if (name === null) return false;
  return ['localhost', '127.0.0.1', '::1', bareHost(boundHost)].includes(name);
}

/** `127.0.0.1:8033` -> `127.0.0.1`, `[::1]:8033` -> `::1`; null when it is neither. */
function hostOfHeader(header: string): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]+))(?::\d{1,5})?$/i.exec(header);
  if (match === null) return null;
  return (match[1] ?? match[2]!).toLowerCase();
}

function bareHost(host: string): string {
  return host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
}

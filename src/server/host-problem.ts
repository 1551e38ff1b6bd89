/**
 * Host problem: what is wrong with the host of a destination that no resolver has to be asked.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** Names of hosts as they are in use: also with `_`, also with a dot at the end. */
const NAME = /^[\p{L}\p{N}](?:[\p{L}\p{N}._-]*[\p{L}\p{N}.])?$/u;

/** fe80::/10: of one link, whichever. */
const LINK_LOCAL = /^fe[89ab][0-9a-f]:/i;

/** What a text is instead of a name or an address, with what to write; null when it is one. */
export function hostProblem(text: string): string | null {
  // Only a number of this machine's interface would say which link is meant.
  if (isIPv6(text) && LINK_LOCAL.test(text)) {
    return 'link-local (fe80::) is not supported: write a global or unique local (fd00::) address';
  }
  if (isIPv6(text) && text.includes('%')) {
    return `zones are for link-local addresses only: write ${text.slice(0, text.indexOf('%'))}`;
  }
  if (isIPv4(text) || isIPv6(text)) return null;
  const inBrackets = /^\[(.*)\]$/.exec(text)?.[1];
  if (inBrackets !== undefined && isIPv6(inBrackets)) {
    return `brackets are for HOST:PORT only: write ${inBrackets}`;
  }
  const withPort = /^(?:\[(?<address>[^\]]+)\]|(?<name>[^:]*)):(?<port>\d+)$/.exec(text)?.groups;
  if (withPort !== undefined) {
    const only = withPort.address ?? withPort.name;
    return `a port is not part of host: write host: ${only}, port: ${withPort.port}`;
  }
  if (text.includes('://')) return 'not a URL: write the name or address alone';
  // With fewer dots a resolver reads it as inet_aton(3) does: 127.1 is an address.
  if (/^\d*(?:\.\d*){3,}$/.test(text))
    return 'not an IPv4 address: four numbers of 0 to 255, as 10.1.2.3';
  if (text.includes(':')) return 'not an IPv6 address, as 2001:db8::1';
  return NAME.test(text) ? null : 'not a name of a host, nor an address';
}

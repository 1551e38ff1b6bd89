/**
 * Addresses: HOST:PORT, CIDR blocks and the 16-byte form in which exporters are kept.
 *
 * WHY  One form for both families (IPv4 as ::ffff:a.b.c.d, RFC 4291 2.5.5.2) means one comparison,
 *      one column and one field of the block header.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { MillraceError } from '../toolkit/base/errors.ts';

export const ADDRESS_BYTES = 16;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** An address block: the first `bits` of `bytes` must match. */
export interface Cidr {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/**
 * `127.0.0.1:33000`, `[::1]:33000`, `:33000` (all IPv4) or `localhost:33000`. Throws MR_ADDRESS.
 */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  const port = match === null ? Number.NaN : Number(match[3]);
  if (match === null || port > 65_535) {
    throw new MillraceError(
      'MR_ADDRESS',
      `"${text}" is not HOST:PORT`,
      'write 127.0.0.1:33000, or [::1]:33000 for IPv6; ports are 0..65535',
    );
  }
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '0.0.0.0' : host, port };
}

export function formatEndpoint(endpoint: Endpoint): string {
  const host = endpoint.host.includes(':') ? `[${endpoint.host}]` : endpoint.host;
  return `${host}:${endpoint.port}`;
}

/** The 16 bytes of a literal address (IPv4 mapped), or null when the text is not one. */
export function addressBytes(text: string): Uint8Array | null {
  const bytes = new Uint8Array(ADDRESS_BYTES);
  if (isIPv4(text)) {
    bytes[10] = 0xff;
    bytes[11] = 0xff;
    text.split('.').forEach((part, index) => {
      bytes[12 + index] = Number(part);
    });
    return bytes;
  }
  if (!isIPv6(text) || text.includes('%')) return null;
  return ipv6Bytes(text, bytes);
}

function ipv6Bytes(text: string, bytes: Uint8Array): Uint8Array | null {
  let source = text;
  const dotted = /(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const high = (Number(dotted[2]) * 256 + Number(dotted[3])).toString(16);
    const low = (Number(dotted[4]) * 256 + Number(dotted[5])).toString(16);
    source = `${dotted[1]}${high}:${low}`;
  }
  const [left = '', right] = source.split('::');
  const leftParts = left === '' ? [] : left.split(':');
  const rightParts = right === undefined || right === '' ? [] : right.split(':');
  leftParts.forEach((part, index) => {
    setHextet(bytes, index, part);
  });
  rightParts.forEach((part, index) => {
    setHextet(bytes, 8 - rightParts.length + index, part);
  });
  return bytes;
}

function setHextet(bytes: Uint8Array, index: number, part: string): void {
  const value = Number.parseInt(part, 16);
  bytes[index * 2] = value >>> 8;
  bytes[index * 2 + 1] = value & 0xff;
}

/** True when the 16 bytes are an IPv4 address mapped into IPv6. */
export function isMappedIpv4(bytes: Uint8Array): boolean {
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Dotted IPv4 for mapped addresses, else RFC 5952 text. */
export function formatAddress(bytes: Uint8Array): string {
  if (isMappedIpv4(bytes)) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  const parts: string[] = [];
  for (let i = 0; i < 8; i++) parts.push(((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  const zeros = longestZeroRun(parts);
  if (zeros.length < 2) return parts.join(':');
  const head = parts.slice(0, zeros.start).join(':');
  const tail = parts.slice(zeros.start + zeros.length).join(':');
  return `${head}::${tail}`;
}

function longestZeroRun(parts: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let i = 0; i < parts.length; i++) {
    let length = 0;
    while (i + length < parts.length && parts[i + length] === '0') length++;
    if (length > best.length) best = { start: i, length };
    if (length > 0) i += length - 1;
  }
  return best;
}

/** `10.0.0.0/8`, `2001:db8::/32` or a single address; null when the text is neither. */
export function parseCidr(text: string): Cidr | null {
  const [address = '', suffix, ...rest] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === null || rest.length > 0) return null;
  const widthBits = isIPv4(address) ? 32 : 128;
  if (suffix === undefined) return { bytes, bits: 128 };
  if (!/^\d{1,3}$/.test(suffix) || Number(suffix) > widthBits) return null;
  return { bytes, bits: 128 - widthBits + Number(suffix) };
}

export function cidrContains(cidr: Cidr, address: Uint8Array): boolean {
  const whole = cidr.bits >>> 3;
  for (let i = 0; i < whole; i++) if (cidr.bytes[i] !== address[i]) return false;
  const rest = cidr.bits & 7;
  if (rest === 0) return true;
  const mask = (0xff00 >>> rest) & 0xff;
  return ((cidr.bytes[whole]! ^ address[whole]!) & mask) === 0;
}

/** True for 127.0.0.0/8 and ::1 and the name `localhost`. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true;
  const bytes = addressBytes(host);
  if (bytes === null) return false;
  if (isMappedIpv4(bytes)) return bytes[12] === 127;
  return bytes.every((byte, index) => byte === (index === 15 ? 1 : 0));
}

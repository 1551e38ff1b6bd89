/**
 * Addresses of filters: IPv4 and IPv6 literals and blocks of them, as 16 bytes and a prefix.
 *
 * WHY      The form is the one in which exporters are kept (IPv4 as ::ffff:a.b.c.d), so that one
 *          comparison serves both families. No Node module is used here, so net.isIP is not at
 *          hand; a test compares the two.
 */

/** A single address has 128 bits. */
export interface AddressBlock {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

const MAPPED_BITS = 96;

/** `10.1.2.3`, `10.0.0.0/8`, `2001:db8::/32`, `::1`; null when it is neither. */
export function parseBlock(text: string): AddressBlock | null {
  const slash = text.indexOf('/');
  const address = slash < 0 ? text : text.slice(0, slash);
  const isDotted = !address.includes(':');
  const bytes = isDotted ? ipv4Bytes(address) : ipv6Bytes(address);
  if (bytes === null) return null;
  if (slash < 0) return { bytes, bits: 128 };
  const suffix = text.slice(slash + 1);
  const width = isDotted ? 32 : 128;
  if (!/^(?:0|[1-9]\d{0,2})$/.test(suffix) || Number(suffix) > width) return null;
  return { bytes, bits: 128 - width + Number(suffix) };
}

/** Does the block lie inside of IPv4? Only such blocks can hold what a 4-byte field says. */
export function isIpv4Block(block: AddressBlock): boolean {
  if (block.bits < MAPPED_BITS) return false;
  for (let i = 0; i < 10; i++) if (block.bytes[i] !== 0) return false;
  return block.bytes[10] === 0xff && block.bytes[11] === 0xff;
}

/** Mask of a block inside of IPv4, as a signed 32-bit number. */
export function ipv4Mask(block: AddressBlock): number {
  const bits = block.bits - MAPPED_BITS;
  return bits === 0 ? 0 : -1 << (32 - bits);
}

/** The block's address as a signed 32-bit number, without its host bits. */
export function ipv4Network(block: AddressBlock): number {
  const [a, b, c, d] = block.bytes.subarray(12) as unknown as [number, number, number, number];
  return ((a << 24) | (b << 16) | (c << 8) | d) & ipv4Mask(block);
}

/** Is the address (16 bytes) in the block? All 0 is no address: false. */
export function isInBlock(block: AddressBlock, address: Uint8Array): boolean {
  const whole = block.bits >>> 3;
  const rest = block.bits & 7;
  // From the end: what differs between exporters stands there.
  for (let i = whole - 1; i >= 0; i--) if (block.bytes[i] !== address[i]) return false;
  if (rest !== 0) {
    const mask = (0xff00 >>> rest) & 0xff;
    if (((block.bytes[whole]! ^ address[whole]!) & mask) !== 0) return false;
  }
  return isKnownAddress(address);
}

/** All 0 stands for "nobody knows". */
export function isKnownAddress(address: Uint8Array): boolean {
  for (let i = 15; i >= 0; i--) if (address[i] !== 0) return true;
  return false;
}

function ipv4Bytes(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(16);
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  for (const [index, part] of parts.entries()) {
    if (!/^(?:0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[12 + index] = Number(part);
  }
  return bytes;
}

function ipv6Bytes(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const isShort = halves.length === 2;
  const left = hextets(halves[0]!, !isShort);
  const right = hextets(halves[1] ?? '', true);
  if (left === null || right === null) return null;
  const given = left.length + right.length;
  if (isShort ? given > 7 : given !== 8) return null;
  const bytes = new Uint8Array(16);
  const all = [...left, ...new Array<number>(8 - given).fill(0), ...right];
  for (const [index, value] of all.entries()) {
    bytes[2 * index] = value >>> 8;
    bytes[2 * index + 1] = value;
  }
  return bytes;
}

/** Groups between colons as numbers; the last may be dotted where the address ends with it. */
function hextets(text: string, mayBeDotted: boolean): number[] | null {
  if (text === '') return [];
  const values: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      values.push(Number.parseInt(part, 16));
      continue;
    }
    const dotted = mayBeDotted && index === parts.length - 1 ? ipv4Bytes(part) : null;
    if (dotted === null) return null;
    values.push((dotted[12]! << 8) | dotted[13]!, (dotted[14]! << 8) | dotted[15]!);
  }
  return values;
}

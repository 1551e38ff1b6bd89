/**
 * What the kernel says about the memory mappings of this process: /proc/self/maps and smaps.
 *
 * WHY   Whether huge pages were granted, and where a mapping lies between their boundaries, is
 *       known to the kernel alone. Read when an arena is made, never on the data path: some
 *       milliseconds. Source: proc(5).
 */
import { readFileSync } from 'node:fs';

export interface Mapping {
  /** First address: only to tell mappings apart, and for its distance to a boundary. */
  readonly start: number;
  readonly bytes: number;
  /** As `rw-p`. */
  readonly permissions: string;
}

export interface MappingDetail extends Mapping {
  /** In memory now. */
  readonly residentBytes: number;
  /** Of those, in huge pages. */
  readonly hugeBytes: number;
  /** VmFlags by two letters: `dc` is not copied by fork, `hg` is advised to be huge. */
  readonly flags: readonly string[];
}

const HEAD = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) /;

/** All mappings; throws where /proc is not to be read. */
export function readMappings(): Mapping[] {
  const found: Mapping[] = [];
  for (const line of readFileSync('/proc/self/maps', 'latin1').split('\n')) {
    const mapping = parseHead(line);
    if (mapping !== null) found.push(mapping);
  }
  return found;
}

/** The mapping that starts at `start` with what smaps knows of it, or null. */
export function readMappingDetail(start: number): MappingDetail | null {
  const lines = readFileSync('/proc/self/smaps', 'latin1').split('\n');
  const at = lines.findIndex((line) => parseHead(line)?.start === start);
  if (at < 0) return null;
  let residentBytes = 0;
  let hugeBytes = 0;
  let flags: readonly string[] = [];
  for (const line of lines.slice(at + 1)) {
    if (line.startsWith('Rss:')) residentBytes = kibibytes(line);
    else if (line.startsWith('AnonHugePages:')) hugeBytes = kibibytes(line);
    else if (line.startsWith('VmFlags:')) {
      flags = line.slice('VmFlags:'.length).trim().split(' ');
      break;
    }
  }
  return { ...parseHead(lines[at]!)!, residentBytes, hugeBytes, flags };
}

/** The one mapping of `after`, readable and writable and of `bytes`, that `before` has not. */
export function findNewMapping(
  before: readonly Mapping[],
  after: readonly Mapping[],
  bytes: number,
): Mapping | null {
  const known = new Set(before.map((one) => `${one.start} ${one.bytes} ${one.permissions}`));
  const found = after.filter(
    (one) =>
      one.bytes === bytes &&
      one.permissions.startsWith('rw') &&
      !known.has(`${one.start} ${one.bytes} ${one.permissions}`),
  );
  return found.length === 1 ? found[0]! : null;
}

function parseHead(line: string): Mapping | null {
  const match = HEAD.exec(line);
  if (match === null) return null;
  const start = Number.parseInt(match[1]!, 16);
  return { start, bytes: Number.parseInt(match[2]!, 16) - start, permissions: match[3]! };
}

function kibibytes(line: string): number {
  return Number.parseInt(line.slice(line.indexOf(':') + 1), 10) * 1024;
}

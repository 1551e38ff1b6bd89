/**
 * Probe of what a kernel lends to one process: pipes, locked memory, huge pages.
 */
import { readFileSync } from 'node:fs';
import { checked, errnoName, pipeCapacity, setPipeCapacity } from '../sys/index.ts';
import { attempt, offered, openPipe, type ProbeItem, refused } from './probe-attempt.ts';

export interface PipeProbe extends ProbeItem {
  /** Bytes of a new pipe, 0 where there is none. */
  readonly defaultBytes: number;
  /** Bytes that a pipe really gets when as much as possible is asked for. */
  readonly grantedBytes: number;
  /** fs.pipe-max-size, 0 unknown. */
  readonly maxBytes: number;
  /** fs.pipe-user-pages-soft: OS pages of all pipes of a user; 0: no limit, or unknown. */
  readonly userPagesSoft: number;
}

const PIPE_MAX_BYTES_USUAL = 1_048_576;

/** How large a pipe is now, and how large it can be made. */
export function probePipes(): PipeProbe {
  const maxBytes = numberFrom('/proc/sys/fs/pipe-max-size') ?? 0;
  const userPagesSoft = numberFrom('/proc/sys/fs/pipe-user-pages-soft') ?? 0;
  let defaultBytes = 0;
  let grantedBytes = 0;
  const item = attempt((keep) => {
    const [, into] = openPipe(keep);
    defaultBytes = checked('F_GETPIPE_SZ', pipeCapacity(into));
    grantedBytes = defaultBytes;
    const granted = setPipeCapacity(into, maxBytes || PIPE_MAX_BYTES_USUAL);
    if (granted < 0) return refused(`${defaultBytes} bytes, not more: ${errnoName(granted)}`);
    grantedBytes = granted;
    return offered(`${defaultBytes} bytes, up to ${granted}`);
  });
  return { ...item, defaultBytes, grantedBytes, maxBytes, userPagesSoft };
}

export interface MemoryProbe extends ProbeItem {
  /** RLIMIT_MEMLOCK, bytes; Infinity: none; 0: unknown. */
  readonly memlockBytes: number;
  /** net.core.optmem_max, bytes; 0: unknown. */
  readonly optmemBytes: number;
}

/** What MSG_ZEROCOPY and io_uring may hold in flight for this process. */
export function probeMemory(): MemoryProbe {
  const memlockBytes = memlockLimit(textFrom('/proc/self/limits'));
  const optmemBytes = numberFrom('/proc/sys/net/core/optmem_max') ?? 0;
  const detail = `RLIMIT_MEMLOCK ${memlockBytes}, net.core.optmem_max ${optmemBytes} bytes`;
  return { ...(memlockBytes > 0 ? offered(detail) : refused(detail)), memlockBytes, optmemBytes };
}

/** The soft limit in the text of /proc/self/limits; 0 when it is not there. */
export function memlockLimit(limits: string): number {
  const word = /^Max locked memory\s+(\S+)/m.exec(limits)?.[1];
  if (word === undefined) return 0;
  return word === 'unlimited' ? Infinity : Number(word);
}

/** Transparent huge pages on request, or reserved ones. */
export function probeHugePages(): ProbeItem {
  const modes = textFrom('/sys/kernel/mm/transparent_hugepage/enabled').trim();
  const reserved = Number(/^HugePages_Total:\s+(\d+)/m.exec(textFrom('/proc/meminfo'))?.[1] ?? 0);
  const detail = `transparent: ${modes || 'none'}; reserved: ${reserved}`;
  return /\[(?:always|madvise)\]/.test(modes) || reserved > 0 ? offered(detail) : refused(detail);
}

function numberFrom(path: string): number | null {
  const text = textFrom(path).trim();
  return /^\d+$/.test(text) ? Number(text) : null;
}

/** '' where the file is not there or not readable: for the probe that is an answer. */
function textFrom(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

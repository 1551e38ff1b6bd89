/**
 * Probe: what this kernel, in this container, does for output. Once per thread.
 *
 * WHY         Versions say little: seccomp, sysctls, emulations and patches decide. So each thing
 *             is tried, on sockets and pipes of the probe's own, and the answers drive choose.ts.
 * COST        A few milliseconds, then cached in this thread; at most a few seconds where nothing
 *             answers (each wait is bounded).
 * INVARIANTS  A refusal is an answer, never an exception; only a missing addon throws (MR_ADDON).
 */
import { release } from 'node:os';
import type { ProbeItem } from './probe-attempt.ts';
import {
  type MemoryProbe,
  type PipeProbe,
  probeHugePages,
  probeMemory,
  probePipes,
} from './probe-limits.ts';
import {
  probeSendfile,
  probeSpliceTcp,
  probeSpliceUnix,
  probeTee,
  probeVmsplice,
} from './probe-references.ts';
import {
  probeMsgZerocopy,
  probeSctp,
  probeSockDiag,
  probeUnacked,
  probeUring,
} from './probe-signals.ts';

export type { ProbeItem } from './probe-attempt.ts';

/** What is tried, in the order in which it is shown. */
const CHECKS = {
  /** A pipe refers to our pages. */
  vmsplice: probeVmsplice,
  /** A TCP socket takes pages from a pipe by reference. */
  spliceTcp: probeSpliceTcp,
  /** A UNIX stream does. */
  spliceUnix: probeSpliceUnix,
  /** A second pipe refers to the pages of the first. */
  tee: probeTee,
  sendfile: probeSendfile,
  msgZerocopy: probeMsgZerocopy,
  uringZerocopy: probeUring,
  /** TCP tells what the peer has not acknowledged. */
  unacked: probeUnacked,
  /** The receive queue of a peer on this machine can be asked for. */
  sockDiag: probeSockDiag,
  sctp: probeSctp,
  hugePages: probeHugePages,
} as const;

export type ProbeName = keyof typeof CHECKS;
export const PROBE_NAMES = Object.keys(CHECKS) as readonly ProbeName[];

export type KernelProbe = Readonly<Record<ProbeName, ProbeItem>> & {
  /** uname -r */
  readonly kernel: string;
  readonly pipes: PipeProbe;
  readonly memory: MemoryProbe;
};

let cached: KernelProbe | undefined;

/** What the kernel does; tried at the first call. Errors: MR_ADDON. */
export function probeKernel(): KernelProbe {
  cached ??= probeKernelAnew();
  return cached;
}

/** Tries everything again. */
export function probeKernelAnew(): KernelProbe {
  const items = Object.fromEntries(PROBE_NAMES.map((name) => [name, CHECKS[name]()]));
  return {
    ...(items as Record<ProbeName, ProbeItem>),
    kernel: release(),
    pipes: probePipes(),
    memory: probeMemory(),
  };
}

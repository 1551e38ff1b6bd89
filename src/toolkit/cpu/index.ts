/**
 * CPU binding: what the machine is, which thread runs where, and when not to pin.
 *
 * `topology` and everything that only reads work without the addon; pinning needs it.
 */

export { currentCpu } from '../sys/index.ts';
export { type Advice, type AdviseOptions, advise } from './advise.ts';
export {
  AUDIT_LIMITS,
  type Audit,
  type AuditOptions,
  audit,
  type CpuEvidence,
  type NamedShare,
  percent,
} from './audit.ts';
export { CPU_PROBLEMS, CpuError, type CpuProblem } from './cpu-error.ts';
export { CPU_COUNT_MAX, formatCpuList, parseCpuList } from './cpu-list.ts';
export { Confinement, type ConfineOptions, confineHelperThreads } from './helpers.ts';
export type { CpuLimits } from './limits.ts';
export { type MemoryPlace, placeMemory } from './near-memory.ts';
export { type Pinned, type PinTarget, pin, release, threadIdOf } from './pin.ts';
export { type Placed, type Placement, place, type WorkerWish } from './placement.ts';
export { type Registered, registeredThreads, registerThread } from './register.ts';
export { type CpuSpec, cpusOf } from './spec.ts';
export { type ThreadInfo, type ThreadsOptions, threads } from './threads.ts';
export {
  type CpuCache,
  type CpuInfo,
  type CpuKind,
  type NumaNode,
  type Topology,
  type TopologyOptions,
  topology,
} from './topology.ts';
export { applyTunings, type Tuning, type TuningResult } from './tuning.ts';

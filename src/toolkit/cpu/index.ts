/**
 * CPU binding: what the machine is, which thread runs where, and when not to pin.
 *
 * `topology` and everything that only reads work without the addon; pinning needs it.
 */
export { CPU_COUNT_MAX, formatCpuList, parseCpuList } from './cpu-list.ts';
export type { CpuLimits } from './limits.ts';
export {
  type CpuCache,
  type CpuInfo,
  type CpuKind,
  type NumaNode,
  type Topology,
  type TopologyOptions,
  topology,
} from './topology.ts';

/**
 * Near memory: shared memory on the NUMA node of the threads that use it.
 *
 * WHY     Memory of another node costs up to twice the time. The kernel takes a page from the node
 *         of the thread that touches it first: pinned before it touches, a worker has its memory
 *         near by itself. What several threads touch first (an arena that the collector, the main
 *         thread and a reader share) is told its node by mbind(2).
 * RULE    With one node, or CPUs of several nodes, there is nothing to tell: first touch decides.
 *         Preferred, not bound: a node that is full must not end the program.
 */
import { errnoName, mbind } from '../sys/index.ts';
import { formatCpuList } from './cpu-list.ts';
import { type Topology, topology } from './topology.ts';

export interface MemoryPlace {
  /** `told`: mbind; `firstTouch`: nothing to tell; `refused`: the kernel said no. */
  readonly state: 'told' | 'firstTouch' | 'refused';
  /** The nodes of the CPUs. */
  readonly nodes: readonly number[];
  /** For people. */
  readonly reason: string;
}

/**
 * Asks for the memory of `bytes` (from an OS page boundary on) on the node of these CPUs; pages
 * touched before stay where they are. Never throws for what the kernel refuses: memory from
 * anywhere works too. MR_ADDON where there is more than one node and no addon.
 */
export function placeMemory(
  bytes: Uint8Array,
  cpus: readonly number[],
  machine: Topology = topology(),
): MemoryPlace {
  const found = machine.cpus.filter(({ cpuIndex }) => cpus.includes(cpuIndex));
  const nodes = [...new Set(found.map(({ node }) => node))].filter((node) => node >= 0);
  nodes.sort((a, b) => a - b);
  const place = (state: MemoryPlace['state'], reason: string) => ({ state, nodes, reason });
  if (machine.nodes.length <= 1) return place('firstTouch', 'there is one NUMA node');
  const [node] = nodes;
  if (node === undefined || nodes.length > 1) {
    return place('firstTouch', `no node is near all of CPUs ${formatCpuList(cpus)}`);
  }
  if (!machine.limits.memoryNodes.includes(node)) {
    return place('refused', `this process may take no memory of node ${node} (Mems_allowed)`);
  }
  const result = mbind(bytes, 0, bytes.length, 'preferred', [node]);
  if (result < 0) return place('refused', `mbind: ${errnoName(result)}`);
  return place('told', `node ${node} is preferred`);
}

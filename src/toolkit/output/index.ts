/**
 * Output: bytes onto connections, copied or by reference, with pages whose reuse is proved.
 */
export {
  type FileSource,
  fileSource,
  type MemorySource,
  type OutputSource,
  type PageSource,
  type PayloadSource,
  pageSources,
  payloadSource,
} from './output-source.ts';
export {
  MECHANISMS,
  type Mechanism,
  makeCounts,
  type OutputCounts,
  type OutputWriter,
} from './output-writer.ts';
export { RECLAIM_NAMES, type ReclaimName, type ReclaimPolicy } from './reclaim-policy.ts';

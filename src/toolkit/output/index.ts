/**
 * Output: bytes onto connections, copied or by reference, with pages whose reuse is proved.
 */
export { type AckedBytesOptions, AckedBytesReclaim } from './acked-bytes-reclaim.ts';
export { ApplicationAckReclaim } from './application-ack-reclaim.ts';
export { AutoWriter } from './auto-writer.ts';
export {
  type ChooseInput,
  type Considered,
  chooseOutput,
  type OutputChoice,
  PAYLOAD_KINDS,
  type PayloadKind,
} from './choose.ts';
export {
  type ClassifyOptions,
  classifySocket,
  type OutputSocketKind,
  type Place,
  SOCKET_KINDS,
  type SocketClass,
} from './classify.ts';
export { CopyWriter } from './copy-writer.ts';
export { DOUBLE_BUFFER_WARNING, DoubleBufferReclaim } from './double-buffer-reclaim.ts';
export { FileWriter } from './file-writer.ts';
export { ImmutableReclaim } from './immutable-reclaim.ts';
export { type MsgZerocopyOptions, MsgZerocopyWriter } from './msg-zerocopy-writer.ts';
export { NotificationReclaim } from './notification-reclaim.ts';
export type { NotifiedOptions } from './notified-writer.ts';
export { NullWriter } from './null-writer.ts';
export { type OpenOutputOptions, openOutput } from './open-output.ts';
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
export { type PeerQueueOptions, PeerQueueReclaim } from './peer-queue-reclaim.ts';
export {
  type KernelProbe,
  PROBE_NAMES,
  type ProbeItem,
  type ProbeName,
  probeKernel,
} from './probe.ts';
export { FdReadiness, type FdWatch, NOT_WATCHED } from './readiness.ts';
export { RECLAIM_NAMES, type ReclaimName, type ReclaimPolicy } from './reclaim-policy.ts';
export { closeThreadDiag, SockDiag, sockDiagOfThread } from './sock-diag.ts';
export { type SpliceOptions, SpliceWriter } from './splice-writer.ts';
export type { Judgement, Verdict } from './suitability.ts';
export { TeePayload, type TeePayloadOptions } from './tee-payload.ts';
export { type TeeOptions, TeeWriter } from './tee-writer.ts';
export { closeThreadRing, reapThreadRing } from './uring-ring.ts';
export { UringZerocopyWriter } from './uring-zerocopy-writer.ts';

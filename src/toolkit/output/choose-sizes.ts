/**
 * Sizes below which a copy is cheaper than a reference, per mechanism and way to the peer.
 *
 * WHY         A reference costs a slot of a pipe, the walk to the page and a second system call,
 *             whatever its length; a copy costs by the byte. Where they cross is measured, not
 *             known: `millrace nettest bench` (bench in src/nettest), docs/benchmarks.md.
 * INVARIANTS  auto is never more than 1.05 times as dear as the best that is allowed.
 */
import type { PayloadKind } from './choose.ts';
import type { SocketClass } from './classify.ts';
import type { Mechanism } from './output-writer.ts';

/**
 * Writes from that many bytes on go by reference. Measured on one CPU with writes that gather in
 * the pipe (SpliceWriter's cork): at 4 KiB splice costs the sender 0.44 of send(2) over loopback
 * and 0.32 over UNIX sockets. Shorter writes gain as well in a steady stream, but one that is
 * flushed alone pays two calls instead of one, and a slot of the pipe for a part of an OS page.
 */
export const AUTO_SPLICE_LOCAL_TCP_MIN_BYTES = 4096;
export const AUTO_SPLICE_UNIX_MIN_BYTES = 4096;
export const AUTO_TEE_MIN_BYTES = 4096;
/** Not measured: there was no card. */
export const AUTO_SPLICE_REMOTE_MIN_BYTES = 16_384;
/** The kernel's own advice is some 10 KB; pinning and the notice cost more than a slot. */
export const AUTO_NOTIFIED_MIN_BYTES = 16_384;

/** Writes shorter than this are copied. */
export function copyBelowBytes(
  mechanism: Mechanism,
  socket: SocketClass,
  payload: PayloadKind,
): number {
  if (payload === 'file') return 0;
  switch (mechanism) {
    case 'splice':
      return spliceMinBytes(socket);
    case 'tee':
      return AUTO_TEE_MIN_BYTES;
    case 'msgZerocopy':
    case 'uringZerocopy':
      return AUTO_NOTIFIED_MIN_BYTES;
    default:
      return 0;
  }
}

function spliceMinBytes({ kind, place }: SocketClass): number {
  if (kind === 'unixStream') return AUTO_SPLICE_UNIX_MIN_BYTES;
  return place === 'remote' ? AUTO_SPLICE_REMOTE_MIN_BYTES : AUTO_SPLICE_LOCAL_TCP_MIN_BYTES;
}

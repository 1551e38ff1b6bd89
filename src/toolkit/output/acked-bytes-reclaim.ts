/**
 * Reclaim policy `ackedBytes`: the peer's TCP has acknowledged the bytes.
 *
 * PROOF       SIOCOUTQ of a TCP socket is write_seq - snd_una: all bytes that the socket has taken
 *             and the peer has not acknowledged (a sent FIN counts one, bytes from before the
 *             writer count too: both err on the safe side). Bytes are acknowledged in order, so at
 *             least the first sent - SIOCOUTQ bytes of the stream are. The retransmit queue drops
 *             its references at the cumulative acknowledgement; a clone that still waits in a queue
 *             or driver carries acknowledged bytes, which the peer discards by sequence number.
 * HOLDS       for a TCP peer on another machine, reached by a network card.
 * FAILS       on loopback, veth, bridges and any path to a socket of this kernel: there the packet
 *             that was acknowledged lies in the peer's receive queue and still refers to our page.
 *             So the caller states where the peer is, from classifySocket; a tap (tcpdump) may see
 *             later bytes, the peer does not.
 * REFUSED     TCP_INFO tcpi_bytes_acked: the same fact, 256 bytes a call, and needs a baseline.
 */
import { MillraceError } from '../base/errors.ts';
import { bytesUnacked } from '../sys/index.ts';
import type { Place } from './classify.ts';
import type { ReclaimPolicy } from './reclaim-policy.ts';
import { kindError, socketKind } from './socket-kind.ts';

export interface AckedBytesOptions {
  /** Where the peer is, from classifySocket(fd).place. Anything but 'remote' is refused. */
  readonly peer: Place;
}

export class AckedBytesReclaim implements ReclaimPolicy {
  readonly name = 'ackedBytes';
  readonly isSafe = true;
  readonly #fd: number;
  #safeBytes = 0;

  /** Throws MR_OUTPUT_MECHANISM when the socket is not TCP or the peer is not remote. */
  constructor(fd: number, options: AckedBytesOptions) {
    const kind = socketKind(fd);
    if (kind !== 'tcp') throw kindError('ackedBytes', kind, 'use copy, or another policy');
    if (options.peer !== 'remote') {
      throw new MillraceError(
        'MR_OUTPUT_MECHANISM',
        `ackedBytes needs a remote peer, found ${String(options.peer)}: it may read our pages`,
        'use copy for a peer on this machine, or peerQueue when it is known to recv()',
      );
    }
    this.#fd = fd;
  }

  safeBytes(sentBytes: number): number {
    const unacked = bytesUnacked(this.#fd);
    // A socket that cannot be asked any more proves nothing new.
    if (unacked >= 0) this.#safeBytes = Math.max(this.#safeBytes, sentBytes - unacked);
    return this.#safeBytes;
  }
}

/**
 * Acknowledgements of recv: the policy `applicationAck`, fed from the connection itself.
 *
 * WHY        `recv --ack` sends back how many bytes it has checked, 8 bytes little endian each
 *            time; somebody must read them, and the moment to do so is when the policy is asked.
 * INVARIANTS The numbers do not decrease, so only the last one counts; a number that has not come
 *            whole waits for its rest.
 */
import { ApplicationAckReclaim, type ReclaimPolicy } from '../toolkit/output/index.ts';
import { recv } from '../toolkit/sys/index.ts';
import { ACK_BYTES } from './format.ts';

const BUFFER_BYTES = 512 * ACK_BYTES;

export class SocketAckReclaim implements ReclaimPolicy {
  readonly name = 'applicationAck';
  readonly isSafe = true;
  readonly #fd: number;
  readonly #bytes = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #policy = new ApplicationAckReclaim();
  /** Bytes of a number that has not come whole. */
  #held = 0;

  /** `fd`: a connection whose peer is `recv --ack`. */
  constructor(fd: number) {
    this.#fd = fd;
  }

  safeBytes(sentBytes: number): number {
    for (;;) {
      const received = recv(this.#fd, this.#bytes, this.#held, BUFFER_BYTES - this.#held);
      if (received <= 0) break;
      const filled = this.#held + received;
      this.#held = filled % ACK_BYTES;
      const end = filled - this.#held;
      if (end > 0) this.#policy.acknowledge(this.#read(end - ACK_BYTES));
      this.#bytes.copyWithin(0, end, filled);
    }
    return this.#policy.safeBytes(sentBytes);
  }

  #read(offset: number): number {
    return this.#view.getUint32(offset, true) + this.#view.getUint32(offset + 4, true) * 2 ** 32;
  }
}

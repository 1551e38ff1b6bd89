/**
 * An exporter's socket whose kernel buffer is known: it tells exactly what the kernel has taken.
 *
 * A net.Socket queues in user space and cannot set SO_SNDBUF; a test of what a kill may lose must
 * count what was handed over, no more.
 */

import { addressBytes } from '../../src/server/address.ts';
import {
  closeFd,
  connect,
  EAGAIN,
  ECONNRESET,
  EINPROGRESS,
  EPIPE,
  getSocketOption,
  send,
  setSocketOption,
  socketCreate,
} from '../../src/toolkit/sys/index.ts';
import { sleepMs } from './server-process.ts';

export class ExporterSocket {
  readonly #fd: number;
  /** Bytes that the kernel has taken. */
  sent = 0;
  isBroken = false;

  constructor(port: number, sendBufferBytes: number) {
    this.#fd = socketCreate(4);
    setSocketOption(this.#fd, 'sendBufferBytes', sendBufferBytes);
    const result = connect(this.#fd, 4, addressBytes('127.0.0.1')!, 0, port);
    if (result < 0 && result !== -EINPROGRESS) throw new Error(`connect: ${result}`);
  }

  /** The kernel's own figure, twice what was asked for. */
  get sendBufferBytes(): number {
    return getSocketOption(this.#fd, 'sendBufferBytes');
  }

  /** One try: bytes taken now; 0 when the buffer is full or the peer is gone (`isBroken`). */
  offer(bytes: Uint8Array, offset: number, length: number): number {
    const result = send(this.#fd, bytes, offset, length);
    if (result === -EPIPE || result === -ECONNRESET) this.isBroken = true;
    if (result < 0 && !this.isBroken && result !== -EAGAIN) throw new Error(`send: ${result}`);
    if (result > 0) this.sent += result;
    return Math.max(0, result);
  }

  /** Sends `bytes` from where it stands until `to`, or until the peer is gone. */
  async sendUpTo(bytes: Uint8Array, to: number, pieceBytes = 65_536): Promise<void> {
    while (this.sent < to && !this.isBroken) {
      const length = Math.min(pieceBytes, to - this.sent);
      if (this.offer(bytes, this.sent, length) === 0) await sleepMs(1);
    }
  }

  close(): void {
    closeFd(this.#fd);
  }
}

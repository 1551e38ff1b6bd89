/**
 * A destination in the test's own thread: sockets of the addon, read when the test says so.
 *
 * WHY  What a forwarder does when its peer resets, stops or says something has to be put at an
 *      exact byte: two threads would leave that to the scheduler.
 */
import assert from 'node:assert/strict';
import {
  accept4,
  bind,
  bytesUnread,
  checked,
  closeFd,
  EAGAIN,
  listen,
  localPort,
  PEER_BYTES,
  recv,
  send,
  setLinger,
  setSocketOption,
  socketCreate,
} from '../../src/toolkit/sys/index.ts';

export const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1);

export interface PeerStream {
  readonly fd: number;
  readonly from: Uint8Array;
  readonly pieces: Uint8Array[];
  bytes: number;
  /** Its end was seen: 0, or -errno of a reset. */
  end: number | null;
  isOpen: boolean;
}

export class ForwardPeer {
  readonly #listener: number;
  #isListening = true;
  readonly #buffer = new Uint8Array(1 << 16);
  readonly port: number;
  readonly streams: PeerStream[] = [];

  constructor(options: { receiveBufferBytes?: number; backlog?: number } = {}) {
    this.#listener = checked('socket', socketCreate(4));
    const { receiveBufferBytes = 0, backlog = 16 } = options;
    if (receiveBufferBytes > 0) {
      setSocketOption(this.#listener, 'receiveBufferBytes', receiveBufferBytes);
    }
    checked('bind', bind(this.#listener, 4, LOOPBACK, 0, 0));
    checked('listen', listen(this.#listener, backlog));
    this.port = localPort(this.#listener);
  }

  /** Takes all connections that wait. */
  accept(): void {
    const from = new Uint8Array(PEER_BYTES);
    for (let fd = accept4(this.#listener, from); fd >= 0; fd = accept4(this.#listener, from)) {
      this.streams.push({
        fd,
        from: from.slice(),
        pieces: [],
        bytes: 0,
        end: null,
        isOpen: true,
      });
    }
  }

  get last(): PeerStream | undefined {
    return this.streams.at(-1);
  }

  /** Reads at most `bytes` of a stream. Returns how many. */
  read(stream: PeerStream, bytes: number): number {
    let done = 0;
    while (stream.isOpen && stream.end === null && done < bytes) {
      const wanted = Math.min(this.#buffer.length, bytes - done);
      const got = recv(stream.fd, this.#buffer, 0, wanted);
      if (got === -EAGAIN) break;
      if (got <= 0) {
        stream.end = got;
        break;
      }
      stream.pieces.push(this.#buffer.slice(0, got));
      stream.bytes += got;
      done += got;
    }
    return done;
  }

  /** Takes new connections and reads all that is there. Returns bytes read. */
  pump(): number {
    this.accept();
    return this.streams.reduce((sum, stream) => sum + this.read(stream, 1 << 30), 0);
  }

  unread(stream: PeerStream): number {
    return bytesUnread(stream.fd);
  }

  say(stream: PeerStream, bytes: Uint8Array): void {
    assert.equal(send(stream.fd, bytes, 0, bytes.length), bytes.length);
  }

  /** Ends a connection by RST. */
  reset(stream: PeerStream): void {
    setLinger(stream.fd, 0);
    this.hangUp(stream);
  }

  hangUp(stream: PeerStream): void {
    if (!stream.isOpen) return;
    stream.isOpen = false;
    closeFd(stream.fd);
  }

  /** No connection is accepted any more; the port refuses. */
  stopListening(): void {
    if (!this.#isListening) return;
    this.#isListening = false;
    closeFd(this.#listener);
  }

  close(): void {
    for (const stream of this.streams) this.hangUp(stream);
    this.stopListening();
  }
}

export function bytesOf(stream: PeerStream): Buffer {
  return Buffer.concat(stream.pieces);
}

/**
 * Socket reader: two ways to get a stream into memory, both non-blocking.
 *
 * WHY        `recv -r` calls recv(2). Without -r the old program spliced each message into a pipe
 *            and copied it from there; with a pipe of its own size that could wait for ever,
 *            because what arrives from a socket fills slots of the pipe only in part.
 * INVARIANTS A call never waits. A message that does not fit the pipe is copied in parts: the pipe
 *            is emptied as soon as it takes no more while the socket has more.
 */
import { EAGAIN } from '../toolkit/sys/errno.ts';
import {
  bytesUnread,
  checked,
  closeFd,
  pipeCapacity,
  pipeCreate,
  read,
  recv,
  setPipeCapacity,
  splice,
} from '../toolkit/sys/index.ts';

export interface SocketReader {
  /**
   * Reads up to `length` bytes to `offset`. Returns bytes, 0 at the end of the stream, -EAGAIN when
   * nothing can be had now, or another -errno. `wanted` bytes complete a message.
   */
  take(offset: number, length: number, wanted: number): number;
  close(): void;
}

export class RecvReader implements SocketReader {
  readonly #fd: number;
  readonly #bytes: Uint8Array;

  constructor(fd: number, bytes: Uint8Array) {
    this.#fd = fd;
    this.#bytes = bytes;
  }

  take(offset: number, length: number): number {
    return recv(this.#fd, this.#bytes, offset, length);
  }

  close(): void {}
}

/** Twice the message, as part-filled slots need room; the kernel may grant less. */
const PIPE_MESSAGES = 2;
const PIPE_BYTES_MIN = 65_536;
/** More than any kernel grants. */
const PIPE_BYTES_MAX = 2 ** 30;

export class SpliceReader implements SocketReader {
  readonly #fd: number;
  readonly #bytes: Uint8Array;
  readonly #ends = new Int32Array(2);
  readonly pipeBytes: number;
  /** Bytes in the pipe. */
  #held = 0;
  #isAtEnd = false;
  #isClosed = false;

  /** Errors: SyscallError (no pipe). */
  constructor(fd: number, bytes: Uint8Array, messageBytes: number) {
    this.#fd = fd;
    this.#bytes = bytes;
    checked('pipe', pipeCreate(this.#ends));
    const wanted = Math.min(Math.max(PIPE_BYTES_MIN, messageBytes * PIPE_MESSAGES), PIPE_BYTES_MAX);
    this.pipeBytes = growPipe(this.#ends[1]!, wanted);
  }

  take(offset: number, _length: number, wanted: number): number {
    while (this.#held < wanted && !this.#isAtEnd) {
      const moved = splice(this.#fd, this.#ends[1]!, wanted - this.#held);
      if (moved > 0) {
        this.#held += moved;
        continue;
      }
      if (moved === 0) {
        this.#isAtEnd = true;
        break;
      }
      if (moved !== -EAGAIN) return moved;
      // Either the socket has no more, or the pipe takes no more.
      if (this.#held === 0 || bytesUnread(this.#fd) <= 0) return -EAGAIN;
      break;
    }
    if (this.#held === 0) return 0;
    const copied = read(this.#ends[0]!, this.#bytes, offset, Math.min(wanted, this.#held));
    if (copied > 0) this.#held -= copied;
    return copied;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    closeFd(this.#ends[0]!);
    closeFd(this.#ends[1]!);
  }
}

/** The largest capacity up to `wanted` that the kernel grants. */
function growPipe(fd: number, wanted: number): number {
  for (let bytes = wanted; bytes > PIPE_BYTES_MIN; bytes /= 2) {
    const granted = setPipeCapacity(fd, Math.ceil(bytes));
    if (granted > 0) return granted;
  }
  return pipeCapacity(fd);
}

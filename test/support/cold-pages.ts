/**
 * Cold pages: a page cache for tests, in front of the true one: what was not read by pread(2) or
 * sendfile(2) since it began is cold for preadv2(2) with RWF_NOWAIT.
 */
import { EAGAIN } from '../../src/toolkit/sys/index.ts';
import { native, replaceNative } from '../../src/toolkit/sys/load.ts';

const PAGE_BYTES = 64 * 1024;

export class ColdPages {
  readonly #warm = new Set<string>();
  readonly #before = native();
  /** Calls of pread and sendfile that would have waited for the disk. */
  waits = 0;
  /** Calls that asked what is cold. */
  looks = 0;

  /** From now on, in this thread. */
  constructor() {
    const before = this.#before;
    replaceNative({
      ...before,
      pread: (fd, bytes, offset, length, fileOffset) => {
        const got = before.pread(fd, bytes, offset, length, fileOffset);
        this.#read(fd, fileOffset, Math.max(0, got));
        return got;
      },
      // The file is read before the socket is asked: also for one that takes nothing.
      sendfile: (socket, fd, fileOffset, length) => {
        this.#read(fd, fileOffset, Math.min(length, PAGE_BYTES));
        const sent = before.sendfile(socket, fd, fileOffset, length);
        this.#read(fd, fileOffset, Math.max(0, sent));
        return sent;
      },
      preadNoWait: (fd, bytes, offset, length, fileOffset) => {
        this.looks++;
        // The end of the file is known without a page.
        const isEnd = before.pread(fd, new Uint8Array(1), 0, 1, fileOffset) === 0;
        const warm = this.#warmLength(fd, fileOffset, length);
        if (warm === 0 && !isEnd) return -EAGAIN;
        return isEnd ? 0 : before.pread(fd, bytes, offset, warm, fileOffset);
      },
    });
  }

  /** All is cold again. */
  evict(): void {
    this.#warm.clear();
  }

  restore(): void {
    replaceNative(this.#before);
  }

  #read(fd: number, fileOffset: number, length: number): void {
    if (this.#warmLength(fd, fileOffset, length) < length) this.waits++;
    const last = fileOffset + length - 1;
    for (let at = fileOffset; at <= last; at += PAGE_BYTES) this.#warm.add(keyOf(fd, at));
    if (length > 0) this.#warm.add(keyOf(fd, last));
  }

  /** Bytes from `fileOffset` on that are warm without a hole, at most `length`. */
  #warmLength(fd: number, fileOffset: number, length: number): number {
    let end = fileOffset;
    while (end < fileOffset + length && this.#warm.has(keyOf(fd, end))) {
      end = (Math.floor(end / PAGE_BYTES) + 1) * PAGE_BYTES;
    }
    return Math.max(0, Math.min(length, end - fileOffset));
  }
}

function keyOf(fd: number, fileOffset: number): string {
  return `${fd}:${Math.floor(fileOffset / PAGE_BYTES)}`;
}

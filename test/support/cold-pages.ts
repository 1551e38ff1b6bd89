/**
 * Cold pages: a page cache for tests, in front of the true one: what was not read by pread(2)
 * since it began is cold for preadv2(2) with RWF_NOWAIT.
 */
import { EAGAIN } from '../../src/toolkit/sys/index.ts';
import { native, replaceNative } from '../../src/toolkit/sys/load.ts';

const PAGE_BYTES = 64 * 1024;

export class ColdPages {
  readonly #warm = new Set<string>();
  readonly #before = native();
  /** Calls of pread that would have waited for the disk. */
  waits = 0;

  /** From now on, in this thread. */
  constructor() {
    const before = this.#before;
    replaceNative({
      ...before,
      pread: (fd, bytes, offset, length, fileOffset) => {
        if (this.#warmLength(fd, fileOffset, length) < length) this.waits++;
        const got = before.pread(fd, bytes, offset, length, fileOffset);
        const last = fileOffset + got - 1;
        for (let at = fileOffset; at <= last; at += PAGE_BYTES) this.#warm.add(keyOf(fd, at));
        if (got > 0) this.#warm.add(keyOf(fd, last));
        return got;
      },
      preadNoWait: (fd, bytes, offset, length, fileOffset) => {
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

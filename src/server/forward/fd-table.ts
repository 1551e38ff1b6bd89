/**
 * Fd table: the open fds of the forward worker, in shared memory.
 *
 * WHY        A thread that dies closes nothing: the supervisor closes what stands here.
 * LAYOUT     one int32 for each fd: fd + 1, 0: free. In no order.
 * OWNERSHIP  The forward worker writes; the supervisor, once that has ended.
 * INVARIANTS An fd is added after it was opened and removed before it is closed: a death between
 *            leaks one, and never closes what is another file's by then.
 */
export class FdTable {
  readonly #words: Int32Array;

  constructor(words: SharedArrayBuffer) {
    this.#words = new Int32Array(words);
  }

  /** A full table forgets it: it would leak when this thread dies. */
  add(fd: number): void {
    this.#replace(0, fd + 1);
  }

  remove(fd: number): void {
    this.#replace(fd + 1, 0);
  }

  #replace(from: number, to: number): void {
    const at = this.#words.indexOf(from);
    if (at >= 0) Atomics.store(this.#words, at, to);
  }
}

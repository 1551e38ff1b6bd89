/**
 * OutputPipe: the pipe of one connection, through which bytes travel by reference.
 *
 * WHY         splice(2) moves bytes between a pipe and a socket only, and what a full socket leaves
 *             in the pipe is the state of that connection: so a pipe is never shared or pooled.
 * OWNERSHIP   Both ends belong to this object. Closing it drops the references to what it holds.
 * INVARIANTS  capacityBytes is what the kernel granted: F_SETPIPE_SZ may be refused (above
 *             fs.pipe-max-size, or fs.pipe-user-pages-soft used up), then the pipe stays small.
 */
import { closeFd, pipeCapacity, pipeCreate, setPipeCapacity } from '../sys/index.ts';

export class OutputPipe {
  readonly #ends = new Int32Array([-1, -1]);
  #capacityBytes = 0;

  get isOpen(): boolean {
    return this.#ends[0]! >= 0;
  }

  get readEnd(): number {
    return this.#ends[0]!;
  }

  get writeEnd(): number {
    return this.#ends[1]!;
  }

  /** Bytes when every slot holds a whole OS page; a slot may hold less. */
  get capacityBytes(): number {
    return this.#capacityBytes;
  }

  /**
   * Makes the pipe, of `bytes` where they are granted. Returns 0 or -errno: EMFILE, ENFILE.
   * capacityBytes < bytes afterwards: it is smaller than asked for.
   */
  open(bytes: number): number {
    const made = pipeCreate(this.#ends);
    if (made < 0) {
      this.#ends.fill(-1);
      return made;
    }
    this.#capacityBytes = Math.max(0, pipeCapacity(this.writeEnd));
    this.resize(bytes);
    return 0;
  }

  /** Asks for other room; whether it was granted. What the pipe holds stays in it. */
  resize(bytes: number): boolean {
    if (bytes === this.#capacityBytes) return true;
    const capacity = setPipeCapacity(this.writeEnd, bytes);
    if (capacity < 0) return false;
    this.#capacityBytes = capacity;
    return true;
  }

  /** Drops what the pipe holds, and the pipe. A second call does nothing. */
  close(): void {
    if (!this.isOpen) return;
    closeFd(this.readEnd);
    closeFd(this.writeEnd);
    this.#ends.fill(-1);
    this.#capacityBytes = 0;
  }
}
